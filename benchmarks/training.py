"""Training on a CPU beside transformers' Trainer and a loop in the manner of nanoGPT, plain and compiled.

    python -m benchmarks training                        # tiny, 200 steps of 16 x 128 tokens
    python -m benchmarks training --preset 125m --batch 2 --seq-len 256 --steps 8 --rounds 1 --data DIR

Contestants (:mod:`benchmarks.trainers`) take turns, each in a process of its own with one thread, on the same first
weights and the same windows of text in the same order, in float32. Shown are tokens per second of processor time
(min / median / max over the rounds), which other work on the machine disturbs least, and the largest difference
between the contestants' losses over all steps.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks import corpus, machine
from benchmarks.trainers import Job
from textmill.model import PRESETS, preset_config
from textmill.model.hf import save_folder
from textmill.model.llama import Llama

CONTESTANTS = [(who, compiled) for compiled in (False, True) for who in ("textmill", "trainer", "loop")]


def main() -> int:
    options = arguments()
    print(machine.describe(), f", torch {torch.__version__}", sep="")
    config = preset_config(options.preset, seq_len=options.seq_len)
    print(
        f"{options.preset}: {config.parameters() / 1e6:.2f} M parameters, {options.steps} steps of {options.batch} x "
        f"{options.seq_len} tokens, float32, {options.threads} thread(s), {options.rounds} rounds"
    )
    found: dict[tuple[str, bool], list[dict[str, Any]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        prepare(Path(folder), options)
        chosen = [one for one in CONTESTANTS if options.compiled or not one[1]]
        for _ in range(options.rounds):
            for who, compiled in chosen:
                result = run(Path(folder), job(Path(folder), who, compiled, options))
                found.setdefault((who, compiled), []).append(result)
    show(found)
    return 0


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--preset", choices=PRESETS, default="tiny")
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--seq-len", type=int, default=128)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--no-compiled", dest="compiled", action="store_false", help="leave compiled ones out"
    )
    return parser.parse_args()


def prepare(folder: Path, options: argparse.Namespace) -> None:
    """First weights, without zeros, and shuffled windows of real text as bytes, or else of random ones."""
    config = preset_config(options.preset, seq_len=options.seq_len)
    model = Llama(config)
    model.initialise(torch.Generator().manual_seed(0))
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith(("o_proj.weight", "down_proj.weight")):
                parameter.normal_(0.0, 0.02, generator=torch.Generator().manual_seed(1))
    save_folder(model, folder / "model")
    needed = options.steps * options.batch * options.seq_len
    windows = tokens(needed).reshape(-1, options.seq_len)
    # In the order of the text, whole batches come from one document, and losses spike where the next begins.
    np.save(folder / "windows.npy", np.random.default_rng(0).permutation(windows))


def tokens(count: int) -> np.ndarray[Any, Any]:
    """Bytes of text as tokens."""
    folders = corpus.data_folders()
    text = b"\n".join(each.encode() for _, each in corpus.sample(folders, 8)) if folders else b""
    values = np.frombuffer(text, np.uint8)
    if len(values) < 1000:
        values = np.random.default_rng(0).integers(0, 256, count).astype(np.uint8)
    return np.resize(values, count).astype(np.uint16)


def job(folder: Path, who: str, compiled: bool, options: argparse.Namespace) -> Job:
    return Job(
        who=who, model=str(folder / "model"), windows=str(folder / "windows.npy"), steps=options.steps,
        uncounted=max(2, options.steps // 10), batch=options.batch, micro=options.batch, compiled=compiled,
        dtype="fp32", device="cpu", threads=options.threads,
    )  # fmt: skip


def run(folder: Path, one: Job) -> dict[str, Any]:
    """One training in a process of its own."""
    file = folder / "job.json"
    file.write_text(json.dumps(asdict(one)))
    environment = os.environ | {"OMP_NUM_THREADS": str(one.threads), "OMP_WAIT_POLICY": "PASSIVE"}
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.trainers", str(file)],
        capture_output=True, text=True, env=environment, check=False,
    )  # fmt: skip
    if done.returncode:
        return {"failed": (done.stderr.strip().splitlines() or ["no output"])[-1]}
    result: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return result


def show(found: dict[tuple[str, bool], list[dict[str, Any]]]) -> None:
    """The table, the ratio to the best peer, and the largest difference of losses."""
    print(
        f"\n{'':20}{'tokens per CPU second: min / median / max':>44}{'wall, median':>15}{'loss at the end':>17}"
    )
    medians: dict[tuple[str, bool], float] = {}
    for (who, compiled), results in found.items():
        name = f"{who}{', compiled' if compiled else ''}"
        rates = sorted(one["tokens_per_cpu_second"] for one in results if "failed" not in one)
        if not rates:
            print(f"{name:20}{results[0]['failed'][:90]}")
            continue
        medians[who, compiled] = statistics.median(rates)
        wall = statistics.median(one["tokens_per_second"] for one in results if "failed" not in one)
        span = f"{rates[0]:,.0f} / {medians[who, compiled]:,.0f} / {rates[-1]:,.0f}"
        print(f"{name:20}{span:>44}{wall:15,.0f}{results[0]['losses'][-1]:17.5f}")
    ours = max(value for (who, _), value in medians.items() if who == "textmill")
    peers = {name: value for name, value in medians.items() if name[0] != "textmill"}
    best = max(peers, key=lambda name: peers[name])
    print(f"\ntextmill / best peer ({best[0]}{', compiled' if best[1] else ''}): {ours / peers[best]:.3f}")
    curves = [results[0]["losses"] for results in found.values() if "failed" not in results[0]]
    steps = min(map(len, curves))
    spread = np.ptp([curve[:steps] for curve in curves], axis=0)
    print(
        f"largest difference of losses over {steps} steps: {spread.max():.2e} nats (at step {spread.argmax() + 1})"
    )


if __name__ == "__main__":
    sys.exit(main())
