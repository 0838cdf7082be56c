"""The packaged recipe ``quickstart`` loads, and its thresholds are those that its comments explain."""

from __future__ import annotations

from importlib.resources import as_file, files

from textmill.curate import GopherQuality, GopherRepetition
from textmill.recipe import load_recipe


def test_quickstart_loads() -> None:
    with as_file(files("textmill").joinpath("recipes", "quickstart.yaml")) as path:
        recipe = load_recipe(path)
        lines = path.read_text().splitlines()
    assert [step.name for step in recipe.curate] == [
        "extract",
        "normalize",
        "language",
        "gopher_quality",
        "gopher_repetition",
        "exact_dedup",
        "near_dedup",
    ]
    for step in recipe.curate:
        if isinstance(step, GopherQuality | GopherRepetition):
            changed = step.model_fields_set
            assert changed
            # Every number that differs from the paper's stands in the recipe below or beside a reason.
            for name in changed:
                (place,) = [number for number, line in enumerate(lines) if f"{name}:" in line]
                nearby = lines[max(0, place - 6) : place + 1]
                assert any("#" in line for line in nearby), name
