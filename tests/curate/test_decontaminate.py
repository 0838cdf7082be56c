"""``decontaminate`` against an oracle, and from recipes to what is kept, told and cut."""

from __future__ import annotations

import json
import os
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import textmill
from textmill.cli import main
from textmill.curate import Decontaminate
from textmill.curate.decontaminate_items import exam_items
from textmill.documents import Batch
from textmill.errors import UserError
from textmill.recipe import load_recipe
from textmill.steps import CuttingStep, StepContext
from textmill.text.phrases import count_words

WORDS = "time year people way day man thing woman life child world school state family student".split()  # noqa: SIM905


def sentence(seed: int, words: int) -> str:
    return " ".join(random.Random(seed).choices(WORDS, k=words))


def exam(folder: Path, name: str, questions: list[Any]) -> Path:
    file = folder / name
    records = [one if isinstance(one, dict) else {"question": one} for one in questions]
    file.write_text("".join(json.dumps(record) + "\n" for record in records))
    return file


def run(folder: Path, texts: list[str], step: str, **options: Any) -> textmill.Run:
    (folder / "texts.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    (folder / "recipe.yaml").write_text(
        f"name: test\nsources:\n  - files: texts.jsonl\ncurate:\n  - decontaminate: {step}\n"
        f"run: {json.dumps({'engine': 'local' if 'workers' in options else 'inline', **options})}\n"
    )
    return textmill.run(folder / "recipe.yaml", folder / f"run-{len(list(folder.glob('run-*')))}")


def kept(found: textmill.Run) -> list[int]:
    """Numbers of the texts that are kept, from 0."""
    rows = found.documents.project("locator").fetchall()
    return sorted(int(row[0].rpartition(":")[2]) - 1 for row in rows)


def told(found: textmill.Run) -> dict[str, dict[str, Any]]:
    for record in found.workspace.manifest.passes:
        if "tasks" in record.description:
            return {one["task"]: one for one in record.description["tasks"]}
    raise AssertionError("no table of tasks")


def events(found: textmill.Run) -> dict[int, tuple[Any, ...]]:
    rows = found.ledger("events").project("locator, action, rule, similarity, detail").fetchall()
    return {int(row[0].rpartition(":")[2]) - 1: row[1:] for row in rows}


def test_documents_with_a_question_go_and_say_which(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    long, other, short = sentence(1, 30), sentence(2, 20), sentence(3, 9)
    exam(tmp_path, "exam.jsonl", [long, other, short, "Is it so?"])
    texts = [
        f"{sentence(10, 50)}. {long.upper().replace(' ', ', ', 5)}! {sentence(11, 20)}",
        sentence(12, 80),
        f"Before: {' '.join(long.split()[5:18])} after.",  # a run of 13 words
        f"Before: {' '.join(long.split()[5:17])} after.",  # one of 12
        f"{short} and {' '.join(other.split()[:13])}.",
        short[:-3],
        "Is it so?",
    ]
    found = run(tmp_path, texts, "exam.jsonl")
    assert kept(found) == [1, 3, 5, 6]
    assert events(found) == {
        0: ("matched", "exam", 1.0, "exam exam.jsonl:1 (18 of 18 runs)"),
        2: ("matched", "exam", pytest.approx(1 / 18), "exam exam.jsonl:1 (1 of 18 runs)"),
        4: ("matched", "exam", 1.0, "exam exam.jsonl:3 (1 of 1 runs), exam exam.jsonl:2 (1 of 8 runs)"),
    }
    table = told(found)["exam"]
    assert {name: table[name] for name in ("items", "not_checkable", "items_hit", "documents")} == {
        "items": 4, "not_checkable": 1, "items_hit": 3, "documents": 3,
    }  # fmt: skip
    assert table["not_checkable_examples"] == ["exam.jsonl:4"]
    assert [(one["item"], one["documents"]) for one in table["examples"]] == [
        ("exam.jsonl:1", 2), ("exam.jsonl:2", 1), ("exam.jsonl:3", 1),
    ]  # fmt: skip
    assert table["examples"][0]["question"] == long[:160]
    capsys.readouterr()
    assert main(["why", "texts.jsonl:3", "--run", found.workspace.url]) == 0
    out = capsys.readouterr().out
    assert "DROPPED by decontaminate, rule exam" in out
    assert "exam exam.jsonl:1 (1 of 18 runs)" in out


def test_a_clean_corpus_has_its_table_too(tmp_path: Path) -> None:
    exam(tmp_path, "exam.jsonl", [sentence(1, 30)])
    found = run(tmp_path, [sentence(5, 40)], "exam.jsonl")
    assert kept(found) == [0]
    assert (told(found)["exam"]["items"], told(found)["exam"]["items_hit"]) == (1, 0)


def test_a_share_of_the_runs_and_common_runs(tmp_path: Path) -> None:
    law = sentence(1, 16)
    exam(tmp_path, "exam.jsonl", [f"{law} {sentence(2, 20)}"])
    texts = [f"{law} unlike {sentence(n, 40)}" for n in range(20, 25)] + [f"{law} {sentence(2, 20)}"]
    assert kept(run(tmp_path, texts, "{tasks: exam.jsonl}")) == []
    assert kept(run(tmp_path, texts, "{tasks: exam.jsonl, min_share: 0.5}")) == [0, 1, 2, 3, 4]
    common = run(tmp_path, texts, "{tasks: exam.jsonl, max_documents: 5}")
    assert kept(common) == [0, 1, 2, 3, 4]
    assert events(common)[5][3] == "exam exam.jsonl:1 (20 of 24 runs)"
    assert kept(run(tmp_path, texts, "{tasks: exam.jsonl, max_documents: 6}")) == []


def test_choices_and_answers(tmp_path: Path) -> None:
    records = [
        {"question": "Why?", "choices": [sentence(1, 15), "no", "yes", "perhaps"], "answer": 1},
        {"question": sentence(2, 6), "choices": [sentence(3, 4), "no"], "answer": 0},
        {"question": "How many?", "answer": sentence(4, 25)},
    ]
    exam(tmp_path, "exam.jsonl", records)
    texts = [
        sentence(1, 15),
        f"{sentence(2, 6)}\n{sentence(3, 4)}",
        sentence(2, 6),
        f"{sentence(3, 4)} {sentence(2, 6)}",
        sentence(4, 25),
    ]
    assert kept(run(tmp_path, texts, "exam.jsonl")) == [2, 3]


def test_cutting(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    question, second = sentence(1, 20), sentence(2, 14)
    exam(tmp_path, "exam.jsonl", [question, second])
    before, after = "é" * 30 + " vor ", " nach " + "ü" * 30
    texts = [
        f"{before}{question}{after}",
        f"x {second} y",
        sentence(9, 50),
        f"{before}{question} {second}{after}",
    ]
    found = run(tmp_path, texts, "{tasks: exam.jsonl, action: cut, context: 10}")
    assert kept(found) == [0, 2, 3]
    rows = dict(found.documents.project("locator, text").fetchall())
    for number in (1, 4):
        assert rows[f"texts.jsonl:{number}"].split() == [before[:-10].strip() + after[10:].strip()] or rows[
            f"texts.jsonl:{number}"
        ].replace("\n", "").replace(" ", "") == (before[:-10] + after[10:]).replace(" ", "")
    details = {
        locator: detail
        for locator, action, detail in found.ledger("events").project("locator, action, detail").fetchall()
        if action == "edited"
    }
    assert details["texts.jsonl:1"].startswith("exam exam.jsonl:1 1; cut «")
    assert "exam exam.jsonl:1 1, exam exam.jsonl:2 1; cut «" in details["texts.jsonl:4"]
    assert told(found)["exam"]["items_hit"] == 2
    assert main(["why", "texts.jsonl:1", "--run", found.workspace.url]) == 0
    assert "exam exam.jsonl:1" in capsys.readouterr().out


def test_the_action_decides_what_kind_of_step_it_is() -> None:
    for step in (
        Decontaminate(tasks=["a.csv"], action="cut"),
        Decontaminate.model_validate({"tasks": ["a.csv"], "action": "cut"}),
        type(Decontaminate(tasks=["a.csv"], action="cut")).model_validate({"tasks": "a.csv"}),
    ):
        assert isinstance(step, CuttingStep)
        assert (step.action, step.step_id, step.tasks[0].path) == ("cut", "decontaminate", "a.csv")
        assert isinstance(type(step).model_validate(step.model_dump()), CuttingStep)
    assert not isinstance(Decontaminate(tasks=["a.csv"]), CuttingStep)


QUESTIONS = st.lists(
    st.lists(st.sampled_from("abc"), min_size=1, max_size=9).map(" ".join), min_size=1, max_size=4
)
TEXTS = st.lists(
    st.lists(st.sampled_from(["a", "B", "c", "d", "é", "…"]), max_size=14).map(" ".join), max_size=8
)


@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    questions=QUESTIONS,
    texts=TEXTS,
    share=st.sampled_from([0.0, 0.5, 1.0]),
    limit=st.sampled_from([None, 1, 2]),
)
def test_an_oracle(
    tmp_path_factory: Any, questions: list[str], texts: list[str], share: float, limit: int | None
) -> None:
    folder = tmp_path_factory.mktemp("oracle")
    exam(folder, "exam.jsonl", questions)
    texts = [*texts, "q"]
    found = run(
        folder,
        texts,
        json.dumps(
            {"tasks": "exam.jsonl", "ngram": 4, "min_words": 2, "min_share": share, "max_documents": limit}
        ),
        engine="inline",
    )

    def runs(text: str, size: int) -> set[tuple[str, ...]]:
        words = text.lower().replace("…", "").split()
        return {tuple(words[i : i + size]) for i in range(len(words) - size + 1)}

    items = []
    for question in questions:
        size = min(4, len(question.split()))
        items.append(runs(question, size) if size >= 2 else set())
    holds = [{one for size in (2, 3, 4) for one in runs(text, size)} for text in texts]
    if limit is not None:
        wanted = set().union(*items)
        common = {one for one in wanted if sum(one in held for held in holds) > limit}
        holds = [held - common for held in holds]
    expected = [
        number
        for number, held in enumerate(holds)
        if not any(item and len(item & held) >= max(1, share * len(item)) for item in items)
    ]
    assert kept(found) == expected


@pytest.mark.slow
def test_the_same_bytes_whatever_the_workers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    questions = [sentence(n, 25) for n in range(40)]
    exam(tmp_path, "exam.jsonl", questions)
    texts = [sentence(n, 60) if n % 3 else f"{sentence(n, 30)} {questions[n % 40]}" for n in range(200)]
    for step in (
        "exam.jsonl",
        "{tasks: exam.jsonl, max_documents: 3}",
        "{tasks: exam.jsonl, action: cut, context: 5}",
    ):
        sums = []
        for workers, rows in ((1, 2_000_000), (2, 2_000_000), (1, 20)):
            monkeypatch.setattr("textmill.pipeline.phases.PARTITION_ROWS", rows)
            found = run(tmp_path, texts, step, workers=workers, shard_bytes="8KiB")
            sums.append([file.sha256 for file in found.workspace.manifest.document_passes()[-1].all_files()])
            tables = told(found)
        assert sums[0] == sums[1] == sums[2]
        assert tables["exam"]["items_hit"] > 10


def test_a_recipe_takes_the_tasks_that_it_evaluates(tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        load_recipe({"name": "a", "sources": [{"files": "x"}], "curate": ["decontaminate"]})
    assert "decontaminate has no tasks" in str(caught.value)
    from textmill.evaluate.settings import EvaluateSection
    from textmill.recipe.model import Registry, default_registry
    from textmill.tasks import TaskFiles

    class Examined(EvaluateSection):
        mmlu: TaskFiles | None = None

    known = default_registry()
    registry = Registry(known.sources, known.steps, {**known.sections, "evaluate": Examined})
    recipe = load_recipe(
        {
            "name": "a",
            "sources": [{"files": "x"}],
            "curate": ["decontaminate", {"decontaminate": {"id": "cut", "action": "cut"}}],
            "tokenizer": {"train": {"vocab_size": 300}},
            "tokens": {},
            "train": {},
            "evaluate": {"mmlu": "exams/mmlu"},
        },
        registry=registry,
        folder=tmp_path,
    )
    for step in recipe.curate:
        assert isinstance(step, Decontaminate)
        assert [task.path for task in step.tasks] == [str(tmp_path / "exams/mmlu")]
    assert isinstance(recipe.curate[1], CuttingStep)


@pytest.mark.parametrize(
    "step,message",
    [
        ("nothing.jsonl", "has no files"),
        ("[exam.jsonl, exam.jsonl]", "two tasks are called 'exam'"),
        ("{tasks: exam.jsonl, min_words: 20}", "cannot be larger"),
        ("{tasks: exam.jsonl, acton: cut}", "acton"),
        ("{tasks: exam.jsonl, action: mask}", "drop"),
    ],
)
def test_mistakes(tmp_path: Path, step: str, message: str) -> None:
    exam(tmp_path, "exam.jsonl", [sentence(1, 20)])
    with pytest.raises(UserError) as caught:
        run(tmp_path, ["x"], step)
    assert message in str(caught.value)
    assert not list(tmp_path.glob("run-*"))


@pytest.mark.skipif("TEXTMILL_DATA" not in os.environ, reason="TEXTMILL_DATA names no data folder")
def test_mmlu_planted_in_real_pages(tmp_path: Path) -> None:
    """Recall is full for questions planted as they are and in other dress; no page without one is dropped."""
    data = Path(os.environ["TEXTMILL_DATA"].split(os.pathsep)[0])
    mmlu, pages = data / "mmlu/hf_style", data / "jsonl/c4_demo.jsonl"
    if not mmlu.is_dir() or not pages.is_file():
        pytest.skip("no MMLU there")
    step = Decontaminate(tasks=[str(mmlu)])
    items = exam_items(step)
    from textmill.tasks import read_items

    asked = list(read_items(step.tasks[0]))
    chosen = random.Random(5)
    plants, numbers = [], []
    for number in chosen.sample([n for n in range(len(asked)) if items.phrase_counts[n]], 300):
        item = asked[number]
        question = item.question
        if (
            count_words(np.frombuffer(question.encode(), np.uint8), np.array([0, len(question.encode())]))[0]
            < 8
        ):
            question = f"{question} {item.answer_text}"
        dress = (
            lambda text: text,
            str.upper,
            lambda text: text.replace(" ", "\n", 3).replace(", ", " "),
            lambda text: f"“{text}”",
        )[len(plants) % 4]
        plants.append(dress(question))
        numbers.append(number)
    texts = [json.loads(line)["text"] for line in pages.read_text().splitlines()]
    planted = [
        f"{texts[n % len(texts)][:300]}\n{plant}\n{texts[n % len(texts)][300:600]}"
        for n, plant in enumerate(plants)
    ]
    runner = step.open(StepContext())

    def hits(batch: list[str]) -> list[set[int]]:
        rows = runner.fingerprint(Batch.from_texts(batch)).to_pylist()
        ids = {identifier: place for place, identifier in enumerate(Batch.from_texts(batch).ids)}
        found: list[set[int]] = [set() for _ in batch]
        for row in rows:
            if row["phrase"] >= 0:
                found[ids[row["id"]]] |= set(items.item_of[items.phrase_of == row["phrase"]].tolist())
        return found

    recalled = [number in held for number, held in zip(numbers, hits(planted), strict=True)]
    clean = [place for place, held in enumerate(hits(texts)) if held]
    print(f"recall {sum(recalled)}/{len(recalled)}; dropped of {len(texts)} clean pages: {clean}")
    assert all(recalled)
    assert clean == []
