"""Rows of a batch as text: what is learnt, what is only read, where documents begin and texts stop."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from torch import Tensor

from textmill.model.loss import IGNORE
from textmill.train.batch import TokenBatch
from textmill.train.feed import Feed

Kind = Literal["learnt", "masked", "stop", "masked stop", "padding"]


@dataclass(frozen=True)
class Span:
    """Consecutive tokens of one kind.

    Attributes:
        kind: ``learnt`` tokens are predicted, ``masked`` ones only read; a ``stop`` is the end-of-text token.
        tokens: ids.
        border: whether another document begins here.
    """

    kind: Kind
    tokens: tuple[int, ...]
    border: bool


@dataclass(frozen=True)
class Window:
    """A row of a batch.

    Attributes:
        number: of the sample, with its source where there are several.
        spans: in order.
        length: tokens without padding.
        learnt: tokens that are predicted.
        documents: documents that it holds a part of.
    """

    number: str
    spans: tuple[Span, ...]
    length: int
    learnt: int
    documents: int

    def heading(self) -> str:
        """One line about it."""
        documents = f"{self.documents} document{'s' * (self.documents != 1)}"
        return f"sample {self.number}: {self.length:,} tokens, {self.learnt:,} of them predicted, {documents}"


def first_windows(feed: Feed, count: int, eos_id: int | None, step: int = 0) -> Iterator[Window]:
    """The first windows that are trained on, from ``step`` on."""
    while count > 0:
        shown = list(islice(windows_of(feed.samples(step), feed.batch(step), eos_id), count))
        yield from shown
        count -= len(shown)
        step += 1


def decoder(tokenizer: Path) -> Callable[[Sequence[int]], str]:
    """Text of tokens by a ``tokenizer.json``, special tokens spelled out."""
    from tokenizers import Tokenizer

    loaded = Tokenizer.from_file(str(tokenizer))
    return lambda tokens: str(loaded.decode(list(tokens), skip_special_tokens=False))


def plain_text(window: Window, decode: Callable[[Sequence[int]], str], characters: int = 600) -> str:
    """A window on one screen: a line about it, then its beginning, with marks for what is masked and for stops."""
    parts = []
    for number, (span, text) in enumerate(text_of(window, decode)):
        if span.border and number:
            parts.append("\n---\n")
        if span.kind == "padding":
            parts.append(f"[{len(span.tokens):,} padding]")
        elif span.kind == "learnt":
            parts.append(text)
        else:
            parts.append(f"[{span.kind}: {text}]")
    whole = "".join(parts)
    shown = whole if len(whole) <= characters else whole[:characters] + " …"
    return f"{window.heading()}\n{shown}"


def windows_of(samples: Sequence[object], rows: TokenBatch, eos_id: int | None) -> Iterator[Window]:
    """The rows of a batch, cut into spans.

    Args:
        samples: numbers of the samples.
        rows: the batch.
        eos_id: end-of-text token.
    """
    tokens, targets = as_array(rows.tokens), as_array(rows.targets)
    parts = None if rows.parts is None else as_array(rows.parts)
    real = real_places(tokens, targets, parts)
    for row, number in enumerate(samples):
        # A token is learnt if it is the target of the one before it.
        learnt = np.concatenate([[False], targets[row, :-1] != IGNORE])
        learnt[0] = (
            real[row, 0] and targets[row, 0] != IGNORE
        )  # the first is no one's target: shown as what follows
        begins = _begins(tokens[row], real[row], None if parts is None else parts[row], eos_id)
        yield Window(
            number=str(number),
            spans=tuple(_spans(tokens[row], real[row], learnt, begins, eos_id)),
            length=int(real[row].sum()),
            learnt=int((targets[row] != IGNORE).sum()),
            documents=int(begins.sum()),
        )


def text_of(window: Window, decode: Callable[[Sequence[int]], str]) -> Iterator[tuple[Span, str]]:
    """The spans of a window with their text; padding has none.

    Args:
        window: from :func:`windows_of`.
        decode: text of tokens; special tokens included.
    """
    for span in window.spans:
        yield span, "" if span.kind == "padding" else decode(span.tokens)


def _spans(
    tokens: npt.NDArray[Any],
    real: npt.NDArray[Any],
    learnt: npt.NDArray[Any],
    begins: npt.NDArray[Any],
    eos_id: int | None,
) -> Iterator[Span]:
    kinds: list[Kind] = []
    for place in range(len(tokens)):
        if not real[place]:
            kinds.append("padding")
        elif eos_id is not None and tokens[place] == eos_id:
            kinds.append("stop" if learnt[place] else "masked stop")
        else:
            kinds.append("learnt" if learnt[place] else "masked")
    start = 0
    for place in range(1, len(kinds) + 1):
        if place == len(kinds) or kinds[place] != kinds[start] or begins[place]:
            yield Span(kinds[start], tuple(tokens[start:place].tolist()), bool(begins[start]))
            start = place


def _begins(
    tokens: npt.NDArray[Any], real: npt.NDArray[Any], parts: npt.NDArray[Any] | None, eos_id: int | None
) -> npt.NDArray[Any]:
    """Where a document, or what a window holds of it, begins."""
    begins = np.zeros(len(tokens), bool)
    if parts is not None:
        begins[1:] = parts[1:] != parts[:-1]
    elif eos_id is not None:
        begins[1:] = tokens[:-1] == eos_id
    begins[:1] = True
    begins &= real
    return begins


def real_places(
    tokens: npt.NDArray[Any], targets: npt.NDArray[Any], parts: npt.NDArray[Any] | None
) -> npt.NDArray[Any]:
    """Which places hold a token of a document: up to the last target, and the token that it follows."""
    if parts is not None:
        inside: npt.NDArray[Any] = parts >= 0
        return inside
    places = np.arange(tokens.shape[1])
    wanted = targets != IGNORE
    last = np.where(wanted.any(1), tokens.shape[1] - 1 - wanted[:, ::-1].argmax(1), tokens.shape[1] - 2)
    real: npt.NDArray[Any] = places[None, :] <= last[:, None] + 1
    return real


def as_array(value: Tensor) -> npt.NDArray[Any]:
    """A tensor on the CPU as NumPy's."""
    array: npt.NDArray[Any] = value.numpy()
    return array
