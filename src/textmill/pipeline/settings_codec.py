"""Settings as plain JSON values, so that tasks can travel to workers and a failed one can be run by hand."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any, TypeVar

from textmill.errors import UserError
from textmill.steps.imported import code_digest, import_class, reference_of
from textmill.steps.settings import Settings, StepSettings
from textmill.steps.source import SourceSettings

Kind = TypeVar("Kind", bound=Settings)


def encode(settings: Settings) -> dict[str, Any]:
    """``{"class": "package.module:Class", "values": {...}}``.

    A class that a recipe names by import path also has the ``folder`` to look in and the ``code``'s SHA-256;
    one from a file stands as ``/path/file.py:Class``.
    """
    kind = type(settings)
    values = settings.model_dump(mode="json")
    reference = reference_of(kind)
    if reference is None:
        return {"class": f"{kind.__module__}:{kind.__qualname__}", "values": values}
    return {"class": reference.path, "folder": reference.folder, "code": code_digest(kind), "values": values}


def decode(encoded: dict[str, Any], kind: type[Kind]) -> Kind:
    """The inverse of :func:`encode`; the class must be a ``kind``.

    Raises:
        TypeError: it is not.
        UserError: a class of the user's own cannot be imported, or was edited since the run began.
    """
    found: Any = _imported(encoded, kind) if "folder" in encoded else _by_name(encoded["class"])
    if not (isinstance(found, type) and issubclass(found, kind)):
        raise TypeError(f"{encoded['class']} is no {kind.__name__}")
    return found.model_validate(encoded["values"])


def _by_name(path: str) -> Any:
    module, _, name = path.partition(":")
    found: Any = importlib.import_module(module)
    for part in name.split("."):
        found = getattr(found, part, None)
        if found is None:
            raise UserError(
                f"A worker cannot find the class {name}.",
                expected="a class at the top level of a module that can be imported",
                found=path,
                hint="move it from the script or function into a module, or set run.engine to inline",
            )
    return found


def _imported(encoded: dict[str, Any], kind: type[Any]) -> type[Any]:
    base: Any = SourceSettings if issubclass(kind, SourceSettings) else StepSettings
    found: type[Any] = import_class(encoded["class"], base, Path(encoded["folder"]))
    if code_digest(found) != encoded["code"]:
        raise UserError(
            "The source of a step was edited while the run was at work.",
            where=encoded["class"],
            hint="run the same command again: the step is then done anew with the new source",
        )
    return found
