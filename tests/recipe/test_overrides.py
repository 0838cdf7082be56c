"""Overrides: what they reach, what they refuse, and that they take the blame for what they break."""

from __future__ import annotations

from pathlib import Path

import pytest

from textmill.errors import UserError
from textmill.recipe import Override, Recipe, load_recipe

from .registry import REGISTRY
from .test_loading import BASE


def load(*overrides: str | Override) -> Recipe:
    return load_recipe(BASE, overrides, registry=REGISTRY, origin="r.yaml", folder=Path("/data"))


@pytest.mark.parametrize(
    ("override", "path", "value"),
    [
        ("late.threshold=0.5", "curate.2.threshold", 0.5),
        ("curate.late.threshold=0.5", "curate.2.threshold", 0.5),
        ("curate.1.threshold=0.5", "curate.1.threshold", 0.5),
        ("curate.1=0.5", "curate.1.threshold", 0.5),
        ("curate.0={normalize: {form: NFKC}}", "curate.0.form", "NFKC"),
        ("normalize.form=NFKC", "curate.0.form", "NFKC"),
        ("words.min-words=7", "curate.3.min_words", 7),
        ("words.keep=[fr]", "curate.3.keep", ("fr",)),
        ("words.keep.1=fr", "curate.3.keep", ("en", "fr")),
        ("train.tokens=1M", "train.tokens", 1_000_000),
        ("tokenizer.train.vocab_size=300", "tokenizer.train.vocab_size", 300),
        ("tokenizer.train.min_count=5", "tokenizer.train.min_count", 5),
        ("tokens.split.test=0.2", "tokens.split", {"validation": 0.01, "test": 0.2}),
        ("run.workers=2", "run.workers", 2),
        ("seed=5", "seed", 5),
        ("name=other", "name", "other"),
        ("files.label=mine", "sources.0.label", "mine"),
        ("sources.0.field=body", "sources.0.field", "body"),
        ("sources.files.field=body", "sources.0.field", "body"),
        ("train=null", "train", None),
    ],
)
def test_reaches(override: str, path: str, value: object) -> None:
    if override.startswith("tokens.split"):
        value = {"test": 0.2}  # a mapping that the recipe does not hold begins empty
    here: object = load(override)
    for segment in path.split("."):
        here = here[int(segment)] if segment.isdecimal() else getattr(here, segment)  # type: ignore[index]
    assert here == value


def test_the_rest_of_a_shorthand_stays() -> None:
    recipe = load("tokenizer.train.min_count=5", "curate.1.words_file=/w.txt")
    assert recipe.tokenizer.train.vocab_size == 8000  # type: ignore[union-attr]
    assert recipe.curate[1].threshold == 0.9  # type: ignore[attr-defined]


def test_the_last_of_two_wins() -> None:
    assert load("seed=1", "seed=2").seed == 2


@pytest.mark.parametrize(
    ("override", "words"),
    [
        (
            "near_dedup.threshold=0.5",
            "step near_dedup (curate.1, at r.yaml:6:17) or step near-dedup called late",
        ),
        ("near_dedup.threshold=0.5", "write curate.1.threshold or curate.2.threshold"),
        ("curate.near_dedup.threshold=0.5", "could mean 2 places"),
        ("threshold=0.5", "curate.1.threshold or late.threshold"),
        ("tokens_.x=1", "did you mean 'tokens'?"),
        ("vocab_size=300", "did you mean 'tokenizer.train.vocab_size'?"),
        ("wrods.min_words=3", "did you mean 'words'?"),
        ("words.min_word=3", "did you mean 'min_words'?"),
        ("words.min_words=-3", "0 or more"),
        ("words.min_words=many", "a whole number"),
        ("curate.9.threshold=1", "0 to 3"),
        ("curate.later.threshold=1", "did you mean 'late'?"),
        ("words.keep.5=fr", "a list of 2"),
        ("words.min_words.x=fr", "no field 'x'"),
        ("words.keep=[fr", "not valid YAML"),
        ("words.min_words", "an equals sign"),
        ("=3", "an equals sign"),
        ("words..min_words=3", "empty part"),
        ("seed=-1", "whole number from 0"),
        ("curate.0=nothing", "named settings"),
    ],
)
def test_refuses(override: str, words: str) -> None:
    with pytest.raises(UserError) as caught:
        load(override)
    assert words in str(caught.value)
    assert caught.value.where == f"--set {override}"


def test_an_option_of_its_own_takes_the_blame() -> None:
    with pytest.raises(UserError) as caught:
        load(Override("run.workers", "-8", "--workers -8"))
    assert caught.value.where == "--workers -8"


def test_a_step_that_the_recipe_does_not_use() -> None:
    with pytest.raises(UserError, match="this recipe does not use it"):
        load_recipe(
            "name: x\nsources: [pages]\n", ["near_dedup.threshold=1"], registry=REGISTRY, origin="r.yaml"
        )


def test_a_step_and_a_section_of_one_name() -> None:
    text = "name: x\nsources: [pages]\ncurate: [words: {id: run}]\n"
    with pytest.raises(UserError, match="could mean 2 places") as caught:
        load_recipe(text, ["run.workers=1"], registry=REGISTRY)
    assert "the section run" in str(caught.value)
