"""``train --preflight``: what a training would take, as tables."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from textmill.cli import screen
from textmill.errors import UserError

if TYPE_CHECKING:
    from textmill.recipe import Recipe
    from textmill.train.forecast import Forecast, Job
    from textmill.train.hardware import Machine

BYTES_PER_TOKEN = 4.0
"""Of ordinary text with a vocabulary of some ten thousand entries: for a budget in epochs of text without tokens."""


def print_preflight(
    recipe: Recipe, machines: Sequence[Machine], utilisation: float | None, files: Sequence[str] = ()
) -> int:
    """Count the training of a recipe, and say what it would need on each machine.

    Args:
        recipe: with a section ``train``.
        machines: where it might run.
        utilisation: share of the peak that is used.
        files: training text or tokens, to estimate a budget in epochs.

    Raises:
        UserError: torch is missing, no tokenizer, no such model.
    """
    from textmill.model.extra import require_torch

    require_torch()
    if utilisation is not None and not 0 < utilisation <= 1:
        raise UserError(
            "This is no share.", expected="above 0, at most 1", found=str(utilisation), where="--mfu"
        )
    job = job_of(recipe, files)
    _print_job(job)
    _print_forecasts(job, machines, utilisation)
    return 0


def plan_lines(recipe: Recipe) -> list[str]:
    """What can be said of a training by formula alone, without torch: parameters, budget, compute.

    A model that exists is not opened for it.
    """
    from textmill.train.depth import plan_depth
    from textmill.train.settings import TrainSection

    settings, tokenizer = recipe.train, recipe.tokenizer
    if not isinstance(settings, TrainSection) or settings.start is not None:
        return []
    vocab_size = getattr(getattr(tokenizer, "train", None), "vocab_size", None) or 32_000
    seq_len = settings.seq_len or int(getattr(recipe.tokens, "seq_len", 2048))
    config = settings.model_config_for(vocab_size, seq_len, 0)
    lines = [f"model of {config.parameters():,} parameters (with {vocab_size:,} entries)"]
    tokens = settings.tokens
    if settings.depth is not None and settings.epochs is None and settings.steps is None:
        tokens = plan_depth(settings.depth, vocab_size, seq_len, tokens=tokens).tokens
    if tokens is not None:
        flops = tokens * config.training_flops_per_token(seq_len)
        lines.append(
            f"{tokens:,} tokens, {tokens / config.parameters():.3g} per parameter (20 is compute-optimal), "
            f"{flops:.3g} FLOPs"
        )
    return lines


def job_of(recipe: Recipe, files: Sequence[str] = ()) -> Job:
    """The training of a recipe, counted."""
    from textmill.train.preflight import describe_job
    from textmill.train.settings import TrainSection
    from textmill.train.trainees import unfilled_trainee, with_depth

    settings = recipe.train
    assert isinstance(settings, TrainSection)
    vocab_size, eos_id = _vocabulary(recipe)
    seq_len = settings.seq_len or int(getattr(recipe.tokens, "seq_len", 2048))
    settings = with_depth(settings, vocab_size, seq_len)
    dtype = settings.dtype or "bf16"
    return describe_job(
        settings,
        lambda device: unfilled_trainee(
            settings, vocab_size=vocab_size, seq_len=seq_len, eos_id=eos_id, device=device, dtype=dtype
        ),
        vocab_size=vocab_size,
        seq_len=seq_len,
        tokens=_budget(settings.resolved(), seq_len, files or _local_files(recipe)),
        dtype=dtype,
    )


def _vocabulary(recipe: Recipe) -> tuple[int, int | None]:
    """Entries of the tokenizer, and its end-of-text token where it exists already."""
    from textmill.tokenizer.load import load_encoder
    from textmill.tokenizer.settings import TokenizerSection

    section = recipe.tokenizer
    if not isinstance(section, TokenizerSection):
        raise UserError(
            "A model needs a vocabulary.", expected="a section tokenizer:", hint="tokenizer: {use: …}"
        )
    if section.train is not None:
        return section.train.vocab_size, 0
    assert section.use is not None
    encoder = load_encoder(section.use)
    return encoder.vocab_size, encoder.eos_id


def _budget(settings: Any, seq_len: int, files: Sequence[str]) -> int | None:
    """Tokens of the training; estimated from the size of plain files for a budget in epochs."""
    if settings.tokens is not None:
        return int(settings.tokens)
    if getattr(settings, "steps", None) is not None:
        return int(settings.steps * settings.batch_size * seq_len)
    size = sum(_size(Path(file)) for file in files)
    stride = getattr(settings, "stride", 0)
    again = seq_len / (seq_len - stride)
    return int(size / BYTES_PER_TOKEN * again * (settings.epochs or 1.0)) or None


def _local_files(recipe: Recipe) -> list[str]:
    paths: list[str] = []
    for source in recipe.sources:
        named = getattr(source, "paths", None)
        paths += [named] if isinstance(named, str) else list(named or ())
    return paths


def _size(path: Path) -> int:
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(
        file.stat().st_size for file in files if file.is_file() and file.suffix in (".txt", ".jsonl", ".md")
    )


def _print_job(job: Job) -> None:
    trained = "all trained" if job.trained == job.parameters else f"{job.trained:,} trained"
    print(f"{'model':<11} {job.parameters:,} parameters, {trained}")
    if job.tokens is None or job.flops is None or job.steps is None:
        print(
            f"{'budget':<11} not known before the tokens are made: per token {job.flops_per_token:.3g} FLOPs"
        )
        return
    ratio = job.tokens_per_parameter or 0.0
    print(
        screen.fit(
            f"{'budget':<11} {job.tokens:,} tokens in {job.steps:,} steps of {job.batch_size:,} windows of "
            f"{job.seq_len:,}: {ratio:.3g} tokens per parameter (20 is compute-optimal, arXiv:2203.15556)",
            12,
        )
    )
    print(f"{'compute':<11} {job.flops:.3g} FLOPs, {job.flops_per_token:.3g} per token")


def _print_forecasts(job: Job, machines: Sequence[Machine], utilisation: float | None) -> None:
    from textmill.train.forecast import GIB, forecasts
    from textmill.train.hardware import PRICES_OF

    columns = dict.fromkeys(
        (
            "weights",
            "gradients",
            "optimiser",
            "activations",
            "logits",
            "context",
            "total",
            "of",
            "time",
            "price",
        ),
        "right",
    )
    found = list(forecasts(job, machines, utilisation))
    rows = [[str(one.machine), one.way, *_cells(one)] for one in found]
    print(f"\nmemory per device in GiB, with {job.micro_batch_size:,} windows per pass")
    screen.print_table({"machine": "left", "way": "left", **columns, "": "left"}, rows)
    used = utilisation or job.utilisation()
    kinds = dict.fromkeys(one.machine.accelerator for one in found)
    prices = ", ".join(f"{one.name} ${one.price:g}" for one in kinds)
    print(f"\ntime at {used:.0%} of the dense 16-bit peak; price at {prices} an hour")
    print(f"(list prices of {PRICES_OF} where you gave none: --price, or 8xH100@2.10)")
    if any(not one.fits for one in found):
        print(_advice(job, found, GIB))


def _cells(one: Forecast) -> list[str]:
    from textmill.train.forecast import GIB

    parts = (one.weights, one.gradients, one.optimizer, one.activations, one.logits, one.reserve, one.total)
    memory = [f"{part / GIB:.1f}" for part in parts] + [f"{one.machine.accelerator.memory_gib:.0f}"]
    time = "-" if one.seconds is None else screen.duration(one.seconds) + ("*" if one.waits else "")
    price = "-" if one.price is None else f"${one.price:,.2f}"
    return [*memory, time, price, "fits" if one.fits else "DOES NOT FIT"]


def _advice(job: Job, found: Sequence[Forecast], gib: int) -> str:
    """What takes most of a device's memory where it is too small, and what helps against it."""
    tight = next(one for one in found if not one.fits)
    parts = {
        "activations": (tight.activations, "a smaller micro_batch_size, or activation_checkpointing: full"),
        "logits": (tight.logits, "a smaller micro_batch_size"),
        "weights and moments": (
            tight.weights + tight.gradients + tight.optimizer,
            "fsdp over more devices, or method: lora or qlora",
        ),
    }
    name, (size, remedy) = max(parts.items(), key=lambda item: item[1][0])
    return f"{name} take most ({size / gib:.1f} GiB): {remedy}"
