"""Looking at a tokenizer: what it makes of a text, and how healthy its vocabulary is."""

from __future__ import annotations

import html
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from textmill.tokenizer.encode import Encoder
from textmill.tokenizer.fast.encoder import byte_alphabet
from textmill.tokenizer.folder import TOKENIZER, tokenizer_files

# An entry of more bytes than any word has: a line of dashes, a licence header, a run of spaces.
OVERLONG_BYTES = 32
COLOURS = ("#fde2b3", "#cfe8fc", "#d8f5c9", "#f6d0de", "#e3d9fb", "#d3f3ee")


@dataclass(frozen=True)
class Entry:
    """One entry of a vocabulary: its id, its bytes, and whether it is a special token."""

    id: int
    content: bytes
    special: bool

    @property
    def is_text(self) -> bool:
        """Whether the bytes are UTF-8 by themselves, rather than a part of a character."""
        try:
            self.content.decode()
        except UnicodeDecodeError:
            return False
        return True

    def shown(self) -> str:
        """The entry for people: text as it is, what cannot be seen as an escape."""
        if not self.is_text:
            return "".join(f"\\x{byte:02x}" for byte in self.content)
        text = self.content.decode()
        visible = {" ": " ", "\n": "\\n", "\t": "\\t", "\r": "\\r"}
        return "".join(
            visible.get(c, c if c.isprintable() else c.encode("unicode_escape").decode()) for c in text
        )


@dataclass(frozen=True)
class Health:
    """What a vocabulary is made of.

    Attributes:
        entries: all of them.
        special: special and added tokens.
        merges: merges of the model.
        not_text: entries of several bytes that are no UTF-8 by themselves (half characters).
        overlong: entries of more than :data:`OVERLONG_BYTES` bytes, longest first.
        unused: entries that a sample did not use, special ones left out; None without a sample.
        missing_bytes: bytes that no entry stands for.
    """

    entries: int
    special: int
    merges: int
    not_text: tuple[Entry, ...]
    overlong: tuple[Entry, ...]
    unused: tuple[Entry, ...] | None
    missing_bytes: tuple[int, ...]


def read_vocabulary(path: Path) -> list[Entry]:
    """The entries of the tokenizer at ``path``, by id.

    Byte-level vocabularies spell bytes as printable characters; those are turned back. Others stand for their
    own UTF-8.

    Raises:
        UserError: there is no tokenizer.
    """
    parsed = _parsed(path)
    added = {token["id"]: token["content"] for token in parsed.get("added_tokens", ())}
    byte_of = {character: byte for byte, character in enumerate(byte_alphabet())}
    byte_level = "ByteLevel" in json.dumps([parsed.get("pre_tokenizer"), parsed.get("decoder")])
    entries = {}
    for word, number in _words(parsed["model"]):
        spelled = byte_level and all(character in byte_of for character in word)
        content = bytes(byte_of[character] for character in word) if spelled else word.encode()
        entries[number] = Entry(number, content, number in added)
    entries |= {number: Entry(number, content.encode(), True) for number, content in added.items()}
    return [entries[number] for number in sorted(entries)]


def health(path: Path, used: npt.NDArray[np.int64] | None = None) -> Health:
    """What the vocabulary at ``path`` is made of.

    Args:
        path: the tokenizer's folder or ``tokenizer.json``.
        used: how often a sample used each id (shape (vocab_size,)), to find the ones it did not.
    """
    parsed = _parsed(path)
    entries = read_vocabulary(path)
    ordinary = [entry for entry in entries if not entry.special]
    single = {entry.content for entry in ordinary}
    overlong = [entry for entry in ordinary if len(entry.content) > OVERLONG_BYTES]
    return Health(
        entries=len(entries),
        special=len(entries) - len(ordinary),
        merges=len(parsed["model"].get("merges") or ()),
        not_text=tuple(entry for entry in ordinary if len(entry.content) > 1 and not entry.is_text),
        overlong=tuple(sorted(overlong, key=lambda entry: (-len(entry.content), entry.id))),
        unused=None if used is None else tuple(entry for entry in ordinary if not used[entry.id]),
        missing_bytes=tuple(byte for byte in range(256) if bytes([byte]) not in single),
    )


def tokens_of(encoder: Encoder, vocabulary: Sequence[Entry], text: str) -> list[Entry]:
    """The entries that a text becomes, in order."""
    entries = {entry.id: entry for entry in vocabulary}
    ids, _ = encoder.encode_batch([text])
    return [entries[int(number)] for number in ids]


def as_html(tokens: Iterable[Entry], title: str) -> str:
    """A page that shows each token in a colour of its own, with its id when the pointer rests on it."""
    spans = []
    for position, entry in enumerate(tokens):
        colour = COLOURS[position % len(COLOURS)]
        breaks = "\n" * entry.content.count(b"\n")
        spans.append(
            f'<span style="background:{colour}" title="{entry.id}: {len(entry.content)} bytes">'
            f"{html.escape(entry.shown())}</span>{breaks}"
        )
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{html.escape(title)}</title>'
        '<body style="font:16px/1.7 ui-monospace,monospace;max-width:60rem;margin:2rem auto;color:#111;'
        f'background:#fff"><h1 style="font-size:1.1rem">{html.escape(title)}: {len(spans):,} tokens</h1>'
        f'<pre style="white-space:pre-wrap;font:inherit">{"".join(spans)}</pre></body></html>\n'
    )


def _parsed(path: Path) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(tokenizer_files(path)[TOKENIZER].read_text("utf-8"))
    return value


def _words(model: dict[str, Any]) -> Iterable[tuple[str, int]]:
    vocabulary = model["vocab"]
    if isinstance(vocabulary, dict):
        return vocabulary.items()
    # Unigram models list pairs of entry and score.
    return ((entry[0], number) for number, entry in enumerate(vocabulary))
