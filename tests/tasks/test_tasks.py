"""Reading the questions and answers of published tasks in their layouts."""

from __future__ import annotations

import csv
import json
import os
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from textmill.errors import UserError
from textmill.steps import Settings
from textmill.tasks import TaskFiles, named_tasks, read_items

HANDS = ("How many bones has a hand?", ("25", "26", "27", "None"), 2)


def read(path: Path, **settings: Any) -> list[tuple[str, tuple[str, ...], str]]:
    return [
        (one.question, one.choices, one.answer_text)
        for one in read_items(TaskFiles(path=str(path), **settings))
    ]


def write_csv(path: Path, rows: list[list[str]]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows(rows)
    return path


def test_mmlu_in_both_layouts(tmp_path: Path) -> None:
    question, choices, answer = HANDS
    other = 'Which of these is "red",\nand not blue?'
    plain = write_csv(tmp_path / "plain.csv", [[question, *choices, "C"], [other, "N/A", "b", "c", "d", "A"]])
    names = ["question", "choice0", "choice1", "choice2", "choice3", "answer"]
    headed = write_csv(
        tmp_path / "headed.csv",
        [names, [question, *choices, str(answer)], [other, "N/A", "b", "c", "d", "0"]],
    )
    expected = [(question, choices, "27"), (other, ("N/A", "b", "c", "d"), "N/A")]
    assert read(plain) == read(headed) == expected
    hub = write_csv(
        tmp_path / "hub.csv",
        [["question", "subject", "choices", "answer"], [question, "anatomy", str(list(choices)), "2"]],
    )
    assert read(hub) == expected[:1]


RECORDS: list[tuple[dict[str, Any], tuple[str, tuple[str, ...], str]]] = [
    ({"question": "q", "choices": {"text": ["x", "y"], "label": ["1", "2"]}, "answerKey": "2"}, ("q", ("x", "y"), "y")),
    ({"id": "Mercury", "question": {"stem": "q", "choices": [{"text": "x", "label": "A"}, {"text": "y", "label": "B"}]},
      "answerKey": "B"}, ("q", ("x", "y"), "y")),
    ({"ind": 1, "ctx": "q", "endings": ["x", "y"], "label": "1"}, ("q", ("x", "y"), "y")),
    ({"goal": "q", "sol1": "x", "sol2": "y", "label": 0}, ("q", ("x", "y"), "x")),
    ({"sentence": "q", "option1": "x", "option2": "y", "answer": "1"}, ("q", ("x", "y"), "x")),
    ({"question": "q", "distractor1": "x", "distractor2": "y", "distractor3": "z", "correct_answer": "w",
      "support": "s"}, ("q", ("w", "x", "y", "z"), "w")),
    ({"question": "q", "answer": "so 4.\n#### 4"}, ("q", (), "so 4.\n#### 4")),
    ({"context": "c", "question": "q", "answers": {"text": ["x", "x y"], "answer_start": [0, 0]}}, ("q", (), "x")),
    ({"instruction": "q", "input": "", "output": "o"}, ("q", (), "o")),
    ({"question": "q", "answer": False}, ("q", (), "False")),
    ({"question": "q", "choices": ["x", "y"]}, ("q", ("x", "y"), "")),
]  # fmt: skip


@pytest.mark.parametrize("record,expected", RECORDS)
def test_layouts_of_published_tasks(
    tmp_path: Path, record: dict[str, Any], expected: tuple[str, tuple[str, ...], str]
) -> None:
    (tmp_path / "a.jsonl").write_text(f"\ufeff{json.dumps(record)}\n\n{json.dumps(record)}\n")
    (tmp_path / "b.json").write_text(json.dumps([record]))
    (tmp_path / "c.json").write_text(json.dumps({"version": 1, "data": [record, record]}))
    pq.write_table(pa.Table.from_pylist([record]), tmp_path / "d.parquet")
    assert read(tmp_path / "a.jsonl") == [expected] * 2
    assert read(tmp_path / "b.json") == [expected]
    assert read(tmp_path / "c.json") == [expected] * 2
    assert read(tmp_path / "d.parquet") == [expected]
    assert read(tmp_path) == [expected] * 6


def test_named_fields(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    file.write_text(json.dumps({"Frage": "q", "gut": "x", "schlecht": "y", "Wahl": "x", "text": "no"}))
    assert read(file, question="Frage", choices=["gut", "schlecht"], answer="Wahl") == [
        ("q", ("x", "y"), "x")
    ]
    with pytest.raises(UserError, match="no field 'Farge'") as caught:
        read(file, question="Farge")
    assert "Frage, gut, schlecht" in str(caught.value)


def test_names_of_tasks_and_items(tmp_path: Path) -> None:
    for place in ("mmlu/test/b.jsonl", "mmlu/dev/a.jsonl", "mmlu/.git/x.jsonl"):
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / place).write_text(json.dumps({"question": place}) + "\n")
    (tmp_path / "mmlu/README.md").write_text("x")
    whole = TaskFiles(path=str(tmp_path / "mmlu"))
    assert whole.task == "mmlu"
    assert [item.name for item in read_items(whole)] == ["dev/a.jsonl:1", "test/b.jsonl:1"]
    assert [Path(file).name for file in whole.files()] == ["a.jsonl", "b.jsonl"]
    some = TaskFiles(path=str(tmp_path / "mmlu/*/b.jsonl"), label="tests")
    assert [(some.task, item.name) for item in read_items(some)] == [("tests", "test/b.jsonl:1")]


@pytest.mark.parametrize(
    "name,content,message",
    [
        ("a.csv", "one,two,three\n1,2,3\n", "the columns have no names"),
        ("a.csv", "question,answer\n1,2,3\n", "a row has 3 columns"),
        ("a.jsonl", '{"question": "q"}\n{broken\n', "after record 1"),
        ("a.jsonl", '["q"]\n', "not an object with fields"),
        ("a.json", "3", "expected a list of records"),
        ("a.jsonl", '{"title": "q"}\n', "question of a task's items is not recognised"),
        ("a.parquet", "no", "cannot be read"),
        ("a.csv", "", "is empty"),
    ],
)
def test_files_that_cannot_be_read(tmp_path: Path, name: str, content: str, message: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(UserError) as caught:
        read(tmp_path / name)
    assert message in str(caught.value)
    assert name in str(caught.value)


def test_no_files(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "nothing.csv", tmp_path / "*.csv"):
        with pytest.raises(UserError, match="has no files"):
            TaskFiles(path=str(path)).files()


class _Exam(Settings):
    mmlu: TaskFiles | None = None
    others: tuple[TaskFiles, ...] = ()
    shots: int = 5


def test_a_section_tells_its_tasks_by_its_fields() -> None:
    one, two = TaskFiles(path="a.csv"), TaskFiles(path="b.csv")
    assert named_tasks(_Exam(mmlu=one, others=(two,))) == [one, two]
    assert named_tasks(_Exam()) == []


@pytest.mark.skipif("TEXTMILL_DATA" not in os.environ, reason="TEXTMILL_DATA names no data folder")
def test_real_mmlu_is_the_same_in_both_layouts() -> None:
    folder = Path(os.environ["TEXTMILL_DATA"].split(os.pathsep)[0], "mmlu")
    if not folder.is_dir():
        pytest.skip("no MMLU there")
    one, other = (
        list(read_items(TaskFiles(path=str(folder / f"{kind}_style")))) for kind in ("hf", "hendrycks")
    )
    assert one == other
    assert len(one) > 285
    assert all(len(item.choices) == 4 and item.answer is not None and item.question for item in one)
