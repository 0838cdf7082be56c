"""From settings to what is trained: one place that knows every kind."""

from __future__ import annotations

from pathlib import Path

import torch

from textmill.errors import UserError
from textmill.model.config import LlamaConfig
from textmill.model.hub import check_vocabulary, load_causal_lm, read_config
from textmill.model.names import model_folder
from textmill.train.adapter_trainee import load_adapter_trainee
from textmill.train.depth import plan_depth
from textmill.train.hub_trainee import HubTrainee, LlamaFrom
from textmill.train.settings import TrainSection
from textmill.train.trainee import LlamaTrainee, Trainee

_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def trainee_of(
    settings: TrainSection,
    *,
    vocab_size: int,
    seq_len: int,
    eos_id: int | None,
    device: torch.device | str = "cpu",
    seed: int = 0,
    tokenizer: Path | None = None,
) -> Trainee:
    """What ``train:`` means.

    Args:
        settings: the section, with :func:`with_depth` applied.
        vocab_size: of the tokens: every id is below it.
        seq_len: tokens of a sequence.
        eos_id: end-of-document token.
        device: where to train.
        seed: of fresh weights and fresh adapters.
        tokenizer: the ``tokenizer.json`` that made the tokens, if it is known; compared with the model's own.

    Raises:
        UserError: packages are missing, there is no such model, or it does not fit the tokens.
    """
    if settings.start is None:
        config = settings.model_config_for(vocab_size, seq_len, eos_id)
        # Without tied weights a model may be made where it is shared out, and never as a whole.
        shared_out = settings.parallel == "fsdp" and not config.tie_word_embeddings
        return LlamaTrainee(config, "meta" if shared_out else "cpu")
    folder = model_folder(settings.start)
    check_fit(folder, vocab_size, seq_len, tokenizer)
    if settings.adapters is not None:
        return load_adapter_trainee(
            folder,
            settings.method,
            settings.adapters,
            device=device,
            dtype=_frozen_dtype(settings, device),
            seed=seed,
        )
    shape = plain_llama(folder)
    if shape is not None:
        return LlamaFrom(shape, folder)
    return HubTrainee(load_causal_lm(folder, device=device), folder)


def unfilled_trainee(
    settings: TrainSection, *, vocab_size: int, seq_len: int, eos_id: int | None, device: str, dtype: str
) -> Trainee:
    """The same trainee without weights, on the device ``meta``: enough to count it.

    Args:
        settings: see :func:`trainee_of`.
        vocab_size: of the tokens.
        seq_len: tokens of a sequence.
        eos_id: end-of-document token.
        device: ``meta``.
        dtype: what frozen weights are kept in.
    """
    if settings.start is None:
        return LlamaTrainee(settings.model_config_for(vocab_size, seq_len, eos_id), device)
    folder = model_folder(settings.start)
    check_fit(folder, vocab_size, seq_len)
    if settings.adapters is not None:
        return load_adapter_trainee(
            folder,
            settings.method,
            settings.adapters,
            device=device,
            dtype=_DTYPES[dtype],
            seed=0,
            weights=False,
        )
    config = plain_llama(folder)
    if config is not None:
        return LlamaFrom(config, folder, device)
    return HubTrainee(load_causal_lm(folder, device=device, weights=False), folder)


def with_depth(settings: TrainSection, vocab_size: int, seq_len: int) -> TrainSection:
    """The settings with what ``depth`` decides in the fields left out; as they are without one."""
    if settings.depth is None:
        return settings
    by_tokens = settings.steps is None and settings.epochs is None
    budget = settings.tokens if by_tokens else None
    plan = plan_depth(settings.depth, vocab_size, seq_len, tokens=budget)
    values = {name: getattr(plan, name) for name in ("batch_size", "lr") if getattr(settings, name) is None}
    if settings.tokens is None and settings.epochs is None and settings.steps is None:
        values["tokens"] = plan.tokens
    return settings.model_copy(update=values)


def plain_llama(folder: Path) -> LlamaConfig | None:
    """The shape of a folder's model, if it is one that the plain Llama computes."""
    try:
        return LlamaConfig.from_hugging_face(read_config(folder), str(folder / "config.json"))
    except UserError:
        return None


def check_fit(folder: Path, vocab_size: int, seq_len: int, tokenizer: Path | None = None) -> None:
    """Refuse tokens that a model cannot be trained on.

    Raises:
        UserError: another vocabulary, or windows longer than the model's context.
    """
    config = read_config(folder)
    inner = config.get("text_config", config)
    rows = inner.get("vocab_size")
    if isinstance(rows, int):
        check_vocabulary(folder, rows, vocab_size, tokenizer)
    longest = inner.get("max_position_embeddings") or inner.get("n_positions")
    if isinstance(longest, int) and seq_len > longest:
        raise UserError(
            "the windows are longer than the model's context",
            expected=f"at most {longest:,} tokens",
            found=f"{seq_len:,}",
            where=str(folder),
            hint=f"tokens: {{seq_len: {longest}}}",
        )


def _frozen_dtype(settings: TrainSection, device: torch.device | str) -> torch.dtype:
    """What frozen weights are kept in: the precision of the forward pass."""
    on_gpu = torch.device(device).type == "cuda"
    return _DTYPES[settings.dtype or ("bf16" if on_gpu else "fp32")]
