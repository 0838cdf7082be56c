"""What is forecast is what happens: memory against the allocator, FLOPs and parameters against the model."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from tests.train.small_models import make_llama

from textmill.errors import UserError
from textmill.model.presets import preset_config
from textmill.train.activation import checkpoint_activations
from textmill.train.adapter_settings import LoraSettings
from textmill.train.adapter_trainee import load_adapter_trainee
from textmill.train.batch import TokenBatch, next_token_targets
from textmill.train.forecast import GIB, Job, forecast, forecasts
from textmill.train.hardware import ACCELERATORS, find_accelerator, parse_machines
from textmill.train.parallel.strategy import Strategy
from textmill.train.preflight import describe_job, trace_memory
from textmill.train.settings import TrainSection
from textmill.train.trainee import LlamaTrainee, Trainee

TOLERANCE = 0.03
"""Of the forecast of a step's memory: what allocators round and CPU kernels keep besides."""

VOCABULARY, LENGTH = 4_096, 64


def llama(seq_len: int = LENGTH, device: str = "cpu") -> Trainee:
    return LlamaTrainee(preset_config("tiny", vocab_size=VOCABULARY, seq_len=seq_len), device)


def allocated(settings: TrainSection, dtype: str, rows: int, seq_len: int, folder: Path) -> int:
    """The highest number of bytes that the allocator had given out in two real steps, from torch's profiler."""
    from torch.profiler import ProfilerActivity, profile

    tokens = torch.zeros(rows, seq_len, dtype=torch.int64)
    batch = TokenBatch(tokens, next_token_targets(tokens))
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as recorded:
        strategy = Strategy(torch.device("cpu"))
        resolved = settings.resolved().model_copy(update={"dtype": dtype, "device": "cpu"})
        trainee = llama(seq_len)
        checkpoint_activations(trainee.blocks(), settings.activation_checkpointing)
        strategy.prepare(trainee, resolved, 0)
        for _ in range(2):
            strategy.accumulate(batch, 1.0 / tokens.numel(), last=True)
            strategy.clip(1.0)
            strategy.update(1.0)
    recorded.export_chrome_trace(str(folder / "trace.json"))
    events = json.loads((folder / "trace.json").read_text())["traceEvents"]
    found = [
        event["args"]
        for event in sorted(events, key=lambda e: e.get("ts", 0))
        if event.get("name") == "[memory]"
    ]
    before = (
        found[0]["Total Allocated"] - found[0]["Bytes"]
    )  # what an earlier recording saw and never saw freed
    return max(event["Total Allocated"] for event in found) - before


@pytest.mark.parametrize(
    ("optimizer", "dtype", "checkpointing", "rows", "seq_len"),
    [
        ("adamw", "fp32", "none", 8, 64),
        ("muon", "fp32", "full", 2, 64),
        pytest.param("adamw", "bf16", "none", 4, 128, marks=pytest.mark.slow),
        ("adamw", "bf16", "selective", 4, 128),
    ],
)
def test_memory_is_what_the_allocator_gives_out(
    optimizer: str,
    dtype: str,
    checkpointing: str,
    rows: int,
    seq_len: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # A forecast is for a GPU, which takes the logits of more tokens at a time than a CPU.
    monkeypatch.setattr("textmill.model.loss.CHUNK_TOKENS", 8_192)
    settings = TrainSection(preset="tiny", optimizer=optimizer, activation_checkpointing=checkpointing)  # type: ignore[arg-type]
    _, memory = trace_memory(
        settings.resolved(),
        lambda device: llama(seq_len, device),
        vocab_size=VOCABULARY,
        seq_len=seq_len,
        rows=rows,
        dtype=dtype,
    )
    real = allocated(settings, dtype, rows, seq_len, tmp_path)
    assert abs(memory.total - real) <= TOLERANCE * real, (memory, real)


def test_parts_are_what_they_are_called() -> None:
    config = preset_config("tiny", vocab_size=VOCABULARY, seq_len=LENGTH)
    settings = TrainSection(preset="tiny", optimizer="adamw")
    job = describe_job(
        settings,
        lambda device: llama(device=device),
        vocab_size=VOCABULARY,
        seq_len=LENGTH,
        tokens=1_000_000,
        dtype="fp32",
    )
    parameters = config.parameters()
    rotary = 2 * 4 * LENGTH * config.head_dim
    assert job.parameters == job.trained == parameters
    assert job.weights == 4 * parameters + rotary
    assert job.gradients == 4 * parameters
    assert job.optimizer == pytest.approx(8 * parameters, rel=0.01)
    assert job.flops_per_token == config.training_flops_per_token(LENGTH)
    assert job.tokens_per_parameter == pytest.approx(1_000_000 / parameters)
    assert job.flops == pytest.approx(1_000_000 * job.flops_per_token)


@pytest.mark.slow
def test_a_billion_parameters_are_counted_without_a_byte() -> None:
    config = preset_config("1b", seq_len=256)
    settings = TrainSection(preset="1b", micro_batch_size=1, activation_checkpointing="full")
    job = describe_job(
        settings,
        lambda device: LlamaTrainee(config, device),
        vocab_size=32_000,
        seq_len=256,
        tokens=None,
        dtype="bf16",
    )
    assert 1.0e9 < job.parameters < 1.3e9
    assert job.optimizer == pytest.approx(8 * job.parameters, rel=0.001)
    assert job.recomputed == 1.0
    assert job.steps is None
    assert all(one.seconds is None for one in forecasts(job, parse_machines("h100")))


def test_adapters_need_gradients_of_adapters_alone(tmp_path: Path) -> None:
    base = make_llama(tmp_path / "llama")
    settings = TrainSection.model_validate({"from": str(base), "method": "lora", "micro_batch_size": 2})

    def make(device: str) -> Trainee:
        return load_adapter_trainee(
            base, "lora", LoraSettings(), device=device, dtype=torch.float32, seed=0, weights=False
        )

    job = describe_job(settings, make, vocab_size=400, seq_len=32, tokens=10_000, dtype="fp32")
    assert job.trained < 0.3 * job.parameters
    assert job.gradients == 4 * job.trained
    assert job.flops_per_token < 6 * job.parameters


def job(**changes: object) -> Job:
    fields: dict[str, object] = {
        "parameters": 10**9,
        "trained": 10**9,
        "tokens": 20 * 10**9,
        "flops_per_token": 6e9,
        "batch_size": 512,
        "micro_batch_size": 4,
        "seq_len": 2_048,
        "weights": 4 * 10**9,
        "gradients": 4 * 10**9,
        "optimizer": 8 * 10**9,
        "activations": 20 * 10**9,
        "logits": 5 * 10**9,
        "block": 10**8,
    }
    return Job(**(fields | changes))  # type: ignore[arg-type]


def test_time_and_price_follow_from_flops() -> None:
    one, eight = (next(forecasts(job(), parse_machines(text), 0.5)) for text in ("h100@2", "8xh100@2"))
    assert one.seconds == pytest.approx(20e9 * 6e9 / (989e12 * 0.5))
    assert eight.seconds == pytest.approx(one.seconds / 8)
    assert one.price == pytest.approx(one.seconds / 3600 * 2)
    assert eight.price == pytest.approx(one.price)
    assert not eight.waits


def test_recomputing_the_forward_pass_takes_a_third_more() -> None:
    machine = parse_machines("h100")[0]
    plain, again = (forecast(job(recomputed=r), machine, "single", 0.5) for r in (0.0, 1.0))
    assert again.seconds == pytest.approx(plain.seconds * 4 / 3)  # type: ignore[operator]


def test_sharding_saves_what_can_be_shared_out() -> None:
    machine = parse_machines("8xA100-40GB")[0]
    ddp, fsdp = forecast(job(), machine, "ddp"), forecast(job(), machine, "fsdp")
    assert not ddp.fits
    assert fsdp.fits
    assert fsdp.activations == ddp.activations
    assert fsdp.optimizer == ddp.optimizer // 8
    assert fsdp.weights == ddp.weights // 8 + 2 * 10**8


def test_slow_links_decide_where_they_must() -> None:
    wide = forecast(job(batch_size=8, micro_batch_size=1), parse_machines("8xL4")[0], "ddp", 0.5)
    assert not forecast(job(), parse_machines("8xh100")[0], "ddp", 0.5).waits
    assert forecast(job(batch_size=64, seq_len=64), parse_machines("8xL4")[0], "ddp", 0.5).waits
    assert wide.total > 22 * GIB
    assert not wide.fits


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("8xH100", ["8 x H100"]),
        ("h200, 2*a100-40gb", ["1 x H200", "2 x A100-40GB"]),
        ("NVIDIA L4 ", ["1 x L4"]),
        ("rtx_4090;4090", ["1 x RTX-4090", "1 x RTX-4090"]),
    ],
)
def test_machines_are_read_as_people_write_them(written: str, shown: list[str]) -> None:
    assert [str(one) for one in parse_machines(written.replace("NVIDIA L4", "NVIDIA-L4"))] == shown


def test_prices_can_be_given() -> None:
    first, second = parse_machines("h100@1.25,l4", price=9.0)
    assert (first.accelerator.price, second.accelerator.price) == (1.25, 9.0)


@pytest.mark.parametrize("wrong", ["h10", "8xH100@cheap", "0xh100"])
def test_unknown_machines_are_told(wrong: str) -> None:
    with pytest.raises(UserError):
        parse_machines(wrong)
    if wrong == "h10":
        with pytest.raises(UserError, match="did you mean"):
            find_accelerator(wrong)


def test_the_table_of_accelerators_is_plausible() -> None:
    for one in ACCELERATORS.values():
        assert 10 < one.tflops < 5_000
        assert 10 < one.memory_gib < 400
        assert 0 < one.price < 20
