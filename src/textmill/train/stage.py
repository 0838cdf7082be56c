"""The ``train:`` section at work: tokens of the run in, checkpoints and ``model/`` out."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path, PurePosixPath
from typing import Any

import torch

from textmill.model.hf import save_folder
from textmill.steps import StageContext, StageResult
from textmill.tokens.dataset import TokenSet
from textmill.train.card import model_card
from textmill.train.loop import Trained, train
from textmill.train.settings import TrainSection
from textmill.train.trainee import LlamaTrainee

MODEL = "model"
TOKENIZER_SUFFIXES = (".json", ".model", ".tiktoken", ".jinja")


def run_training(settings: TrainSection, context: StageContext) -> StageResult:
    """Train on the split ``train`` of ``tokens/``; called again after an interruption, continue.

    Raises:
        UserError: see :func:`textmill.train.loop.train`.
    """
    tokens = context.upstream("tokens").numbers
    folder = context.local("tokens")
    samples = TokenSet(folder, "train")
    held_out = tokens["splits"].get("validation", {})
    validation = TokenSet(folder, "validation") if held_out.get("samples") else None
    data = hashlib.sha256((folder / "index.json").read_bytes()).hexdigest()
    config = settings.model_config_for(samples.vocab_size, samples.seq_len, samples.eos_id)
    trained = train(
        settings,
        config,
        samples,
        context,
        scratch=context.scratch,
        seed=context.seed,
        validation=validation,
        digest=data,
        progress=context.progress,
        say=context.say,
    )
    numbers = training_numbers(trained, settings, samples)
    # With these, the samples of any step can be named again (textmill trace --step).
    numbers["seed"] = context.seed if settings.seed is None else settings.seed
    numbers["samples"] = len(samples)
    outputs = [*context.published("checkpoints"), *_publish_model(context, trained, settings, numbers, data)]
    return StageResult(outputs, numbers)


def training_numbers(trained: Trained, settings: TrainSection, samples: TokenSet) -> dict[str, Any]:
    """What the stage reports, as plain JSON values; times are of training alone, over all interrupted calls."""
    state, resolved = trained.state, settings.resolved()
    return {
        "preset": resolved.preset,
        "parameters": trained.trainee.parameters,
        "steps": state.steps,
        "tokens": state.tokens,
        "epochs": round(state.tokens / max(1, len(samples) * samples.seq_len), 4),
        "seq_len": samples.seq_len,
        "batch_size": resolved.batch_size,
        "final_loss": state.last_loss,
        "validation_loss": trained.validation_loss,
        "seconds": round(state.seconds, 3),
        "tokens_per_second": round(state.tokens / state.seconds, 1) if state.seconds else None,
        "device": state.device,
        "threads": state.threads,
        "torch": state.torch,
    }


def _publish_model(
    context: StageContext, trained: Trained, settings: TrainSection, numbers: dict[str, Any], data: str
) -> list[str]:
    tokenizer = context.local("tokenizer")
    building = context.scratch / MODEL
    shutil.rmtree(building, ignore_errors=True)
    assert isinstance(trained.trainee, LlamaTrainee)
    model = trained.trainee.model
    files = save_folder(
        model,
        building,
        dtype=torch.float32,
        tokenizer_files=[file for file in sorted(tokenizer.iterdir()) if _belongs(file.name)],
    )
    files.append(_write(building / "README.md", model_card(model.config, settings.resolved(), numbers, data)))
    summary = {
        **numbers,
        "data_sha256": data,
        "seed": context.seed if settings.seed is None else settings.seed,
        "settings": settings.resolved().model_dump(mode="json"),
    }
    files.append(
        _write(building / "training_summary.json", json.dumps(summary, indent=2, sort_keys=True) + "\n")
    )
    kept = {f"{MODEL}/{file.name}" for file in files}
    for path in context.published(MODEL):
        if path not in kept:  # of an earlier attempt; a loader would read it all the same
            context.remove(path)
    return [context.publish(file, f"{MODEL}/{file.name}") for file in files]


def _belongs(name: str) -> bool:
    """Whether a file of ``tokenizer/`` is of the tokenizer itself: its forms, its settings and its templates.

    SentencePiece's and tiktoken's forms go along because llama.cpp, vLLM and others read these, and so do chat
    templates, which newer tokenizers keep in files of their own. Records of the stage stay behind.
    """
    return PurePosixPath(name).suffix in TOKENIZER_SUFFIXES or name == "merges.txt"


def _write(path: Path, text: str) -> Path:
    path.write_text(text, "utf-8")
    return path
