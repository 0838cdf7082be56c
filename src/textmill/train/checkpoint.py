"""Checkpoints: everything that the next step depends on, in safetensors and JSON.

::

    checkpoints/checkpoint-500/model.safetensors      weights, float32, Hugging Face's names
                               config.json            the model's shape
                               optimizer.safetensors  <parameter>/<entry> of the optimisers
                               trainer_state.json     step, counters, SHA-256 of the files above

``trainer_state.json`` is published last and names the SHA-256 of the others: a checkpoint that a kill left half
written has none, or one that does not fit, and is passed over. Tensors are whole whatever the number of processes
that trained them, so any number of processes can go on. The state of random generators is not kept: every step
sets them from (seed, step, process).
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from textmill.train.state import TrainerState
from textmill.train.store import Store
from textmill.train.trainee import Trainee

FOLDER = "checkpoints"
STATE = "trainer_state.json"
OPTIMIZER = "optimizer.safetensors"


@dataclass(frozen=True)
class Snapshot:
    """A training at one step, in memory of its own: it may be written while training goes on.

    Attributes:
        state: the counters, as JSON values.
        weights: by parameter name, whole, on the CPU.
        optimizer: ``<parameter>/<entry>``, whole, on the CPU.
    """

    state: dict[str, Any]
    weights: Mapping[str, Tensor]
    optimizer: Mapping[str, Tensor]


def write_checkpoint(store: Store, scratch: Path, trainee: Trainee, snapshot: Snapshot) -> str:
    """Publish a checkpoint; returns its folder's path in the store."""
    name = f"checkpoint-{snapshot.state['step']}"
    folder, building = f"{FOLDER}/{name}", scratch / name
    shutil.rmtree(building, ignore_errors=True)
    building.mkdir(parents=True)
    try:
        files = trainee.write(snapshot.weights, building)
        save_file(dict(snapshot.optimizer), building / OPTIMIZER)
        files = [*files, building / OPTIMIZER]
        record = snapshot.state | {"files": {file.name: _sha256(file) for file in sorted(files)}}
        for file in files:
            store.publish(file, f"{folder}/{file.name}")
        last = building / STATE
        last.write_text(json.dumps(record, indent=2, sort_keys=True) + "\n", "utf-8")
        store.publish(last, f"{folder}/{STATE}")
    finally:
        shutil.rmtree(building, ignore_errors=True)
    return folder


def remove_old(store: Store, keep_last: int, best: int | None = None) -> None:
    """Remove all checkpoints but the newest ``keep_last`` and that of step ``best``."""
    for step in checkpoint_steps(store)[:-keep_last]:
        if step != best:
            store.remove(f"{FOLDER}/checkpoint-{step}")


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
            return folder, TrainerState.from_record(record)
        store.remove(folder)
    return None


def read_optimizer(store: Store, folder: str) -> Iterator[tuple[str, Tensor]]:
    """The optimisers' tensors of a checkpoint, one by one."""
    with safe_open(store.local(folder) / OPTIMIZER, framework="pt") as file:
        for key in file.keys():  # noqa: SIM118 - not a mapping
            yield key, file.get_tensor(key)


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


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
