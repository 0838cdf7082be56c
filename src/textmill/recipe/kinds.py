"""What a name under ``sources:`` or ``curate:`` stands for: a kind of the mill's, or a class of the user's own."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from textmill.errors import UserError
from textmill.recipe.mistakes import same_name
from textmill.recipe.model import Registry
from textmill.recipe.syntax import Node
from textmill.steps.imported import import_class, reference_of
from textmill.steps.settings import Settings, StepSettings
from textmill.steps.source import SourceSettings

Item = TypeVar("Item", bound=Settings)

_BASES: dict[str, type[Any]] = {"sources": SourceSettings, "curate": StepSettings}


def is_import_path(written: str) -> bool:
    """Whether a name is an import path (``rules.py:NoTables``) rather than a name of the mill's."""
    return ":" in written


def canonical_name(written: str) -> str:
    """The form in which kinds are compared; an import path stands as it is."""
    return written if is_import_path(written) else same_name(written)


def known_kind(written: str, known: Mapping[str, type[Item]]) -> type[Item] | None:
    """The kind of the mill's that a name stands for."""
    return known.get(written) or known.get(same_name(written))


def imported_kind(section: str, written: str, folder: Path) -> type[Any]:
    """The class of the user's own that an import path names.

    Raises:
        UserError: it cannot be imported, or is none.
    """
    return import_class(written, _BASES[section], folder)


def kind_of(section: str, written: str, item: Node, registry: Registry) -> type[Settings] | None:
    """What the name of ``item`` stands for; None where it stands for nothing (the loader says why)."""
    known: Mapping[str, type[Settings]] = registry.sources if section == "sources" else registry.steps
    if not is_import_path(written):
        return known_kind(written, known)
    try:
        return imported_kind(section, written, item.place.folder)
    except UserError:
        return None


def written_name(settings: Settings) -> str:
    """What a recipe writes for a step or source: its import path if it came by one, else its name."""
    reference = reference_of(type(settings))
    if reference is not None:
        return reference.path
    # Built in Python of a class of the user's own, which nothing but its module can give back.
    return settings.name or f"{type(settings).__module__}:{type(settings).__qualname__}"
