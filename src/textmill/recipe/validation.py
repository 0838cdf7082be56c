"""From a tree of YAML values to one settings object, with mistakes told in the user's terms.

pydantic judges; here its verdicts get the place in the file, what was expected in words, what was found, and
the nearest right name.
"""

from __future__ import annotations

import os
import types
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from textmill.errors import UserError
from textmill.recipe.mistakes import (
    did_you_mean,
    resolve_reference,
    same_name,
    schema_at,
    schema_in_words,
    value_in_words,
)
from textmill.recipe.syntax import Node
from textmill.steps.settings import RelativeToRecipe, Settings

Model = TypeVar("Model", bound=Settings)


def build_settings(model: type[Model], node: Node, label: str, mistakes: list[UserError]) -> Model | None:
    """An object of ``model`` from what stands at ``node``.

    Args:
        model: the settings class.
        node: a mapping, nothing (all defaults), or a bare value where the class has a shorthand.
        label: what messages call it: ``near_dedup``.
        mistakes: gets whatever is wrong.

    Returns:
        The object, or None when something was added to ``mistakes``.
    """
    count = len(mistakes)
    ready = _prepare(model, node, label, mistakes)
    if ready is None or len(mistakes) > count:
        return None
    try:
        return model.model_validate(ready.plain())
    except ValidationError as error:
        mistakes.extend(_translate(error, model, ready, label))
    except UserError as error:
        error.where = error.where or ready.place.where
        mistakes.append(error)
    return None


def nested_model(annotation: Any) -> type[BaseModel] | None:
    """The settings class inside a field's annotation, when there is exactly one."""
    models = [leaf for leaf in _leaves(annotation) if isinstance(leaf, type) and issubclass(leaf, BaseModel)]
    return models[0] if len(models) == 1 else None


def _prepare(model: type[BaseModel], node: Node, label: str, mistakes: list[UserError]) -> Node | None:
    """The node as a mapping with the fields' own names, absolute paths, and nested settings likewise."""
    value = node.value
    if value is None:
        return Node({}, node.place, node.key_place)
    if not isinstance(value, dict):
        shorthand = getattr(model, "shorthand", None)
        if shorthand is None:
            mistakes.append(
                UserError(
                    f"{label} takes named settings.",
                    expected="settings: " + (", ".join(model.model_fields) or "none"),
                    found=value_in_words(node.plain()),
                    where=node.place.where,
                    hint=f"write {label}: {{{next(iter(model.model_fields), 'name')}: ...}}",
                )
            )
            return None
        value = {shorthand: Node(value, node.place, node.key_place)}
    prepared: dict[str, Node] = {}
    for key, child in value.items():
        name = key if key in model.model_fields else same_name(key)
        if name not in model.model_fields:
            prepared[key] = child
            continue
        if name in prepared:
            mistakes.append(
                UserError(
                    f"{label} has the field {name!r} twice.",
                    expected="each field once; dashes and underscores are equal",
                    where=(child.key_place or child.place).where,
                    hint="delete one of the two",
                )
            )
        field = model.model_fields[name]
        annotation: Any = (
            Annotated[(field.annotation, *field.metadata)] if field.metadata else field.annotation
        )
        prepared[name] = _prepare_field(annotation, child, f"{label}.{name}", mistakes)
    return Node(prepared, node.place, node.key_place)


def _prepare_field(annotation: Any, node: Node, label: str, mistakes: list[UserError]) -> Node:
    mark = _path_mark(annotation)
    if mark is not None:
        node = _anchor(node, mark.only)
    leaves = list(_leaves(annotation))
    if isinstance(node.value, bool) and not _allows_bool(leaves):
        # pydantic would read true as 1; a person who wrote it meant something else.
        expected = "a number" if {int, float} & set(leaves) else "another type"
        mistakes.append(
            UserError(
                f"{label} is no yes-or-no field.",
                expected=expected,
                found=value_in_words(node.value),
                where=node.place.where,
            )
        )
    model = nested_model(annotation)
    if model is None:
        return node
    if isinstance(node.value, dict) and not _holds_mapping(annotation):
        return _prepare(model, node, label, mistakes) or node
    if isinstance(node.value, dict):
        inside = {
            key: _prepare(model, child, f"{label}.{key}", mistakes) or child
            for key, child in node.value.items()
        }
        return Node(inside, node.place, node.key_place)
    if isinstance(node.value, list):
        items = [
            _prepare(model, child, f"{label}.{i}", mistakes) or child for i, child in enumerate(node.value)
        ]
        return Node(items, node.place, node.key_place)
    bare = isinstance(node.value, str | int | float) and getattr(model, "shorthand", None) is not None
    if bare and all(leaf in (model, type(None)) for leaf in leaves):
        return _prepare(model, node, label, mistakes) or node
    return node


def _leaves(annotation: Any) -> Iterator[Any]:
    """The types at the ends of a (nested) annotation."""
    origin = get_origin(annotation)
    if origin is Literal:
        yield annotation
    elif origin is Annotated:
        yield from _leaves(get_args(annotation)[0])
    elif get_args(annotation):
        for inner in get_args(annotation):
            if inner is not Ellipsis:
                yield from _leaves(inner)
    else:
        yield annotation


def _allows_bool(leaves: Sequence[Any]) -> bool:
    if any(leaf in (bool, Any, object) for leaf in leaves):
        return True
    # Only plain scalars are sure to refuse; whatever else the type is, pydantic knows better.
    return not all(leaf in (int, float, str, type(None)) for leaf in leaves)


def _holds_mapping(annotation: Any) -> bool:
    origin = get_origin(annotation)
    if origin in (Union, types.UnionType, Annotated):
        return any(_holds_mapping(inner) for inner in get_args(annotation))
    return isinstance(origin, type) and issubclass(origin, dict)


def _path_mark(annotation: Any) -> RelativeToRecipe | None:
    """The mark that says that a field names files, if it has one."""
    inner = get_args(annotation)
    if get_origin(annotation) is Literal:
        return None
    if get_origin(annotation) is Annotated:
        mark = next((one for one in inner[1:] if isinstance(one, RelativeToRecipe)), None)
        return mark or _path_mark(inner[0])
    return next((mark for mark in map(_path_mark, inner) if mark is not None), None)


def _anchor(node: Node, only: str) -> Node:
    """The node with relative paths made absolute, against the folder of whoever wrote them."""
    if isinstance(node.value, list):
        return Node([_anchor(child, only) for child in node.value], node.place, node.key_place)
    if isinstance(node.value, dict):
        inside = {key: _anchor(child, only) for key, child in node.value.items()}
        return Node(inside, node.place, node.key_place)
    if not isinstance(node.value, str) or not node.value or "://" in node.value or "::" in node.value:
        return node
    if only not in node.value:
        return node
    path = Path(node.place.folder, Path(node.value).expanduser())
    return Node(os.path.normpath(Path.cwd() / path), node.place, node.key_place)


def _translate(error: ValidationError, model: type[BaseModel], node: Node, label: str) -> list[UserError]:
    schema = model.model_json_schema()
    definitions = schema.get("$defs", {})
    told: dict[tuple[int, str], UserError] = {}
    for detail in error.errors(include_url=False):
        loc = detail["loc"]
        here, path = _follow(node, loc)
        name = ".".join([label, *map(str, path)])
        kind = detail["type"]
        expected = schema_in_words(schema_at(schema, path), definitions)
        # Every branch of a union fails by itself; to the user it is one mistake.
        key = (id(here), str(loc[-1]) if kind == "missing" else "")
        if key in told:
            continue
        if kind == "extra_forbidden":
            told[key] = _unknown_field(here, name, schema_at(schema, path[:-1]), definitions)
        elif kind == "missing":
            field = schema_at(schema, [*path, loc[-1]])
            about = _first_sentence(field.get("description"))
            told[key] = UserError(
                f"{name} needs {str(loc[-1])!r}.",
                expected=f"{loc[-1]}: {schema_in_words(field, definitions)}"
                + (f" ({about})" if about else ""),
                found=value_in_words(here.plain()),
                where=(here.key_place or here.place).where,
            )
        elif kind in ("value_error", "assertion_error"):
            cause = detail.get("ctx", {}).get("error")
            text = str(cause) if cause is not None else detail["msg"]
            told[key] = UserError(
                f"{name}: {text}",
                found=value_in_words(here.plain()),
                where=here.place.where if path else (here.key_place or here.place).where,
            )
        else:
            hint = None
            about = _first_sentence(schema_at(schema, path).get("description"))
            if kind == "string_type":
                hint = "put quotes around it if it is meant as text"
            elif isinstance(here.value, str) and kind in ("literal_error", "enum"):
                hint = did_you_mean(here.value, _choices(schema_at(schema, path), definitions))
            bound = _BOUNDS.get(kind)
            if bound and str(limit := detail["ctx"][bound[1]]) not in expected:
                # Numbers with a unit have no bound in their schema.
                expected += f", {bound[0]} {limit}"
            told[key] = UserError(
                f"{name} cannot be {value_in_words(here.plain())}.",
                expected=f"{expected} ({about})" if about else expected,
                found=value_in_words(here.plain()),
                where=here.place.where,
                hint=hint,
            )
    return list(told.values())


_BOUNDS = {
    "greater_than_equal": ("at least", "ge"),
    "greater_than": ("above", "gt"),
    "less_than_equal": ("at most", "le"),
    "less_than": ("below", "lt"),
}


def _follow(node: Node, loc: Sequence[str | int]) -> tuple[Node, list[str | int]]:
    """The deepest node on the way ``loc``, and the part of ``loc`` that names it.

    pydantic puts names of union branches and validators into the way; they are no keys and are skipped.
    """
    path: list[str | int] = []
    for segment in loc:
        if isinstance(node.value, dict):
            child = node.value.get(str(segment))
        elif isinstance(node.value, list) and isinstance(segment, int) and segment < len(node.value):
            child = node.value[segment]
        else:
            child = None
        if child is None:
            continue
        node = child
        path.append(segment)
    return node, path


def _unknown_field(node: Node, name: str, parent: Any, definitions: Any) -> UserError:
    fields: dict[str, None] = {}
    for branch in (parent, *parent.get("anyOf", ()), *parent.get("oneOf", ())):
        fields |= dict.fromkeys(resolve_reference(branch, definitions).get("properties", {}))
    owner, _, field = name.rpartition(".")
    return UserError(
        f"{owner} has no field {field!r}.",
        expected="one of: " + ", ".join(fields) if fields else f"no fields: {owner} takes none",
        found=field,
        where=(node.key_place or node.place).where,
        hint=did_you_mean(field, fields),
    )


def _choices(schema: Any, definitions: Any) -> list[str]:
    schema = resolve_reference(schema, definitions)
    if "enum" in schema:
        return [str(value) for value in schema["enum"]]
    return [c for branch in schema.get("anyOf", ()) for c in _choices(branch, definitions)]


def _first_sentence(text: str | None) -> str | None:
    return text.split("\n\n")[0].replace("\n", " ").split(". ")[0].rstrip(".") if text else None
