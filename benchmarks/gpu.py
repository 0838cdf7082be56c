"""Training on one GPU: tokens per second, MFU and peak memory, beside transformers' Trainer.

    python -m benchmarks gpu                       # five configurations, under 8 minutes on an H100 or H200
    python benchmarks/gpu.py --only 1b             # those of one preset
    python benchmarks/gpu.py --device cpu          # the benchmark itself, with tiny sizes, without a GPU

==============  ===========================================================================================
125m, 2k        textmill compiled; Trainer with ``torch_compile``
1b, 4k          textmill compiled, textmill eager; Trainer with ``torch_compile``
==============  ===========================================================================================

Every configuration is a whole training loop with AdamW in bfloat16 autocast over float32 weights
(:mod:`benchmarks.trainers`), on random tokens, in a process of its own that is given up after 90 seconds. MFU counts
the operations of ``LlamaConfig.training_flops_per_token`` against the GPU's dense bfloat16 peak (989 TFLOP/s for
H100 and H200). The table goes to ``benchmarks/results/gpu.jsonl`` with date and machine.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parents[1]))  # as a script too

from benchmarks.trainers import Job
from textmill.model import preset_config
from textmill.model.hf import save_folder
from textmill.model.llama import Llama
from textmill.train.hardware import peak_flops

RESULTS = Path(__file__).parent / "results" / "gpu.jsonl"
LIMIT = 90.0
"""Seconds for a configuration, with loading and compiling."""


@dataclass(frozen=True)
class Configuration:
    """A row of the table."""

    preset: str
    who: str
    compiled: bool
    seq_len: int
    batch: int
    micro: int

    def __str__(self) -> str:
        return f"{self.preset} {self.who} {'compiled' if self.compiled else 'eager'}"


CONFIGURATIONS = [
    Configuration("125m", "textmill", True, 2048, 32, 32),
    Configuration("125m", "trainer", True, 2048, 32, 32),
    Configuration("1b", "textmill", True, 4096, 8, 8),
    Configuration("1b", "textmill", False, 4096, 8, 4),
    Configuration("1b", "trainer", True, 4096, 8, 4),
]
TINY = [
    Configuration("tiny", who, compiled, 64, 4, 2)
    for who, compiled in (("textmill", True), ("trainer", False))
]


def main() -> int:
    options = arguments()
    if options.device == "cuda" and not torch.cuda.is_available():
        print(
            f"No GPU: torch {torch.__version__} finds none on this machine, so there is nothing to measure.\n"
            "On a machine with an NVIDIA GPU install a CUDA build of torch; `--device cpu` tries the benchmark "
            "itself without one.",
            file=sys.stderr,
        )
        return 2
    on_gpu = options.device == "cuda"
    machine = torch.cuda.get_device_name() if on_gpu else platform.processor() or platform.machine()
    print(f"{datetime.now(UTC):%Y-%m-%d}, {machine}, torch {torch.__version__}")
    print(f"{'':26}{'tokens':>14}{'tokens/s':>11}{'MFU':>8}{'peak GiB':>10}{'loss':>9}{'seconds':>9}")
    chosen = [one for one in (CONFIGURATIONS if on_gpu else TINY) if options.only in (None, one.preset)]
    begun = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        for one in chosen:
            started = time.monotonic()
            result = measure(one, Path(folder), options)
            result["seconds"] = time.monotonic() - started
            print_row(one, result)
            save({"configuration": asdict(one), "machine": machine, "torch": torch.__version__, **result})
    print(f"{time.monotonic() - begun:.0f} s in all")
    return 0


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", metavar="PRESET", help="125m or 1b")
    parser.add_argument(
        "--steps", type=int, default=30, help="steps at most; measuring ends after some seconds"
    )
    parser.add_argument("--seconds", type=float, default=12.0, help="seconds to measure, after warming up")
    parser.add_argument("--device", default="cuda", choices=("cuda", "cpu"))
    return parser.parse_args()


def measure(one: Configuration, folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Tokens per second, MFU, peak memory; or why there are none."""
    config = preset_config(one.preset, seq_len=one.seq_len)
    model, windows = folder / one.preset, folder / f"{one.preset}.npy"
    if not model.exists():
        fresh = Llama(config)
        fresh.initialise(torch.Generator().manual_seed(0))
        save_folder(fresh, model)
        shape = (options.steps * one.batch, one.seq_len)
        np.save(windows, np.random.default_rng(0).integers(0, config.vocab_size, shape).astype(np.uint16))
    on_gpu = options.device == "cuda"
    job = Job(
        who=one.who, model=str(model), windows=str(windows), steps=options.steps, uncounted=5, batch=one.batch,
        micro=one.micro, compiled=one.compiled, dtype="bf16" if on_gpu else "fp32", device=options.device,
        threads=max(1, (os.cpu_count() or 2) // 2), seconds=options.seconds,
    )  # fmt: skip
    file = folder / "job.json"
    file.write_text(json.dumps(asdict(job)))
    try:
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.trainers", str(file)],
            capture_output=True, text=True, check=False, timeout=LIMIT if on_gpu else None,
            cwd=Path(__file__).parents[1],
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return {"failed": f"not done after {LIMIT:.0f} s"}
    if done.returncode:
        lines = done.stderr.strip().splitlines() or ["no output"]
        return {"failed": next((line for line in lines if "OutOfMemory" in line), lines[-1])}
    result: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    peak = peak_flops(torch.device(options.device))
    if peak:
        result["mfu"] = result["tokens_per_second"] * config.training_flops_per_token(one.seq_len) / peak
    return result


def print_row(one: Configuration, result: dict[str, Any]) -> None:
    if "failed" in result:
        print(f"{one!s:26}{result['failed'][:100]}")
        return
    mfu = f"{result['mfu']:.1%}" if "mfu" in result else "-"
    peak = f"{result['peak_bytes'] / 2**30:.1f}" if result["peak_bytes"] else "-"
    loss = f"{result['losses'][-1]:.4f}" if result["losses"] else "-"
    tokens = f"{one.batch} x {one.seq_len}"
    print(
        f"{one!s:26}{tokens:>14}{result['tokens_per_second']:11,.0f}{mfu:>8}{peak:>10}{loss:>9}{result['seconds']:9.0f}",
        flush=True,
    )


def save(row: dict[str, Any]) -> None:
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    with RESULTS.open("a", encoding="utf-8") as file:
        file.write(json.dumps({"date": datetime.now(UTC).isoformat(timespec="seconds")} | row) + "\n")


if __name__ == "__main__":
    sys.exit(main())
