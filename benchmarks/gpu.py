"""Training speed of the presets on a GPU: tokens per second, MFU, peak memory, beside transformers' Llama.

    python benchmarks/gpu.py                          # 125m, 350m and 1b, as far as they fit
    python benchmarks/gpu.py --presets 1b --compile --batch 4 --seq-len 4096
    python benchmarks/gpu.py --device cpu --presets tiny --batch 4 --steps 3     # the same without a GPU

A row is one preset: forward pass alone and forward with backward pass (no optimiser step), bfloat16 autocast over
float32 weights, random tokens; the peer is transformers' ``LlamaForCausalLM`` of the same shape with its own loss,
measured in the same process. MFU counts the operations of ``LlamaConfig.training_flops_per_token`` against the
GPU's dense bfloat16 peak. Results are appended to ``benchmarks/results/gpu.jsonl`` with date and machine.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import sys
import time
from collections.abc import Callable
from contextlib import nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from textmill.model import PRESETS, LlamaConfig, preset_config
from textmill.train.batch import TokenBatch, next_token_targets
from textmill.train.trainee import LlamaTrainee

RESULTS = Path(__file__).parent / "results" / "gpu.jsonl"

PEAK_BF16 = {
    "B200": 2250e12,
    "H200": 989e12,
    "H100 PCIe": 756e12,
    "H100": 989e12,
    "A100": 312e12,
    "L40S": 362e12,
    "L4": 121e12,
    "RTX 4090": 165e12,
    "A10": 125e12,
}
"""Dense bfloat16 operations per second from the makers' data sheets; the first name found in the GPU's name counts."""


def main() -> int:
    options = parse_arguments()
    if options.device == "cuda" and not torch.cuda.is_available():
        print(
            f"No GPU: torch {torch.__version__} finds none on this machine, so there is nothing to measure.\n"
            "On a machine with an NVIDIA GPU install a CUDA build of torch; `--device cpu --presets tiny` tries the "
            "benchmark itself without one.",
            file=sys.stderr,
        )
        return 2
    device = torch.device(options.device)
    machine = (
        torch.cuda.get_device_name() if device.type == "cuda" else platform.processor() or platform.machine()
    )
    print(f"{machine}, torch {torch.__version__}, {options.batch} x {options.seq_len} tokens")
    print(f"{'preset':8}{'whose':14}{'forward t/s':>12}{'training t/s':>13}{'MFU':>8}{'peak GiB':>10}")
    for name in options.presets:
        config = preset_config(name, seq_len=options.seq_len)
        row: dict[str, Any] = {"preset": name, "parameters": config.parameters()}
        for whose, build in (("textmill", ours), ("transformers", theirs)):
            row[whose] = measure(build, config, device, options)
            print_row(name, whose, row[whose])
        if "training" in row["textmill"] and "training" in row["transformers"]:
            row["ratio"] = row["textmill"]["training"] / row["transformers"]["training"]
            print(f"{'':8}{'ratio':14}{'':12}{row['ratio']:13.2f}")
        save(row | {"machine": machine, "torch": torch.__version__, "options": vars(options)})
    return 0


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--presets", nargs="+", choices=PRESETS, default=["125m", "350m", "1b"])
    parser.add_argument("--batch", type=int, default=8, help="sequences per forward pass")
    parser.add_argument("--seq-len", type=int, default=2048, help="tokens per sequence")
    parser.add_argument("--steps", type=int, default=10, help="measured repetitions; the median counts")
    parser.add_argument(
        "--compile", action="store_true", help="torch.compile for every block, ours and theirs"
    )
    parser.add_argument("--device", default="cuda", choices=("cuda", "cpu"))
    return parser.parse_args()


def ours(config: LlamaConfig, compiled: bool) -> tuple[nn.Module, Callable[[Tensor], Tensor]]:
    trainee = LlamaTrainee(config)
    trainee.model.initialise(torch.Generator().manual_seed(0))
    if compiled:
        for block in trainee.blocks():
            block.compile()

    def loss(tokens: Tensor) -> Tensor:
        return trainee.nats(
            TokenBatch(tokens, next_token_targets(tokens)), 1.0 / (tokens.numel() - len(tokens))
        )

    return trainee.model, loss


def theirs(config: LlamaConfig, compiled: bool) -> tuple[nn.Module, Callable[[Tensor], Tensor]]:
    from transformers import LlamaConfig as TheirConfig
    from transformers import LlamaForCausalLM

    model = LlamaForCausalLM(TheirConfig(**config.to_hugging_face()))
    if compiled:
        for layer in model.model.layers:
            layer.compile()
    return model, lambda tokens: model(tokens, labels=tokens, use_cache=False).loss


def measure(
    build: Any, config: LlamaConfig, device: torch.device, options: argparse.Namespace
) -> dict[str, Any]:
    """Tokens per second forward and in training, MFU, peak memory; or why there are none."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    try:
        model, loss_of = build(config, options.compile)
        model.to(device).train()
        tokens = torch.randint(0, config.vocab_size, (options.batch, options.seq_len), device=device)
        autocast = torch.autocast("cuda", torch.bfloat16) if device.type == "cuda" else nullcontext()

        def forward() -> None:
            with torch.no_grad(), autocast:
                loss_of(tokens)

        def training() -> None:
            with autocast:
                loss = loss_of(tokens)
            loss.backward()
            model.zero_grad(set_to_none=True)

        result: dict[str, Any] = {
            "forward": tokens.numel() / seconds(forward, device, options.steps),
            "training": tokens.numel() / seconds(training, device, options.steps),
        }
    except ImportError as error:
        return {"failed": f"not installed: {error.name}"}
    except torch.cuda.OutOfMemoryError:
        return {"failed": "does not fit into the GPU's memory"}
    if device.type == "cuda":
        result["peak_bytes"] = torch.cuda.max_memory_allocated()
        peak = next(
            (value for name, value in PEAK_BF16.items() if name in torch.cuda.get_device_name()), None
        )
        if peak:
            result["mfu"] = result["training"] * config.training_flops_per_token(options.seq_len) / peak
    return result


def seconds(work: Callable[[], None], device: torch.device, steps: int) -> float:
    """Median time of a repetition, after two that warm up (and compile)."""
    times = []
    for _ in range(2 + steps):
        start = time.perf_counter()
        work()
        if device.type == "cuda":
            torch.cuda.synchronize()
        times.append(time.perf_counter() - start)
    return statistics.median(times[2:])


def print_row(preset: str, whose: str, result: dict[str, Any]) -> None:
    if "failed" in result:
        print(f"{preset:8}{whose:14}{result['failed']}")
        return
    mfu = f"{result['mfu']:.1%}" if "mfu" in result else "-"
    peak = f"{result['peak_bytes'] / 2**30:.1f}" if "peak_bytes" in result else "-"
    print(f"{preset:8}{whose:14}{result['forward']:12,.0f}{result['training']:13,.0f}{mfu:>8}{peak:>10}")


def save(row: dict[str, Any]) -> None:
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    with RESULTS.open("a", encoding="utf-8") as file:
        file.write(json.dumps({"date": datetime.now(UTC).isoformat(timespec="seconds")} | row) + "\n")


if __name__ == "__main__":
    sys.exit(main())
