"""Settings: what a user may write for a step, with defaults, limits and units.

A settings class is frozen and import-light. Its docstring names the paper; each field carries a description
with its unit, from which the recipe reference and the editors' JSON schema are made.
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from textmill.errors import UserError

_DECIMAL = {"": 1, "k": 10**3, "m": 10**6, "b": 10**9, "g": 10**9, "t": 10**12}
_BINARY = {"": 1, "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12} | {
    "kib": 2**10,
    "mib": 2**20,
    "gib": 2**30,
    "tib": 2**40,
}


def _scaled(units: dict[str, int], kind: str, example: str) -> BeforeValidator:
    def parse(value: Any) -> Any:
        if not isinstance(value, str):
            return value
        match = re.fullmatch(r"\s*([0-9][0-9_]*(?:\.[0-9]+)?)\s*([A-Za-z]*)\s*", value)
        if not match or match[2].lower() not in units:
            raise ValueError(f"{value!r} is no {kind}; write it like {example}")
        number = float(match[1].replace("_", "")) * units[match[2].lower()]
        if number != int(number):
            raise ValueError(f"{value!r} is no whole number")
        return int(number)

    return BeforeValidator(parse, json_schema_input_type=int | str)


Count = Annotated[int, _scaled(_DECIMAL, "count", "2500000, 2.5M or 1B")]
"""A whole number that may be written as ``2.5B``: k, M, B (or G) and T are powers of ten."""

ByteSize = Annotated[int, _scaled(_BINARY, "size in bytes", "134217728, 128MiB or 2GB")]
"""Bytes, that may be written as ``128MiB`` or ``2GB``."""


@dataclass(frozen=True)
class RelativeToRecipe:
    """Marks a field that names files: the recipe's loader makes relative paths absolute.

    Attributes:
        only: a part that a value must hold to name a file; others stay as they are.
    """

    only: str = ""


InputPath = Annotated[str, RelativeToRecipe()]
"""A local path, a pattern or an fsspec URL. In a recipe file, relative to that file's folder; in ``--set``,
to the current folder."""


class Settings(BaseModel):
    """The base of everything that a recipe can hold.

    Class attributes:
        name: how a recipe calls it.
        version: raised whenever the same settings would give other results; part of the fingerprint.
        shorthand: the field that a bare value stands for (``near_dedup: 0.8``), if any.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)

    name: ClassVar[str] = ""
    version: ClassVar[int] = 1
    shorthand: ClassVar[str | None] = None

    @classmethod
    def variant(cls, written: Mapping[str, Any]) -> type[Settings]:
        """The class that takes these settings, as a recipe writes them: this one, unless one of them chooses."""
        return cls

    def files(self) -> list[str]:
        """Paths of local files (word lists, models) whose contents decide results."""
        return []

    def code(self) -> str:
        """Source text of user-written code that decides results; empty for the mill's own steps.

        For a class from outside textmill it is the source of the module that defines it, and of those that
        define its parents.
        """
        return module_source(type(self))

    def fingerprint(self) -> str:
        """SHA-256 over settings, version, contents of named files and user code, as hexadecimal digits."""
        parts = {
            "name": self.name,
            "version": self.version,
            "settings": self.model_dump(mode="json", exclude=set(self.cosmetic_fields())),
            "files": [_file_digest(Path(path), self.name) for path in self.files()],
            "code": self.code(),
        }
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()

    @classmethod
    def cosmetic_fields(cls) -> tuple[str, ...]:
        """Fields that change no result (where to log, how many threads) and stay out of the fingerprint."""
        return ()


class StepSettings(Settings):
    """Settings of a step in ``curate:``; a step used twice takes an ``id``."""

    id: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z][A-Za-z0-9_-]*$",
        description="Name of this use of the step, when it is used more than once.",
    )

    @property
    def step_id(self) -> str:
        """What the ledger, the scores and overrides call this step."""
        return self.id or self.name


_NOT_USERS = frozenset({"textmill", "pydantic", *sys.builtin_module_names, *sys.stdlib_module_names}) - {
    "__main__"
}


def module_source(cls: type) -> str:
    """Source of the modules outside textmill that define ``cls`` and its parents; empty where there is none."""
    modules = dict.fromkeys(
        parent.__module__ for parent in cls.__mro__ if parent.__module__.partition(".")[0] not in _NOT_USERS
    )
    return "".join(_source_of_module(name) for name in modules)


@cache
def _source_of_module(name: str) -> str:
    # Read once: what is asked later must be what was imported, not what has been edited since.
    file = getattr(sys.modules.get(name), "__file__", None)
    try:
        return Path(file).read_text("utf-8", "replace") if file else ""
    except OSError:
        return ""


def _file_digest(path: Path, name: str) -> str:
    digest = hashlib.sha256()
    try:
        with path.open("rb") as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
    except OSError as error:
        raise UserError(
            f"A file that {name} needs cannot be read.",
            expected="a file",
            found=error.strerror or str(error),
            where=str(path.absolute()),
            hint=f"check the settings of {name}",
        ) from error
    return digest.hexdigest()
