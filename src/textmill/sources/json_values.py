"""``.json`` files that are no JSON lines: one array of records, or one record spread over lines."""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterator
from typing import Any

from textmill.sources.records import BadRecordError

_SPACE = " \t\r\n"


def holds_values(head: bytes) -> bool:
    """Whether a file that begins like this is an array, or a record that does not fit one line."""
    head = head.lstrip()
    return head[:1] == b"[" or (
        head[:1] == b"{" and not head[1:].split(b"\n", 1)[0].strip() and b"\n" in head
    )


def array_values(chunks: Iterator[bytes], encoding: str, limit: int) -> Iterator[Any]:
    """The elements of a JSON array one by one, or the one value that there is.

    Args:
        chunks: the file's bytes.
        encoding: a Python codec without byte-order mark.
        limit: most characters that one element may have.

    Raises:
        BadRecordError: broken JSON or bytes; what follows cannot be read.
    """
    window = _Window(chunks, encoding, limit)
    if window.peek() != "[":
        yield window.value()
        if window.peek():
            raise BadRecordError("broken JSON: more text behind the record")
        return
    window.skip()
    if window.peek() == "]":
        return
    while True:
        yield window.value()
        following = window.peek()
        if following == "":
            raise BadRecordError("broken JSON: the array has no end")
        if following not in ",]":
            raise BadRecordError(f"broken JSON: expected ',' or ']' after a record, found {following!r}")
        window.skip()
        if following == "]":
            if window.peek():
                raise BadRecordError("broken JSON: more text behind the array")
            return


class _Window:
    """A part of a text that grows until the next value fits."""

    def __init__(self, chunks: Iterator[bytes], encoding: str, limit: int) -> None:
        self._chunks = chunks
        self._decode = codecs.getincrementaldecoder(encoding)()
        self._limit = limit
        self._text = ""
        self._at = 0
        self._ended = False
        self._json = json.JSONDecoder()

    def peek(self) -> str:
        """The next character that is not space, or nothing at the end."""
        while True:
            while self._at < len(self._text):
                if self._text[self._at] not in _SPACE:
                    return self._text[self._at]
                self._at += 1
            if self._ended:
                return ""
            self._grow(1)

    def skip(self) -> None:
        """Step over the character that :meth:`peek` showed."""
        self._at += 1

    def value(self) -> Any:
        """The next value."""
        self.peek()
        while True:
            try:
                value, end = self._json.raw_decode(self._text, self._at)
                # A number at the edge of the window may go on behind it.
                if end < len(self._text) or self._ended:
                    self._at = end
                    return value
                fault = "a value has no end"
            except json.JSONDecodeError as error:
                fault = f"broken JSON: {error.msg}"
            except RecursionError:
                raise BadRecordError("broken JSON: nested too deeply") from None
            except ValueError as error:
                raise BadRecordError(f"broken JSON: {error}") from None
            have = len(self._text) - self._at
            if self._ended:
                raise BadRecordError(fault)
            if have > self._limit:
                raise BadRecordError(
                    f"{fault}, or the record is longer than max_document_bytes ({self._limit})"
                )
            self._grow(max(1, have))  # doubled, so that a large value is not parsed over and over

    def _grow(self, characters: int) -> None:
        parts = [self._text[self._at :]]
        self._at = 0
        while characters > 0 and not self._ended:
            chunk = next(self._chunks, None)
            self._ended = chunk is None
            try:
                text = self._decode.decode(chunk or b"", final=self._ended)
            except UnicodeDecodeError as error:
                raise BadRecordError(
                    f"no valid {self._decode.__class__.__module__}: {error.reason}"
                ) from None
            characters -= len(text)
            parts.append(text)
        self._text = "".join(parts)
