"""``curate`` with the flags of row E, and ``export``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from textmill.cli import main

FRENCH = [
    f"Voici la phrase numéro {word} du corpus québécois."
    for word in "abcdefghijklmnopqrstuvwxyz"
    for _ in "12"
]


@pytest.fixture(autouse=True)
def _inputs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    bad = [
        "Court.",
        "extraordinairement court",
        "non " * 30,
        "1234 5678 9012 3456 !!!!",
        "x y z " + "long mot " * 1200,
    ]
    Path("a.txt").write_text("\n".join([*FRENCH, *bad]) + "\n")
    fields = ("text", "content", "sentence")
    records = [{fields[n % 3]: f"Un texte de\nla liste {n}, sur deux lignes."} for n in range(60)]
    Path("b.jsonl").write_text("\n".join(map(json.dumps, records)) + "\n{broken\n")


def curate(*options: str) -> int:
    return main(
        ["curate", "--input", "a.txt", "b.jsonl", "--output", "out", "--set", "run.engine=inline", *options]
    )


def lines(name: str) -> list[str]:
    return Path("out", name).read_text().splitlines()


ROW_E = ["--val_split", "0.1", "--min_length", "10", "--max_length", "10000", "--seed", "42"]


def test_merged(capsys: pytest.CaptureFixture[str]) -> None:
    assert curate("--merge", *ROW_E) == 0
    out = capsys.readouterr().out
    assert "60 texts had line breaks" in out
    assert sorted(path.name for path in Path("out").iterdir()) == ["run", "train.txt", "val.txt"]
    train, validation = lines("train.txt"), lines("val.txt")
    assert sorted(train + validation) == sorted(
        FRENCH + [f"Un texte de la liste {n}, sur deux lignes." for n in range(60)]
    )
    assert 3 <= len(validation) <= 25
    assert main(["status", "out/run", "--json"]) == 0
    steps = {step["step"]: step for step in json.loads(capsys.readouterr().out)["steps"]}
    assert (steps["ingest"]["failed"], steps["heuristics"]["dropped"]) == (1, 5)
    for words, rule in (("Court.", "characters"), ("extraordinairement court", "words"), ("non non", "distinct_words"),
                        ("1234 5678", "letters_and_spaces"), ("x y z", "characters")):  # fmt: skip
        assert main(["why", words, "--run", "out/run"]) == 0
        assert f"DROPPED by heuristics, rule {rule}" in capsys.readouterr().out


def test_texts_are_normalised() -> None:
    Path("a.txt").write_text(
        "Écris-moi à jean@exemple.qc.ca   ou sur https://exemple.qc.ca/page, vite!!! Une œuvre ﬁne...\n"
    )
    assert main(["curate", "--input", "a.txt", "--output", "out", "--merge", "--val-split", "0"]) == 0
    assert lines("train.txt") == ["Écris-moi à ou sur, vite! Une œuvre fine."]
    assert curate("--merge", "--val-split", "0", "--set", "normalize.expand_ligatures=true") == 0
    assert "Une oeuvre fine." in lines("train.txt")[0]


def test_unmerged_with_the_same_sides(capsys: pytest.CaptureFixture[str]) -> None:
    assert curate("--merge", *ROW_E) == 0
    merged = lines("val.txt")
    assert curate(*ROW_E) == 0
    assert len(lines("train_1.txt")) + len(lines("val_1.txt")) == len(FRENCH)
    assert len(lines("train_2.txt")) + len(lines("val_2.txt")) == 60
    assert lines("val_1.txt") + lines("val_2.txt") == merged
    assert curate("--merge", *ROW_E[:-1], "43") == 0
    assert lines("val.txt") != merged


def test_options() -> None:
    assert curate("--merge", "--val-split", "0", "--dedup", "--min-length", "43") == 0
    assert len(lines("train.txt")) == 26
    assert not Path("out", "val.txt").exists()


def test_steps_of_another_recipe(capsys: pytest.CaptureFixture[str]) -> None:
    Path("mine.yaml").write_text(
        "name: mine\nsources: [files: nowhere]\ncurate: [heuristics: {min_words: 9}]\n"
        "tokenizer: {train: {vocab_size: 300}}\n"
    )
    assert curate("--merge", "--recipe", "mine.yaml", "--set", "heuristics.min_words=8") == 0
    assert "--merge" not in capsys.readouterr().out
    assert len(lines("train.txt")) + len(lines("val.txt")) == len(FRENCH) + 60 + 2
    assert not Path("out", "run", "tokenizer").exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--val-split", "0.6"], "from 0.0 to 0.5"),
        (["--val-split", "-0.1"], "from 0.0 to 0.5"),
        (["--val-split", "nan"], "from 0.0 to 0.5"),
        (["--val-split", "x"], "invalid float value: 'x'"),
        (["--min-length", "x"], "--min-length x"),
        (["--min-length", "100", "--max-length", "50"], "--min-length 100 --max-length 50"),
        (["--seed", "-1"], "--seed -1"),
        (["--input", "missing.txt"], "missing.txt"),
        (["--recipe", "missing.yaml"], "no such recipe"),
        (["--set", "nothing.min=3"], "nothing called 'nothing'"),
    ],
)
def test_mistakes(capsys: pytest.CaptureFixture[str], options: list[str], words: str) -> None:
    assert curate(*options) == 2
    err = capsys.readouterr().err
    assert words in err
    assert "Traceback" not in err
    assert not Path("out").exists()


def test_export(capsys: pytest.CaptureFixture[str]) -> None:
    assert curate("--merge") == 0
    assert main(["export", "out/run"]) == 0
    records = [json.loads(line) for line in Path("quebec_french.jsonl").read_text().splitlines()]
    assert len(records) == len(FRENCH) + 60
    assert main(["export", "out/run", "--format", "txt", "--compress", "zst", "--out", "x/c.zst"]) == 0
    assert Path("x/c.zst").read_bytes()[:4] == b"\x28\xb5\x2f\xfd"
    capsys.readouterr()
    assert main(["export", "out/run", "--out", "x"]) == 2
    assert "--out x/corpus.jsonl" in capsys.readouterr().err
    assert main(["export", "out/run", "--format", "csv"]) == 2
    assert "cannot be 'csv'" in capsys.readouterr().err
