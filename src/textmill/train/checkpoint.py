"""Checkpoints: everything that the next step depends on, in safetensors and JSON.

::

    checkpoints/checkpoint-500/model.safetensors      weights, float32, Hugging Face's names
                               config.json            the model's shape
                               optimizer.safetensors  <parameter>/<entry> of the optimisers
                               rng.safetensors        state of torch's random generator, uint8
                               trainer_state.json     step, counters, SHA-256 of the files above

``trainer_state.json`` is published last and names the SHA-256 of the others: a checkpoint that a kill left half
written has none, or one that does not fit, and is passed over.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from textmill.model.hf import load_weights, save_weights
from textmill.model.llama import Llama
from textmill.train.optimizer import optimizer_tensors, restore_optimizer_tensors
from textmill.train.store import Store

FOLDER = "checkpoints"
STATE = "trainer_state.json"


@dataclass
class TrainerState:
    """What is known after a number of steps, besides tensors.

    Attributes:
        fingerprint: SHA-256 over all that decides the weights; a checkpoint of another one is not continued.
        steps: of the whole run.
        threads: CPU threads of torch; a resumed run uses as many, or its last bits would differ.
        step: steps done.
        tokens: tokens read so far (windows times their length).
        loss_sum: sum of the losses since the last row of the metrics.
        loss_count: their number.
        seconds: training time so far.
        last_loss: loss in the last row of the metrics.
        torch: version of torch.
        device: where the steps ran.
    """

    fingerprint: str
    steps: int
    threads: int
    step: int = 0
    tokens: int = 0
    loss_sum: float = 0.0
    loss_count: int = 0
    seconds: float = 0.0
    last_loss: float | None = None
    torch: str = ""
    device: str = ""


def save_checkpoint(
    store: Store,
    scratch: Path,
    state: TrainerState,
    model: Llama,
    optimizers: Sequence[torch.optim.Optimizer],
    keep_last: int,
) -> str:
    """Publish a checkpoint, then remove all but the newest ``keep_last``; returns its folder's path."""
    folder = f"{FOLDER}/checkpoint-{state.step}"
    building = scratch / f"checkpoint-{state.step}"
    shutil.rmtree(building, ignore_errors=True)
    building.mkdir(parents=True)
    config = building / "config.json"
    config.write_text(json.dumps(model.config.to_hugging_face(), indent=2, sort_keys=True) + "\n", "utf-8")
    save_file(optimizer_tensors(model, optimizers), building / "optimizer.safetensors")
    save_file(_random_state(), building / "rng.safetensors")
    files = [*save_weights(model, building), config]
    files += [building / "optimizer.safetensors", building / "rng.safetensors"]
    record = asdict(state) | {"files": {file.name: _sha256(file) for file in sorted(files)}}
    for file in files:
        store.publish(file, f"{folder}/{file.name}")
    last = building / STATE
    last.write_text(json.dumps(record, indent=2, sort_keys=True) + "\n", "utf-8")
    store.publish(last, f"{folder}/{STATE}")
    shutil.rmtree(building)
    for step in checkpoint_steps(store)[:-keep_last]:
        store.remove(f"{FOLDER}/checkpoint-{step}")
    return folder


def find_checkpoint(
    store: Store, fingerprint: str, say: Callable[[str], None]
) -> tuple[str, TrainerState] | None:
    """The newest whole checkpoint of this training, and its state.

    Half-written checkpoints are removed. If checkpoints of another training lie there (other settings, other
    data), they are removed too: the folder belongs to the recipe as it is now.
    """
    for step in reversed(checkpoint_steps(store)):
        folder = f"{FOLDER}/checkpoint-{step}"
        record = _read_whole(store, folder)
        if record is None:
            say(f"{folder} is incomplete (interrupted while it was written): passed over")
        elif record["fingerprint"] != fingerprint:
            say(f"{folder} belongs to a training with other settings or data: removed, starting afresh")
        else:
            known = {field.name for field in fields(TrainerState)}
            return folder, TrainerState(**{key: value for key, value in record.items() if key in known})
        store.remove(folder)
    return None


def restore_checkpoint(
    store: Store, folder: str, model: Llama, optimizers: Sequence[torch.optim.Optimizer]
) -> None:
    """Put a checkpoint's weights, optimiser state and random state back."""
    local = store.local(folder)
    load_weights(model, local)
    restore_optimizer_tensors(model, optimizers, load_file(local / "optimizer.safetensors"))
    states = load_file(local / "rng.safetensors")
    torch.set_rng_state(states["cpu"])
    if "cuda" in states and torch.cuda.is_available():
        torch.cuda.set_rng_state(states["cuda"])


def checkpoint_steps(store: Store) -> list[int]:
    """Steps of the checkpoint folders that lie there, whole or not, ascending."""
    found = (re.match(rf"{FOLDER}/checkpoint-(\d+)/", path) for path in store.published(FOLDER))
    return sorted({int(match[1]) for match in found if match})


def _read_whole(store: Store, folder: str) -> dict[str, Any] | None:
    """The state of a checkpoint whose files are all there and as they were written."""
    if f"{folder}/{STATE}" not in store.published(folder):
        return None
    local = store.local(folder)
    try:
        record: dict[str, Any] = json.loads((local / STATE).read_text("utf-8"))
        whole = all(_sha256(local / name) == digest for name, digest in record["files"].items())
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return record if whole else None


def _random_state() -> dict[str, torch.Tensor]:
    states = {"cpu": torch.get_rng_state()}
    if torch.cuda.is_available():
        states["cuda"] = torch.cuda.get_rng_state()
    return states


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
