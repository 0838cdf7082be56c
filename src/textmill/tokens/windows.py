"""Windows: what one row of a training batch is made of, as spans of a stream of tokens.

- :class:`StreamWindows`: one after the other through the stream, as in ``tokens.bin``, or overlapping.
- :class:`DocumentWindows`: the same inside of each document, none across two.
- :class:`PackedWindows`: whole documents packed together (:mod:`textmill.tokens.packing`), the rest padded.

Both say which documents a window holds, if they are told where documents begin: attention can then be kept
inside of each.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from textmill.errors import UserError
from textmill.tokens.borders import Borders
from textmill.tokens.packing import Packing


class Segments(NamedTuple):
    """The documents of some windows, one window after the other.

    Attributes:
        lengths: tokens of each document's part, shape (parts,).
        documents: numbers of the documents, shape (parts,).
        counts: parts of each window, shape (windows,).
    """

    lengths: npt.NDArray[np.int64]
    documents: npt.NDArray[np.int64]
    counts: npt.NDArray[np.int64]


class TokenStream(Protocol):
    """A split's tokens, one after the other: a ``TokenSet`` or ``ConsolidatedTokens``."""

    tokens: int
    dtype: np.dtype[Any]

    def read(self, start: int, stop: int) -> npt.NDArray[Any]:
        """Tokens ``start`` to ``stop``."""
        ...


class Windows(Protocol):
    """Numbered windows of at most ``length`` tokens."""

    length: int
    dtype: np.dtype[Any]
    has_borders: bool

    def __len__(self) -> int: ...

    def read(self, window: int, into: npt.NDArray[Any]) -> int:
        """Copy the tokens of a window to the front of ``into``; returns how many they are."""
        ...

    def segments(self, windows: npt.NDArray[np.int64]) -> Segments:
        """The documents of some windows."""
        ...

    def spans(self, window: int) -> list[tuple[int, int]]:
        """Where the tokens of a window stand in the stream: first and end of each piece, in order."""
        ...


class StreamWindows:
    """Window ``i`` begins at token ``i * (length - stride)`` of the stream.

    Args:
        tokens: the stream.
        length: tokens of a window.
        stride: tokens that a window shares with the one before it.
        min_tokens: a window that the end of the stream leaves shorter is dropped below this; only full ones
            are kept if left out.
        borders: where documents begin.

    Raises:
        UserError: ``stride`` leaves no step from window to window; borders of other tokens.
    """

    def __init__(
        self,
        tokens: TokenStream,
        length: int,
        *,
        stride: int = 0,
        min_tokens: int | None = None,
        borders: Borders | None = None,
    ) -> None:
        _check_stride(length, stride)
        if borders is not None and int(borders[-1]) != tokens.tokens:
            raise UserError(
                "The borders of the documents belong to other tokens.",
                expected=f"{tokens.tokens:,} tokens",
                found=f"{int(borders[-1]):,}",
            )
        self.length = length
        self.step = length - stride
        self.dtype = tokens.dtype
        self.has_borders = borders is not None
        self._tokens = tokens
        self._borders = borders
        least = length if min_tokens is None else max(1, min(min_tokens, length))
        # What only repeats the end of the window before it is none: it would hold no new token.
        full = max(0, (tokens.tokens - length) // self.step + 1)
        rest = tokens.tokens - full * self.step
        new = rest - stride if full else rest
        self._windows = full + (1 if new > 0 and rest >= least else 0)

    def __len__(self) -> int:
        return self._windows

    def span(self, window: int) -> tuple[int, int]:
        """First token and end of a window."""
        start = window * self.step
        return start, min(start + self.length, self._tokens.tokens)

    def read(self, window: int, into: npt.NDArray[Any]) -> int:
        """Copy the tokens of a window to the front of ``into``; returns how many they are."""
        start, stop = self.span(window)
        into[: stop - start] = self._tokens.read(start, stop)
        return stop - start

    def spans(self, window: int) -> list[tuple[int, int]]:
        """One piece."""
        return [self.span(window)]

    def segments(self, windows: npt.NDArray[np.int64]) -> Segments:
        """The documents of some windows: the first and the last of each may be cut."""
        borders = self._borders
        assert borders is not None
        starts = windows * self.step
        stops = np.minimum(starts + self.length, self._tokens.tokens)
        firsts = np.searchsorted(borders, starts, "right") - 1
        counts = np.searchsorted(borders, stops, "left") - firsts
        documents = _ranges(firsts, counts)
        begins = np.maximum(borders[documents], np.repeat(starts, counts))
        ends = np.minimum(borders[documents + 1], np.repeat(stops, counts))
        return Segments(ends - begins, documents, counts)


class DocumentWindows:
    """Windows inside of each document: from its first token on, every ``length - stride`` tokens, to its end.

    A document's last window ends where the document does, so it is shorter as a rule. One index of 16 bytes per
    window is held in memory.

    Args:
        tokens: the stream.
        length: tokens of a window at most.
        borders: where documents begin.
        stride: tokens that a window shares with the one before it.
        min_tokens: windows with fewer are dropped.

    Raises:
        UserError: ``stride`` leaves no step from window to window.
    """

    has_borders = True

    def __init__(
        self, tokens: TokenStream, length: int, borders: Borders, *, stride: int = 0, min_tokens: int = 50
    ) -> None:
        _check_stride(length, stride)
        self.length = length
        self.dtype = tokens.dtype
        self._tokens = tokens
        sizes = np.diff(borders)
        step = length - stride
        # What only repeats the end of the window before it is none: it would hold no new token.
        counts = np.where(sizes > length, -(-(sizes - length) // step) + 1, np.minimum(sizes, 1))
        owners = np.repeat(np.arange(len(sizes)), counts)
        starts = (
            borders[owners] + (np.arange(len(owners)) - np.repeat(np.cumsum(counts) - counts, counts)) * step
        )
        lengths = np.minimum(length, borders[owners + 1] - starts)
        kept = lengths >= min(min_tokens, length)
        self._starts, self._owners, self._lengths = starts[kept], owners[kept], lengths[kept]

    def __len__(self) -> int:
        return len(self._starts)

    def read(self, window: int, into: npt.NDArray[Any]) -> int:
        """Copy the tokens of a window to the front of ``into``; returns how many they are."""
        start, size = int(self._starts[window]), int(self._lengths[window])
        into[:size] = self._tokens.read(start, start + size)
        return size

    def spans(self, window: int) -> list[tuple[int, int]]:
        """One piece."""
        start = int(self._starts[window])
        return [(start, start + int(self._lengths[window]))]

    def segments(self, windows: npt.NDArray[np.int64]) -> Segments:
        """The document of each window."""
        return Segments(self._lengths[windows], self._owners[windows], np.ones(len(windows), np.int64))


class PackedWindows:
    """Window ``i`` of a :class:`~textmill.tokens.packing.Packing`.

    Args:
        tokens: the stream.
        packing: made from its borders.
    """

    has_borders = True

    def __init__(self, tokens: TokenStream, packing: Packing) -> None:
        self.length = packing.length
        self.dtype = tokens.dtype
        self._tokens = tokens
        self._packing = packing

    def __len__(self) -> int:
        return len(self._packing)

    def read(self, window: int, into: npt.NDArray[Any]) -> int:
        """Copy the tokens of a window to the front of ``into``; returns how many they are."""
        place = 0
        packing = self._packing
        chosen = slice(int(packing.windows[window]), int(packing.windows[window + 1]))
        pairs = zip(packing.starts[chosen].tolist(), packing.lengths[chosen].tolist(), strict=True)
        for start, size in pairs:
            into[place : place + size] = self._tokens.read(start, start + size)
            place += size
        return place

    def spans(self, window: int) -> list[tuple[int, int]]:
        """A piece of each document."""
        packing = self._packing
        chosen = slice(int(packing.windows[window]), int(packing.windows[window + 1]))
        pairs = zip(packing.starts[chosen].tolist(), packing.lengths[chosen].tolist(), strict=True)
        return [(start, start + size) for start, size in pairs]

    def segments(self, windows: npt.NDArray[np.int64]) -> Segments:
        """The documents of some windows, whole but for the ends of those longer than a window."""
        packing = self._packing
        firsts = packing.windows[windows]
        counts = packing.windows[windows + 1] - firsts
        pieces = _ranges(firsts, counts)
        return Segments(packing.lengths[pieces].astype(np.int64), packing.documents[pieces], counts)


def _check_stride(length: int, stride: int) -> None:
    if length < 1 or not 0 <= stride < length:
        raise UserError(
            "Windows that overlap by their whole length never move on.",
            expected=f"a stride from 0 to {length - 1}, the tokens that two windows share",
            found=f"stride {stride}, length {length}",
            hint="give a smaller stride, or longer windows",
        )


def _ranges(firsts: npt.NDArray[np.int64], counts: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """The numbers ``first … first + count - 1`` of each pair, one after the other."""
    return np.arange(counts.sum()) + np.repeat(firsts - np.cumsum(counts) + counts, counts)
