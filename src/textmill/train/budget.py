"""How long to train, and what makes two trainings the same."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from textmill.errors import UserError
from textmill.train.feed import Feed
from textmill.train.settings import TrainSection
from textmill.train.trainee import Trainee

RESULT_FREE = ("log_every", "validate_every", "validation_samples")
"""Fields that change no weight, beside :meth:`TrainSection.cosmetic_fields`: a checkpoint goes on under others."""


def steps_of(settings: TrainSection, samples: int, seq_len: int) -> int:
    """Optimiser steps that the budget pays for: whole batches, at least one."""
    if settings.steps is not None:
        return settings.steps
    batch_size = settings.batch_size or 1
    windows = settings.tokens / seq_len if settings.tokens is not None else (settings.epochs or 1.0) * samples
    return max(1, int(windows // batch_size))


def check_one_batch(feed: Feed) -> None:
    """See that there is enough for one step.

    Raises:
        UserError: there are fewer windows than a batch has rows.
    """
    if len(feed) < feed.batch_size:
        raise UserError(
            "there are fewer tokens than one batch",
            expected=f"{feed.batch_size:,} windows of {feed.seq_len:,} tokens",
            found=f"{len(feed):,}",
            hint="add text, or lower train.batch_size or train.seq_len",
        )


def check_row_lengths(settings: TrainSection, seq_len: int) -> None:
    """See that windows can be cut into the rows of ``seq_len_schedule``.

    Raises:
        UserError: a length does not divide that of the windows.
    """
    for length in settings.seq_len_schedule or {}:
        if length < 2 or seq_len % length:
            raise UserError(
                "windows cannot be cut into rows of this length",
                where="train.seq_len_schedule",
                expected=f"lengths that divide {seq_len}",
                found=str(length),
            )


def warmup_steps(warmup: float, steps: int) -> int:
    """Steps of a warm-up given in steps or, below 1, as a share of all steps."""
    return round(warmup * steps) if warmup < 1 else int(warmup)


def training_fingerprint(settings: TrainSection, trainee: Trainee, feed: Feed, seed: int, data: str) -> str:
    """SHA-256 over everything that decides the weights, but for rounding: not devices, processes, threads."""
    parts: dict[str, Any] = {
        "settings": settings.model_dump(
            mode="json", exclude={*settings.cosmetic_fields(), *RESULT_FREE, "seed"}
        ),
        "version": settings.version,
        "model": trainee.identity(),
        "feed": feed.identity(),
        "seed": seed,
        "data": data,
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
