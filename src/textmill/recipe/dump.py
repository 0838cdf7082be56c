"""A recipe as canonical YAML with every default written out, and the JSON schema that editors use."""

from __future__ import annotations

from collections.abc import Mapping
from io import StringIO
from typing import Any

from ruamel.yaml import YAML

from textmill.recipe.kinds import written_name
from textmill.recipe.model import STAGE_SECTIONS, Recipe, Registry, RunSection, default_registry
from textmill.steps.imported import REFERENCE_PATTERN
from textmill.steps.settings import Settings


def dump_recipe(recipe: Recipe) -> str:
    """The recipe with all defaults, as YAML: loading it again gives an equal recipe; equal recipes give
    equal text.
    """
    tree: dict[str, Any] = {"name": recipe.name, "seed": recipe.seed}
    tree["sources"] = [{written_name(source): _item(source)} for source in recipe.sources]
    tree["curate"] = [{written_name(step): _item(step)} for step in recipe.curate]
    for name, section in recipe.stages.items():
        tree[name] = section.model_dump(mode="json")
    tree["run"] = recipe.run.model_dump(mode="json")
    yaml = YAML(typ="rt", pure=True)
    yaml.default_flow_style = False
    yaml.width = 10**6  # a wrapped line would make the text depend on the emitter's version
    yaml.indent(mapping=2, sequence=4, offset=2)
    yaml.representer.add_representer(type(None), _null)
    stream = StringIO()
    yaml.dump(tree, stream)
    return stream.getvalue()


def json_schema(registry: Registry | None = None) -> dict[str, Any]:
    """The JSON schema (draft 2020-12) of recipes, for completion and checks in editors.

    In an editor with the YAML language server, the first line of a recipe names it:
    ``# yaml-language-server: $schema=recipe.schema.json``.
    """
    registry = registry or default_registry()
    definitions: dict[str, Any] = {}
    properties: dict[str, Any] = {
        "name": Recipe.model_json_schema()["properties"]["name"],
        "seed": Recipe.model_json_schema()["properties"]["seed"],
        "sources": _list_of(registry.sources, "source", definitions),
        "curate": _list_of(registry.steps, "step", definitions),
    }
    for name in STAGE_SECTIONS:
        if name in registry.sections:
            properties[name] = _settings(registry.sections[name], f"section.{name}", definitions)
    properties["run"] = _settings(RunSection, "section.run", definitions)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "textmill recipe",
        "type": "object",
        "additionalProperties": False,
        "properties": properties,
        "$defs": definitions,
    }


def _item(settings: Settings) -> dict[str, Any]:
    """The fields, without an id or label that was not given."""
    fields = settings.model_dump(mode="json")
    return {key: value for key, value in fields.items() if value is not None or key not in ("id", "label")}


def _list_of(
    registry: Mapping[str, type[Settings]], kind: str, definitions: dict[str, Any]
) -> dict[str, Any]:
    """A list whose items are a bare name or a mapping of one name to its settings."""
    named = [
        {
            "type": "object",
            "properties": {name: _settings(model, f"{kind}.{name}", definitions)},
            "required": [name],
            "additionalProperties": False,
        }
        for name, model in registry.items()
    ]
    bare = {"enum": list(registry), "description": f"A {kind} with its defaults."}
    own = f"A {kind} of your own, by import path: package.module:Class or file.py:Class."
    imported = [
        {"type": "string", "pattern": REFERENCE_PATTERN, "description": own},
        {
            "type": "object",
            "patternProperties": {REFERENCE_PATTERN: {}},
            "minProperties": 1,
            "maxProperties": 1,
            "additionalProperties": False,
            "description": own,
        },
    ]
    return {"type": ["array", "null"], "items": {"anyOf": [bare, *named, *imported]}}


def _settings(model: type[Settings], key: str, definitions: dict[str, Any]) -> dict[str, Any]:
    """A reference to the schema of ``model``, with its nested definitions under names of their own."""
    schema = model.model_json_schema(ref_template=f"#/$defs/{key}.{{model}}")
    for name, nested in schema.pop("$defs", {}).items():
        definitions[f"{key}.{name}"] = nested
    schema["type"] = ["object", "null"]
    definitions[key] = schema
    choices: list[dict[str, Any]] = [{"$ref": f"#/$defs/{key}"}]
    if model.shorthand is not None:
        choices.append(schema["properties"][model.shorthand])
    return choices[0] if len(choices) == 1 else {"anyOf": choices}


def _null(representer: Any, _: None) -> Any:
    return representer.represent_scalar("tag:yaml.org,2002:null", "null")
