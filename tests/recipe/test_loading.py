"""Every mistake of a recipe: its words, its place, what was expected, the nearest right name."""

from __future__ import annotations

from pathlib import Path

import pytest

from textmill.errors import UserError
from textmill.recipe import Recipe, RecipeError, dump_recipe, load_recipe
from textmill.recipe.model import RunSection, usable_cores

from .registry import REGISTRY

BASE = """\
name: cyber
sources:
  - files: data/*.txt
curate:
  - normalize
  - near_dedup: 0.9
  - near-dedup: {id: late, threshold: 0.7}
  - words: {min-words: 10, keep: [en, no]}
tokenizer: {train: 8_000}
tokens: {seq_len: 128}
train: {tokens: 2.5M}
run: {workers: 3, shard_bytes: 1MiB}
"""


def load(text: str, *overrides: str) -> Recipe:
    return load_recipe(text, overrides, registry=REGISTRY, origin="r.yaml", folder=Path("/data"))


def mistake(text: str, *overrides: str) -> UserError:
    with pytest.raises(UserError) as caught:
        load(text, *overrides)
    return caught.value


def test_every_form_of_a_step() -> None:
    recipe = load(BASE)
    assert [step.step_id for step in recipe.curate] == ["normalize", "near_dedup", "late", "words"]
    assert [step.model_dump().get("threshold") for step in recipe.curate] == [None, 0.9, 0.7, None]
    assert recipe.curate[3].keep == ("en", "no")  # type: ignore[attr-defined]
    assert recipe.tokenizer.train.vocab_size == 8000  # type: ignore[union-attr]
    assert recipe.train.tokens == 2_500_000  # type: ignore[union-attr]
    assert recipe.run.shard_bytes == 2**20
    assert list(recipe.stages) == ["tokenizer", "tokens", "train"]


def test_relative_paths_are_relative_to_the_recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inner = tmp_path / "recipes"
    inner.mkdir()
    (inner / "r.yaml").write_text(
        "name: x\nsources:\n  - files: {path: [data, /abs, 's3://bucket/x', ../up]}\n"
        "curate: [near_dedup: {words_file: w.txt}]\ntokenizer: {use: tok}\n"
    )
    recipe = load_recipe(inner / "r.yaml", registry=REGISTRY)
    assert recipe.sources[0].path == [  # type: ignore[attr-defined]
        f"{inner}/data", "/abs", "s3://bucket/x", f"{tmp_path}/up",
    ]  # fmt: skip
    assert recipe.curate[0].words_file == f"{inner}/w.txt"  # type: ignore[attr-defined]
    assert recipe.tokenizer.use == f"{inner}/tok"  # type: ignore[union-attr]
    monkeypatch.chdir(tmp_path)
    changed = load_recipe(inner / "r.yaml", ["files.path=here"], registry=REGISTRY)
    assert changed.sources[0].path == f"{tmp_path}/here"  # type: ignore[attr-defined]


def test_name_defaults_to_the_file(tmp_path: Path) -> None:
    path = tmp_path / "my recipe.yaml"
    path.write_text("sources: [pages]\n")
    assert load_recipe(path, registry=REGISTRY).name == "my-recipe"


def test_a_mapping_is_a_recipe() -> None:
    recipe = load_recipe({"name": "x", "sources": [{"files": "a"}]}, registry=REGISTRY, folder=Path("/data"))
    assert recipe.sources[0].path == "/data/a"  # type: ignore[attr-defined]
    with pytest.raises(UserError) as caught:
        load_recipe({"sources": ["pages"], "curate": [{"near_dedup": {"threshold": 2}}]}, registry=REGISTRY)
    assert caught.value.where == "recipe: curate.0.near_dedup.threshold"


def test_the_dump_loads_to_an_equal_recipe() -> None:
    recipe = load(BASE)
    text = dump_recipe(recipe)
    again = load(text)
    assert again == recipe
    assert dump_recipe(again) == text
    assert "max_words: 100000" in text, "defaults are written out"


def test_a_recipe_is_frozen() -> None:
    with pytest.raises(ValueError):
        load(BASE).seed = 3  # type: ignore[misc]


# text, place, and what must be said
MISTAKES = [
    ("\n", "r.yaml", "empty"),
    ("- 1\n- 2\n", "r.yaml:1:1", "a list of 2"),
    ("just words\n", "r.yaml:1:1", "text 'just words'"),
    ("name: x\n", "r.yaml", "nothing to do"),
    ("nam: x\nsources: [pages]\n", "r.yaml:1:1", "did you mean 'name'?"),
    ("name: 3\nsources: [pages]\n", "r.yaml:1:7", "the number 3"),
    ("name: a/b\nsources: [pages]\n", "r.yaml:1:7", "letters, digits"),
    ("seed: -1\nsources: [pages]\n", "r.yaml:1:7", "whole number from 0"),
    ("seed: true\nsources: [pages]\n", "r.yaml:1:7", "yes-or-no"),
    ("sources: {files: x}\n", "r.yaml:1:10", "sources must be a list"),
    ("sources: [page]\n", "r.yaml:1:11", "did you mean 'pages'?"),
    ("sources: [files]\n", "r.yaml:1:11", "needs 'path'"),
    ("sources: [words]\n", "r.yaml:1:11", "belongs under curate"),
    ("sources: [pages, pages]\n", "r.yaml:1:18", "label: pages_2"),
    ("sources: [pages]\ncurate: [normalise]\n", "r.yaml:2:10", "did you mean 'normalize'?"),
    ("sources: [pages]\ncurate: [zzz]\n", "r.yaml:2:10", "near_dedup, normalize, words"),
    ("sources: [pages]\ncurate: [train]\n", "r.yaml:2:10", "is a section"),
    ("sources: [pages]\ncurate: [pages]\n", "r.yaml:2:10", "belongs under sources"),
    ("sources: [pages]\nwords: {}\n", "r.yaml:2:1", "list under curate"),
    ("sources: [pages]\ncurate: [7]\n", "r.yaml:2:10", "This is no step"),
    ("sources: [pages]\ncurate: [words, words]\n", "r.yaml:2:17", "id: words_2"),
    ("sources: [pages]\ncurate:\n- near_dedup:\n  threshold: 1\n", "r.yaml:4:3", "two more spaces"),
    ("sources: [pages]\ncurate: [words: 3]\n", "r.yaml:2:17", "named settings"),
    ("sources: [pages]\ncurate: [words: {min_word: 3}]\n", "r.yaml:2:18", "did you mean 'min_words'?"),
    ("sources: [pages]\ncurate: [words: {min_words: x}]\n", "r.yaml:2:29", "a whole number, 0 or more"),
    ("sources: [pages]\ncurate: [words: {min_words: 1.5}]\n", "r.yaml:2:29", "the number 1.5"),
    ("sources: [pages]\ncurate: [words: {min_words: true}]\n", "r.yaml:2:29", "yes-or-no"),
    ("sources: [pages]\ncurate: [words: {max_share: 1.2}]\n", "r.yaml:2:29", "a number from 0 to 1"),
    ("sources: [pages]\ncurate: [words: {keep: en}]\n", "r.yaml:2:24", "a list of: text"),
    ("sources: [pages]\ncurate: [words: {keep: [en, 3]}]\n", "r.yaml:2:29", "put quotes"),
    ("sources: [pages]\ncurate: [words: {min_words: 1, min-words: 2}]\n", "r.yaml:2:32", "twice"),
    ("sources: [pages]\ncurate: [normalize: {form: NFX}]\n", "r.yaml:2:28", "one of: NFC, NFKC"),
    ("sources: [pages]\ncurate: [normalize: {strip_accents: 3}]\n", "r.yaml:2:37", "true or false"),
    ("sources: [pages]\ntokenizer: {train: {vocab_size: 5}}\n", "r.yaml:2:33", "257 or more"),
    ("sources: [pages]\ntokenizer: {train: {vocab: 500}}\n", "r.yaml:2:21", "did you mean 'vocab_size'?"),
    ("sources: [pages]\ntokens: {}\n", "r.yaml:2:1", "needs the section tokenizer"),
    ("curate: [words]\n", "r.yaml:1:1", "a section sources"),
    ("sources: [pages]\nrun: {workers: -1}\n", "r.yaml:2:16", "0 or more"),
    ("sources: [pages]\nrun: {shard_bytes: 12 apples}\n", "r.yaml:2:20", "128MiB"),
    ("sources: [pages]\nrun: {wrkers: 2}\n", "r.yaml:2:7", "did you mean 'workers'?"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "where", "words"), MISTAKES)
def test_mistakes_are_told_with_their_place(text: str, where: str, words: str) -> None:
    error = mistake(text)
    assert error.where == where
    assert words in str(error)
    if isinstance(error, RecipeError):
        assert len(error.mistakes) == 1, "one mistake is told once"


def test_all_mistakes_are_told_at_once() -> None:
    text = BASE.replace("0.9", "high").replace("normalize", "normalise").replace("2.5M", "2.5X")
    error = mistake(text)
    assert isinstance(error, RecipeError)
    assert [m.where for m in error.mistakes] == ["r.yaml:5:5", "r.yaml:6:17", "r.yaml:11:17"]
    assert str(error).startswith("3 mistakes in r.yaml\n\n1. There is no step 'normalise'.")


def test_many_mistakes_fit_a_screen() -> None:
    text = "sources: [pages]\ncurate: [" + ", ".join(f"wrong{i}" for i in range(30)) + "]\n"
    assert "... and 22 more" in str(mistake(text))
    assert len(str(mistake(text)).splitlines()) < 60


def test_workers_default_to_three_quarters_of_the_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    assert RunSection(workers=5).worker_count() == 5
    for cores, workers in ((1, 1), (2, 2), (4, 3), (8, 6), (96, 72)):
        monkeypatch.setattr("textmill.recipe.model.usable_cores", lambda cores=cores: cores)
        assert RunSection().worker_count() == workers
    monkeypatch.undo()
    assert usable_cores() >= 1


def test_numbers_with_a_unit_are_told_with_their_bound() -> None:
    from textmill.recipe import load_recipe

    recipe = {"sources": ["python_docs"], "tokenizer": {"train": {"vocab_size": 100}}}
    with pytest.raises(UserError, match="whole number, with or without a unit, at least 257"):
        load_recipe(recipe)
