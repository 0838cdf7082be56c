"""Sums that consolidated files are expected to have, by name or from a file. There is no default."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from textmill.errors import UserError
from textmill.tokens.consolidated import IDS_BIN, TOKENS_BIN, Part


@dataclass(frozen=True)
class Expectation:
    """What ``tokens.bin`` and ``sample_ids.bin`` should be.

    Attributes:
        tokens: elements and SHA-256 of ``tokens.bin``.
        ids: of ``sample_ids.bin``.
        sample_ids: how the ids were computed, when that is known.
    """

    tokens: Part
    ids: Part
    sample_ids: Literal["correct", "upstream"] | None = None


# The full set that Templar published; its ids are those of the original's own code.
PUBLISHED = {
    "templar-150b": Expectation(
        Part(
            TOKENS_BIN,
            161_061_273_600,
            "4c53d81b27b059e83b0cde7f97fc9877572cf5081eb0a2ebec9b0fc00e79a931",
        ),
        Part(IDS_BIN, 78_643_200, "95dcefad84cae66784a09e938d5136dcb32b326243b67389d7ca82fc3cce3f3f"),
        "upstream",
    )
}


def read_expectation(name: str) -> Expectation:
    """A published set by its name, or a JSON file: a ``consolidated.json``, or one of the same two entries.

    The entries are ``"tokens"`` and ``"ids"``, each ``{"elements": ..., "sha256": "..."}``.

    Raises:
        UserError: neither a name nor such a file.
    """
    if name in PUBLISHED:
        return PUBLISHED[name]
    path = Path(name)
    try:
        value = json.loads(path.read_text("utf-8"))
        mode = value.get("sample_ids")
        if mode not in (None, "correct", "upstream"):
            raise ValueError(f"sample_ids is {mode!r}, not correct or upstream")
        return Expectation(_part(TOKENS_BIN, value["tokens"]), _part(IDS_BIN, value["ids"]), mode)
    except (OSError, AttributeError, KeyError, TypeError, ValueError) as error:
        described = f"no entry {error}" if isinstance(error, KeyError) else str(error)
        raise UserError(
            "The expected sums cannot be read.",
            expected=f"{' or '.join(PUBLISHED)}, or a JSON file with tokens and ids: "
            '{"tokens": {"elements": 4096, "sha256": "..."}, "ids": {...}}',
            found=described,
            where=f"--expect {name}",
            hint="consolidated.json of another run will do",
        ) from None


def _part(name: str, value: Any) -> Part:
    sha256 = value["sha256"].lower()
    if len(sha256) != 64 or set(sha256) - set("0123456789abcdef"):
        raise ValueError(f"the sha256 of {name} is not 64 hexadecimal digits")
    return Part(name, int(value["elements"]), sha256)
