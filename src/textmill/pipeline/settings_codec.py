"""Settings as plain JSON values, so that tasks can travel to workers and a failed one can be run by hand."""

from __future__ import annotations

import importlib
from typing import Any, TypeVar

from textmill.steps.settings import Settings

Kind = TypeVar("Kind", bound=Settings)


def encode(settings: Settings) -> dict[str, Any]:
    """``{"class": "package.module:Class", "values": {...}}``."""
    kind = type(settings)
    return {"class": f"{kind.__module__}:{kind.__qualname__}", "values": settings.model_dump(mode="json")}


def decode(encoded: dict[str, Any], kind: type[Kind]) -> Kind:
    """The inverse of :func:`encode`; the class must be a ``kind``.

    Raises:
        TypeError: it is not.
    """
    module, _, name = encoded["class"].partition(":")
    found: Any = importlib.import_module(module)
    for part in name.split("."):
        found = getattr(found, part)
    if not (isinstance(found, type) and issubclass(found, kind)):
        raise TypeError(f"{encoded['class']} is no {kind.__name__}")
    return found.model_validate(encoded["values"])
