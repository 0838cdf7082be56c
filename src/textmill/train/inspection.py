"""What a model is about to be trained on: windows as text, and the mistakes that show in no loss curve.

::

    feed ─► batches of the first steps ─┬─► check: ids, masks, stop tokens, borders   UserError, before any step
                                        └─► Window ─► spans of one kind: learnt, not learnt, stop, padding

A batch in which nothing is learnt, an end-of-text token that is masked everywhere, documents packed together that see
each other: training goes on happily with each of these, and the model is worse for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from textmill.errors import UserError
from textmill.model.loss import IGNORE
from textmill.train.batch import TokenBatch
from textmill.train.feed import Feed
from textmill.train.shown_windows import as_array, decoder, first_windows, plain_text, real_places

# So many end-of-text tokens must be expected in what was looked at before their absence means anything.
_EXPECTED_STOPS = 20
# What is looked at: so many steps, and no more rows than that where a step has many.
_STEPS, _ROWS = 8, 512


@dataclass
class Findings:
    """What was counted in the batches that were looked at.

    Attributes:
        batches: their number.
        rows: windows in them.
        tokens: without padding.
        padding: positions that hold none.
        learnt: tokens that are predicted.
        stops: end-of-text tokens.
        learnt_stops: those of them that are predicted.
        lengths: tokens of each window.
    """

    batches: int = 0
    rows: int = 0
    tokens: int = 0
    padding: int = 0
    learnt: int = 0
    stops: int = 0
    learnt_stops: int = 0
    lengths: list[int] = field(default_factory=list)

    def lines(self) -> list[str]:
        """Said to people."""
        lengths = sorted(self.lengths) or [0]
        middle = lengths[len(lengths) // 2]
        return [
            f"looked at {self.rows:,} windows of {self.batches:,} batches: {self.tokens:,} tokens, "
            f"{_share(self.learnt, self.tokens)} of them predicted, {_share(self.padding, self.padding + self.tokens)} "
            "padding",
            f"lengths {lengths[0]:,} to {lengths[-1]:,}, half of them {middle:,} or more; "
            f"{self.stops:,} end-of-text tokens, {self.learnt_stops:,} of them predicted",
        ]


def inspect_feed(
    feed: Feed,
    *,
    vocab_size: int,
    eos_id: int | None,
    stops_per_token: float = 0.0,
    show: int = 0,
    tokenizer: Path | None = None,
    say: Callable[[str], None] = print,
) -> Findings:
    """Look at the batches of the first steps before any of them is trained on.

    Args:
        feed: where they come from.
        vocab_size: rows of the model's embedding table.
        eos_id: end-of-text token.
        stops_per_token: see :func:`check_batches`.
        show: windows to tell as text, with lengths and counts; 0: nothing is told.
        tokenizer: ``tokenizer.json``; without it only counts are told.
        say: told lines.

    Raises:
        UserError: see :func:`check_batches`.
    """
    steps = range(max(1, min(_STEPS, _ROWS // feed.batch_size)))
    found = check_batches(
        ((feed.samples(step), feed.batch(step)) for step in steps),
        vocab_size=vocab_size,
        eos_id=eos_id,
        stops_per_token=stops_per_token,
    )
    if show:
        for line in found.lines():
            say(line)
        if tokenizer is not None and tokenizer.is_file():
            decode = decoder(tokenizer)
            for window in first_windows(feed, show, eos_id):
                say(plain_text(window, decode))
    return found


def check_batches(
    batches: Iterable[tuple[Sequence[object], TokenBatch]],
    *,
    vocab_size: int,
    eos_id: int | None,
    stops_per_token: float = 0.0,
) -> Findings:
    """Look for what must not be trained on.

    Args:
        batches: numbers of the samples, and the rows, of some steps.
        vocab_size: rows of the model's embedding table.
        eos_id: end-of-text token; None if there is none.
        stops_per_token: end-of-text tokens that the whole data set holds per token, if that is known.

    Returns:
        What was counted.

    Raises:
        UserError: an id that the model has no row for; a batch in which nothing is learnt; end-of-text tokens that are
            never predicted, or missing; targets that are not the next tokens; a token that sees another document
            although documents are kept apart.
    """
    found = Findings()
    for step, (samples, rows) in enumerate(batches):
        tokens, targets = as_array(rows.tokens), as_array(rows.targets)
        parts = None if rows.parts is None else as_array(rows.parts)
        real = real_places(tokens, targets, parts)
        _check_ids(tokens, samples, vocab_size)
        _check_targets(tokens, targets, samples, step)
        if parts is not None and eos_id is not None:
            _check_borders(tokens, parts, samples, eos_id)
        learnt = targets != IGNORE
        found.batches += 1
        found.rows += len(tokens)
        found.tokens += int(real.sum())
        found.padding += int((~real).sum())
        found.learnt += int(learnt.sum())
        found.lengths += real.sum(1).tolist()
        if eos_id is not None:
            found.stops += int(((tokens == eos_id) & real)[:, 1:].sum())
            found.learnt_stops += int((targets == eos_id).sum())
    _check_stops(found, eos_id, stops_per_token)
    return found


def _check_ids(tokens: npt.NDArray[Any], samples: Sequence[object], vocab_size: int) -> None:
    highest = int(tokens.max(initial=0))
    lowest = int(tokens.min(initial=0))
    if highest < vocab_size and lowest >= 0:
        return
    row = int(np.flatnonzero(((tokens >= vocab_size) | (tokens < 0)).any(1))[0])
    raise UserError(
        "there are token ids that the model does not know",
        expected=f"ids from 0 to {vocab_size - 1:,}",
        found=f"{highest if highest >= vocab_size else lowest:,} in sample {samples[row]}",
        hint="make the tokens with the model's own tokenizer",
    )


def _check_targets(
    tokens: npt.NDArray[Any], targets: npt.NDArray[Any], samples: Sequence[object], step: int
) -> None:
    learnt = targets != IGNORE
    if not learnt.any():
        raise UserError(
            f"nothing is learnt in the batch of step {step + 1}: all of it is masked",
            expected="at least one token that is predicted",
            found=f"{tokens.size:,} tokens of samples {', '.join(map(str, list(samples)[:8]))}, all masked",
            hint="see it with textmill preview; a mask made for another format hides every answer",
        )
    following = np.concatenate([tokens[:, 1:], np.full((len(tokens), 1), IGNORE)], 1)
    wrong = learnt & (targets != following) & (following != IGNORE)
    if wrong.any():
        row, place = (int(value) for value in np.argwhere(wrong)[0])
        raise UserError(
            "what is to be predicted is not the next token",
            expected=f"token {int(following[row, place])} after place {place} of sample {samples[row]}",
            found=str(int(targets[row, place])),
        )


def _check_borders(
    tokens: npt.NDArray[Any], parts: npt.NDArray[Any], samples: Sequence[object], eos_id: int
) -> None:
    joined = (tokens[:, :-1] == eos_id) & (parts[:, :-1] == parts[:, 1:]) & (parts[:, :-1] >= 0)
    if joined.any():
        row, place = (int(value) for value in np.argwhere(joined)[0])
        raise UserError(
            "packed documents see each other although they are to be kept apart",
            expected=f"another part after the end-of-text token at place {place} of sample {samples[row]}",
            found=f"part {int(parts[row, place])} on both sides",
            hint="build the tokens' tables of documents again (textmill tokens verify)",
        )


def _check_stops(found: Findings, eos_id: int | None, stops_per_token: float) -> None:
    if eos_id is None:
        return
    if found.stops and not found.learnt_stops:
        raise UserError(
            "the end-of-text token is never learnt: the model would not know how to stop",
            expected=f"token {eos_id} among what is predicted",
            found=f"{found.stops:,} of them, all masked",
            hint="do not pad with the end-of-text token: a mask for padding then hides every stop",
        )
    expected = stops_per_token * found.tokens
    if not found.stops and expected >= _EXPECTED_STOPS:
        raise UserError(
            "the end-of-text token is never seen: the model would not know how to stop",
            expected=f"token {eos_id} about {expected:.0f} times in {found.tokens:,} tokens",
            found="not once",
            hint="make the tokens with the tokenizer whose end-of-text token this is",
        )


def _share(part: float, whole: float) -> str:
    return f"{100 * part / whole:.1f} %" if whole else "-"
