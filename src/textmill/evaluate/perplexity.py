"""Perplexity and bits per byte of held-out documents, exactly defined.

The split is one stream of tokens: document, end-of-text token (EOS), document, EOS, … as in training. Every token
of the stream is predicted once, EOS too, for a model that cannot tell where a document ends knows less than one that
can. The first token of the stream follows an EOS that is put before it and not predicted itself. So

- nats per token = total nats / tokens of the split (documents and their EOS),
- perplexity = exp(nats per token), which depends on the vocabulary,
- bits per byte = total nats / ln 2 / UTF-8 bytes of the split's documents (EOS has none), which does not.

Windows are as long as in training and overlap: a window reads ``seq_len`` tokens and is scored on its last
``stride`` predictions only (the first window on all of its), so that every token but those at the very beginning has
at least ``seq_len - 1 - stride`` tokens of context. A context may begin inside a document and may reach over
document borders, as in training.

The unigram model predicts a token by its count among the training tokens plus one, whatever came before: what
knowing the vocabulary alone is worth. It is scored on the same tokens.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch

from textmill.errors import UserError
from textmill.model.llama import Llama
from textmill.model.loss import token_nats

_READ_TOKENS = 1 << 20


class TokenStream(Protocol):
    """The tokens of a split, one after the other; ``textmill.tokens.dataset.TokenSet`` is one.

    Attributes:
        tokens: their number.
        text_bytes: UTF-8 bytes of the documents.
        vocab_size: every id is below it.
        eos_id: id after each document.
        seq_len: tokens per window in training.
    """

    tokens: int
    text_bytes: int
    vocab_size: int
    eos_id: int
    seq_len: int

    def read(self, start: int, stop: int, /) -> npt.NDArray[Any]:
        """Tokens ``start`` to ``stop``, shape (stop - start,)."""
        ...


@dataclass(frozen=True)
class Perplexity:
    """What a held-out split costs a model.

    Attributes:
        tokens: predictions made: all tokens of the split, EOS included.
        text_bytes: UTF-8 bytes of its documents.
        nats: total.
        unigram_nats: total of the unigram model.
    """

    tokens: int
    text_bytes: int
    nats: float
    unigram_nats: float

    def numbers(self) -> dict[str, float | int]:
        """Everything that the report shows."""
        bits = 1 / math.log(2) / self.text_bytes
        return {
            "tokens": self.tokens,
            "text_bytes": self.text_bytes,
            "nats_per_token": self.nats / self.tokens,
            "perplexity": math.exp(self.nats / self.tokens),
            "bits_per_byte": self.nats * bits,
            "unigram_bits_per_byte": self.unigram_nats * bits,
            "below_unigram": 1 - self.nats / self.unigram_nats,
        }


def measure(
    model: Llama,
    held_out: TokenStream,
    training: TokenStream,
    *,
    stride: int | None = None,
    batch_size: int = 16,
    unigram_tokens: int = 50_000_000,
    progress: Callable[..., None] = lambda *_, **__: None,
) -> Perplexity:
    """Score a held-out split.

    Args:
        model: the model, on any device.
        held_out: the split.
        training: the split that the unigram model is counted on.
        stride: tokens scored per window, less than ``held_out.seq_len``; half of it if left out.
        batch_size: windows per forward pass.
        unigram_tokens: most training tokens to count.
        progress: called as ``progress(text, done, total)`` in tokens.

    Raises:
        UserError: nothing was held out, or a stride out of range.
    """
    if held_out.tokens == 0 or held_out.text_bytes == 0:
        raise UserError(
            "nothing was held out to measure on",
            expected="at least one document in the held-out split",
            found=f"{held_out.tokens} tokens",
            hint="raise tokens.split.validation, or add documents",
        )
    reach = held_out.seq_len - 1  # predictions per window
    stride = stride if stride is not None else max(1, reach // 2)
    if not 1 <= stride <= reach:
        raise UserError(
            "the stride must leave room in the window",
            expected=f"1 to {reach} (tokens.seq_len is {held_out.seq_len})",
            found=str(stride),
            where="evaluate.perplexity.stride",
        )
    windows = plan_windows(held_out.tokens, reach, stride)
    log_unigram = unigram_log_probabilities(training, unigram_tokens)
    batches: list[float] = []
    unigram: list[float] = []
    done = 0
    model.eval()
    for group in _same_shape(windows, batch_size):
        inputs, targets = _read_group(held_out, group)
        nats = _score(model, inputs, targets)
        for window, row, wanted in zip(group, nats, targets, strict=True):
            batches.append(math.fsum(row[-window.scored :].tolist()))
            unigram.append(-math.fsum(log_unigram[wanted[-window.scored :]].tolist()))
            done += window.scored
        progress("perplexity", done, held_out.tokens)
    assert done == held_out.tokens, (done, held_out.tokens)
    return Perplexity(held_out.tokens, held_out.text_bytes, math.fsum(batches), math.fsum(unigram))


@dataclass(frozen=True)
class Window:
    """A window: predicts the stream's tokens ``start`` to ``stop`` and counts the last ``scored`` of them."""

    start: int
    stop: int
    scored: int


def plan_windows(tokens: int, reach: int, stride: int) -> list[Window]:
    """Windows over a stream in which every token is scored once.

    >>> [(w.start, w.stop, w.scored) for w in plan_windows(tokens=10, reach=4, stride=2)]
    [(0, 4, 4), (2, 6, 2), (4, 8, 2), (6, 10, 2)]
    >>> [(w.start, w.stop, w.scored) for w in plan_windows(tokens=9, reach=4, stride=2)]
    [(0, 4, 4), (2, 6, 2), (4, 8, 2), (5, 9, 1)]
    """
    windows = [Window(0, min(reach, tokens), min(reach, tokens))]
    while windows[-1].stop < tokens:
        scored_to = windows[-1].stop
        stop = min(scored_to + stride, tokens)
        windows.append(Window(stop - reach, stop, stop - scored_to))
    return windows


def unigram_log_probabilities(training: TokenStream, limit: int) -> npt.NDArray[np.float64]:
    """Natural logarithms of (count + 1) / (tokens + vocabulary), shape (vocab_size,).

    Args:
        training: counted whole, or in evenly spread blocks if it has more than ``limit`` tokens.
        limit: most tokens to count, about.
    """
    counts = np.ones(training.vocab_size, np.int64)
    blocks = range(0, training.tokens, _READ_TOKENS)
    every = max(1, math.ceil(training.tokens / max(limit, _READ_TOKENS)))
    for start in blocks[::every]:
        counts += np.bincount(
            training.read(start, min(start + _READ_TOKENS, training.tokens)), minlength=training.vocab_size
        )
    logarithms: npt.NDArray[np.float64] = np.log(counts) - math.log(int(counts.sum()))
    return logarithms


def _same_shape(windows: list[Window], batch_size: int) -> list[list[Window]]:
    """Consecutive windows of one length, at most ``batch_size`` together."""
    groups: list[list[Window]] = []
    for window in windows:
        last = groups[-1] if groups else None
        if last and len(last) < batch_size and last[0].stop - last[0].start == window.stop - window.start:
            last.append(window)
        else:
            groups.append([window])
    return groups


def _read_group(
    held_out: TokenStream, group: list[Window]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    inputs, targets = [], []
    for window in group:
        wanted = held_out.read(window.start, window.stop).astype(np.int64)
        before = (
            held_out.eos_id if window.start == 0 else int(held_out.read(window.start - 1, window.start)[0])
        )
        inputs.append(np.concatenate(([before], wanted[:-1])))
        targets.append(wanted)
    return np.stack(inputs).astype(np.int64), np.stack(targets)


@torch.no_grad()
def _score(
    model: Llama, inputs: npt.NDArray[np.int64], targets: npt.NDArray[np.int64]
) -> npt.NDArray[np.float64]:
    device = next(model.parameters()).device
    hidden = model.hidden(torch.from_numpy(inputs).to(device))
    wanted = torch.from_numpy(targets).to(device)
    nats = token_nats(hidden.flatten(0, 1), model.lm_head.weight, wanted.flatten())
    return nats.reshape(targets.shape).double().cpu().numpy()
