"""The canonical dump of everything the mill has, and the schema that editors use."""

from __future__ import annotations

import json
from typing import Any

import pytest

from textmill.recipe import default_registry, dump_recipe, json_schema, load_recipe
from textmill.recipe.mistakes import resolve_reference

from .registry import REGISTRY
from .test_loading import BASE

REAL = """\
name: real
sources: [python_docs, {files: /data}]
curate: [normalize, language, gopher_quality, gopher_repetition, exact_dedup]
tokenizer: {train: {vocab_size: 4096}}
tokens: {seq_len: 256}
train: {tokens: 2.5M}
evaluate: {}
"""


def test_every_default_is_written_and_loads_again() -> None:
    recipe = load_recipe(REAL)
    text = dump_recipe(recipe)
    again = load_recipe(text)
    assert again == recipe
    assert dump_recipe(again) == text
    for step in recipe.curate:
        for field in type(step).model_fields:
            assert field == "id" or f"      {field}:" in text


def test_strange_values_survive() -> None:
    for name in ("no", "1e5", "null", "0x10", "2026-10-01", "#x", "a: b", "ü\t\n", "'", " x ", "~", "<<"):
        recipe = load_recipe(
            {"name": "x", "sources": [{"files": {"path": "/a", "field": name}}]}, registry=REGISTRY
        )
        assert load_recipe(dump_recipe(recipe), registry=REGISTRY) == recipe


def test_the_schema_covers_all_that_is_registered() -> None:
    schema = json_schema()
    text = json.dumps(schema)
    registry = default_registry()
    for name in (*registry.sources, *registry.steps, *registry.sections):
        assert f'"{name}"' in text
    for reference in _references(schema):
        assert resolve_reference({"$ref": reference}, schema["$defs"])


def _references(schema: Any) -> list[str]:
    if isinstance(schema, dict):
        own = [schema["$ref"]] if isinstance(schema.get("$ref"), str) else []
        return own + [ref for child in schema.values() for ref in _references(child)]
    if isinstance(schema, list):
        return [ref for child in schema for ref in _references(child)]
    return []


@pytest.mark.parametrize(
    ("change", "valid"),
    [
        ({}, True),
        ({"curate": ["normalize", {"near_dedup": 0.5}, {"words": None}]}, True),
        ({"curate": ["normalise"]}, False),
        ({"curate": [{"near_dedup": {"threshold": 2}}]}, False),
        ({"curate": [{"words": {"min_word": 2}}]}, False),
        ({"train": {"tokens": "2.5B"}}, True),
        ({"train": {"preset": "huge"}}, False),
        ({"tokenizer": {"train": {"vocab_size": 3}}}, False),
        ({"section": {}}, False),
    ],
)
def test_the_schema_judges_as_the_loader_does(change: dict[str, Any], valid: bool) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    from textmill.recipe.syntax import parse_yaml

    plain = parse_yaml(BASE, "r.yaml", folder=None).plain()  # type: ignore[arg-type]
    plain["curate"] = ["normalize"]
    plain["tokenizer"] = {"train": {"vocab_size": 8000}}
    validator = jsonschema.Draft202012Validator(json_schema(REGISTRY))
    validator.check_schema(json_schema(REGISTRY))
    assert validator.is_valid(plain | change) == valid
