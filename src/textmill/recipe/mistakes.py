"""Mistakes in a recipe: one error for all of them, values and types in words, and the nearest right name."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from textmill.errors import UserError

_SHOWN = 8


class RecipeError(UserError):
    """All mistakes found in one recipe.

    Attributes:
        mistakes: each by itself, in the order in which they were found.
    """

    def __init__(self, origin: str, mistakes: Sequence[UserError]) -> None:
        first = mistakes[0]
        super().__init__(
            first.message, expected=first.expected, found=first.found, where=first.where, hint=first.hint
        )
        self.origin = origin
        self.mistakes = list(mistakes)

    def __str__(self) -> str:
        if len(self.mistakes) == 1:
            return str(self.mistakes[0])
        parts = [f"{len(self.mistakes)} mistakes in {self.origin}"]
        parts += [f"{i}. {mistake}" for i, mistake in enumerate(self.mistakes[:_SHOWN], 1)]
        if len(self.mistakes) > _SHOWN:
            parts.append(f"... and {len(self.mistakes) - _SHOWN} more")
        return "\n\n".join(parts)


def same_name(name: str) -> str:
    """The form in which two names are compared: dashes and underscores are equal."""
    return name.replace("-", "_")


def did_you_mean(name: str, allowed: Iterable[str]) -> str | None:
    """``did you mean 'threshold'?``, or None when nothing is near."""
    names = list(allowed)
    close = difflib.get_close_matches(same_name(name).lower(), [n.lower() for n in names], n=1, cutoff=0.55)
    for candidate in names:
        if close and candidate.lower() == close[0]:
            return f"did you mean {candidate!r}?"
    return None


def value_in_words(value: Any) -> str:
    """What a user wrote, short: ``text 'abc'``, ``a list of 3``."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return f"{str(value).lower()} (a yes-or-no value)"
    if isinstance(value, str):
        return f"text {value if len(value) <= 60 else value[:57] + '...'!r}"
    if isinstance(value, int | float):
        return f"the number {value}"
    if isinstance(value, Mapping):
        keys = ", ".join(map(str, list(value)[:5]))
        return f"settings ({keys})" if keys else "empty settings"
    if isinstance(value, Sequence):
        return f"a list of {len(value)}"
    return repr(value)


def schema_in_words(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> str:
    """A JSON schema in words: ``a whole number, 1 or more``; ``one of: all, survivors``."""
    schema = resolve_reference(schema, definitions)
    if "const" in schema:
        return repr(schema["const"])
    if "enum" in schema:
        return "one of: " + ", ".join(str(value) for value in schema["enum"])
    for union in ("anyOf", "oneOf"):
        if union in schema:
            # A number that may carry a unit ("2.5B") is one thing to a reader, not two types.
            branches = [schema_in_words(branch, definitions) for branch in schema[union]]
            branches = [branch for branch in branches if branch != "nothing"]
            if len(branches) == 2 and branches[0].startswith("a whole number") and branches[1] == "text":
                return f"{branches[0]}, with or without a unit"
            return " or ".join(dict.fromkeys(branches)) or "nothing"
    kind = schema.get("type")
    if kind in ("integer", "number"):
        return ("a whole number" if kind == "integer" else "a number") + _range_in_words(schema)
    if kind == "string":
        pattern = f" matching {schema['pattern']}" if "pattern" in schema else ""
        return ("text, not empty" if schema.get("minLength") == 1 else "text") + pattern
    if kind == "boolean":
        return "true or false"
    if kind == "null":
        return "nothing"
    if kind == "array":
        return f"a list of: {schema_in_words(schema.get('items', {}), definitions)}"
    if kind == "object":
        fields = schema.get("properties")
        return "settings: " + ", ".join(fields) if fields else "settings"
    return "any value"


def schema_at(schema: Mapping[str, Any], loc: Sequence[str | int]) -> Mapping[str, Any]:
    """The part of a JSON schema that describes the value at ``loc``, as far as it can be followed."""
    definitions: Mapping[str, Any] = schema.get("$defs", {})
    here = resolve_reference(schema, definitions)
    for segment in loc:
        for branch in _branches(here, definitions):
            if segment in branch.get("properties", {}):
                here = resolve_reference(branch["properties"][segment], definitions)
                break
            if isinstance(segment, int) and "items" in branch:
                here = resolve_reference(branch["items"], definitions)
                break
    return here


def resolve_reference(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> Mapping[str, Any]:
    """The schema itself, or the definition that it refers to."""
    while "$ref" in schema:
        schema = definitions[schema["$ref"].rsplit("/", 1)[-1]]
    return schema


def _branches(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    inner = [resolve_reference(s, definitions) for s in (*schema.get("anyOf", ()), *schema.get("oneOf", ()))]
    return [schema, *inner]


def _range_in_words(schema: Mapping[str, Any]) -> str:
    low, high = schema.get("minimum"), schema.get("maximum")
    above, below = schema.get("exclusiveMinimum"), schema.get("exclusiveMaximum")
    if low is not None and high is not None:
        return f" from {low:g} to {high:g}"
    parts = []
    if low is not None:
        parts.append(f"{low:g} or more")
    if above is not None:
        parts.append(f"above {above:g}")
    if high is not None:
        parts.append(f"{high:g} or less")
    if below is not None and below < 2**31:  # beyond that it is a computer's limit, not a reader's
        parts.append(f"below {below:g}")
    return ", " + " and ".join(parts) if parts else ""
