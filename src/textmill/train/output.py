"""What a training leaves: a folder that transformers loads, and files that say how it came about.

::

    checkpoints/checkpoint-N ─► config.json, model.safetensors     or adapter_config.json, adapter_model.safetensors
    tokenizer/ ───────────────► tokenizer.json, …                  and the base model's config.json
    settings, numbers ────────► training_args.json, training_summary.json, trainer_state.json, README.md,
                                generation_config.json
"""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from textmill.model.hf import SAMPLING
from textmill.train.card import model_card
from textmill.train.checkpoint import OPTIMIZER, STATE
from textmill.train.loop import Trained
from textmill.train.settings import TrainSection
from textmill.train.store import Store
from textmill.train.watchers.metrics import PATH as METRICS

TOKENIZER_SUFFIXES = (".json", ".model", ".tiktoken", ".jinja")
MODEL_FILES = ("config.json", "generation_config.json")


def training_numbers(
    trained: Trained, settings: TrainSection, *, windows: int, seq_len: int
) -> dict[str, Any]:
    """What a training measured, as plain JSON values; times are of training alone, over all interrupted calls.

    Args:
        trained: after the last step.
        settings: of the training.
        windows: of an epoch.
        seq_len: tokens of a window.
    """
    state, resolved = trained.state, settings.resolved()
    seen = state.steps * (resolved.batch_size or 1)
    return {
        "preset": resolved.preset,
        "method": resolved.method,
        "parameters": trained.trainee.parameters,
        "trainable_parameters": trained.trainee.trained_parameters,
        "steps": state.steps,
        "tokens": state.tokens,
        "epochs": round(seen / max(1, windows), 4),
        "seq_len": seq_len,
        "batch_size": resolved.batch_size,
        "final_loss": state.last_loss,
        "validation_loss": trained.validation_loss,
        "perplexity": perplexity(trained.validation_loss),
        "seconds": round(state.seconds, 3),
        "tokens_per_second": round(state.tokens / state.seconds, 1) if state.seconds else None,
        "device": state.device,
        "threads": state.threads,
        "torch": state.torch,
    }


def perplexity(nats: float | None) -> float | None:
    """``exp`` of nats per token; None where nothing was measured, or where it is beyond all numbers."""
    return None if nats is None or nats > 700 else math.exp(nats)


def build_output(
    store: Store,
    trained: Trained,
    settings: TrainSection,
    numbers: Mapping[str, Any],
    folder: Path,
    *,
    tokenizer_files: Iterable[Path] = (),
    data: str = "",
    seed: int = 0,
) -> list[Path]:
    """Write the files of a finished training into an empty folder.

    Weights are those of the last checkpoint, byte for byte, whatever devices they were trained on.

    Args:
        store: where the checkpoints are.
        trained: after the last step.
        settings: of the training.
        numbers: from :func:`training_numbers`.
        folder: created; anything in it goes.
        tokenizer_files: of the tokenizer that made the tokens.
        data: SHA-256 of the manifest of the training tokens.
        seed: that the training used.

    Returns:
        The files, in a fixed order.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    resolved = settings.resolved()
    checkpoint = store.local(trained.checkpoint)
    files = [
        _copy(file, folder)
        for file in sorted(checkpoint.iterdir())
        if file.name not in (OPTIMIZER, STATE) and not file.name.startswith(".")
    ]
    files += [_copy(file, folder) for file in _base_files(trained) if not (folder / file.name).exists()]
    files += [_copy(file, folder) for file in tokenizer_files if belongs_to_tokenizer(file.name)]
    generation = folder / "generation_config.json"
    if not generation.exists():
        files.append(_write_json(generation, _generation(folder)))
    rows = read_rows(store)
    files.append(_write_json(folder / STATE, trainer_state(trained, numbers, rows)))
    files.append(
        _write_json(folder / "training_args.json", resolved.model_dump(mode="json") | {"seed": seed})
    )
    summary = {**numbers, **summary_figures(trained, settings, numbers, data), "seed": seed}
    files.append(_write_json(folder / "training_summary.json", summary))
    card = folder / "README.md"
    card.write_text(model_card(trained.trainee, resolved, numbers, data), "utf-8")
    return [*files, card]


def summary_figures(
    trained: Trained, settings: TrainSection, numbers: Mapping[str, Any], data: str
) -> dict[str, Any]:
    """The summary's figures under the names that trainers commonly give them, true ones."""
    resolved = settings.resolved()
    return {
        "model_name": resolved.start or resolved.preset or "own shape",
        "total_steps": numbers["steps"],
        "total_tokens": numbers["tokens"],
        "num_epochs": numbers["epochs"],
        "train_runtime_seconds": numbers["seconds"],
        "final_train_loss": numbers["final_loss"],
        "final_eval_loss": numbers["validation_loss"],
        "final_perplexity": numbers["perplexity"],
        "trainable_share": numbers["trainable_parameters"] / max(1, trained.trainee.parameters),
        "data_sha256": data,
        "settings": resolved.model_dump(mode="json"),
    }


def trainer_state(
    trained: Trained, numbers: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """``trainer_state.json`` under the names of Hugging Face's, so that tools that plot it find what they look for."""
    measured = [row for row in rows if "validation_loss" in row]
    best = min(measured, key=lambda row: row["validation_loss"], default=None)
    per_step = numbers["epochs"] / max(1, numbers["steps"])
    return {
        "global_step": trained.state.step,
        "max_steps": trained.state.steps,
        "epoch": numbers["epochs"],
        "num_input_tokens_seen": trained.state.tokens,
        "train_batch_size": numbers["batch_size"],
        "best_metric": None if best is None else best["validation_loss"],
        "best_global_step": None if best is None else best["step"],
        "last_checkpoint": PurePosixPath(trained.checkpoint).name,
        "log_history": [_log_row(row, per_step) for row in rows],
    }


def lay_out(run: Path, output: Path) -> list[Path]:
    """The folder that trainers leave, from a run on this machine: model, ``checkpoint-N/`` and ``logs/`` side by side.

    Files are hard links where the disk allows it, so that nothing takes room twice.

    Args:
        run: run folder with ``model/`` and ``checkpoints/``.
        output: gets them; what an earlier training left under these names goes.

    Returns:
        The files, sorted.
    """
    output.mkdir(parents=True, exist_ok=True)
    for old in (*output.glob("checkpoint-*"), output / "logs"):
        shutil.rmtree(old, ignore_errors=True)
    placed = {}
    for file in sorted((run / "model").iterdir()):
        placed[output / file.name] = file
    for file in sorted((run / "checkpoints").rglob("*")):
        if not file.is_file() or file.name.startswith("."):
            continue
        path = file.relative_to(run / "checkpoints")
        inside = path.parts[0].startswith("checkpoint-") or path.parts[0] == "logs"
        placed[output / path if inside else output / "logs" / path] = file
    for target, file in placed.items():
        target.parent.mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True)
        try:
            target.hardlink_to(file)
        except OSError:
            shutil.copyfile(file, target)
    return sorted(placed)


def read_rows(store: Store) -> list[dict[str, Any]]:
    """The rows of the loss curve."""
    if METRICS not in store.published(str(PurePosixPath(METRICS).parent)):
        return []
    return [json.loads(line) for line in store.local(METRICS).read_text("utf-8").splitlines()]


def belongs_to_tokenizer(name: str) -> bool:
    """Whether a file of ``tokenizer/`` is of the tokenizer itself: its forms, its settings and its templates.

    SentencePiece's and tiktoken's forms go along because llama.cpp, vLLM and others read these, and so do chat
    templates, which newer tokenizers keep in files of their own. Records of the stage stay behind.
    """
    fits = PurePosixPath(name).suffix in TOKENIZER_SUFFIXES or name == "merges.txt"
    return fits and name not in MODEL_FILES and not name.endswith(".index.json")


def _log_row(row: Mapping[str, Any], epochs_per_step: float) -> dict[str, Any]:
    names = {"lr": "learning_rate", "validation_loss": "eval_loss"}
    renamed = {names.get(key, key): value for key, value in row.items()}
    return renamed | {"epoch": round(row["step"] * epochs_per_step, 4)}


def _base_files(trained: Trained) -> list[Path]:
    """``config.json`` of the model that adapters belong to, and how it wants to be sampled from."""
    folder = getattr(trained.trainee, "folder", None)
    return [folder / name for name in MODEL_FILES if (folder / name).is_file()] if folder is not None else []


def _generation(folder: Path) -> dict[str, Any]:
    config = json.loads((folder / "config.json").read_text("utf-8"))
    return {key: config.get(key) for key in ("bos_token_id", "eos_token_id")} | SAMPLING


def _copy(file: Path, folder: Path) -> Path:
    return Path(shutil.copyfile(file, folder / file.name))


def _write_json(path: Path, value: Any) -> Path:
    path.write_text(json.dumps(value, indent=2, sort_keys=True) + "\n", "utf-8")
    return path
