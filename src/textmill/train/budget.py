"""How long to train, and what makes two trainings the same."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from textmill.train.feed import Feed
from textmill.train.settings import TrainSection
from textmill.train.trainee import Trainee

RESULT_FREE = ("log_every", "validate_every", "validation_samples")
"""Fields that change no weight, beside :meth:`TrainSection.cosmetic_fields`: a checkpoint goes on under others."""


def steps_of(settings: TrainSection, samples: int, seq_len: int) -> int:
    """Optimiser steps that the budget pays for: whole batches, at least one."""
    batch_size = settings.batch_size or 1
    windows = settings.tokens / seq_len if settings.tokens is not None else (settings.epochs or 1.0) * samples
    return max(1, int(windows // batch_size))


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
