"""The ``train:`` section of a recipe."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field, model_validator

from textmill.model.config import LlamaConfig
from textmill.model.presets import PRESETS, Shape, shape_config
from textmill.steps import Count, Settings, StageContext, StageResult
from textmill.steps.settings import InputPath
from textmill.train.defaults import DEFAULTS
from textmill.train.depth import depth_shape
from textmill.train.start_settings import QUANTISED, StartSettings


class ModelShape(Settings):
    """A shape of one's own, instead of a preset."""

    layers: int = Field(gt=0, description="Number of blocks.")
    hidden_size: int = Field(gt=0, description="Width of the residual stream, in numbers.")
    heads: int = Field(gt=0, description="Query heads; divides hidden_size.")
    kv_heads: int | None = Field(
        default=None, gt=0, description="Key and value heads; as many as heads if left out."
    )
    intermediate_size: int = Field(gt=0, description="Width inside the MLP, in numbers.")
    tie_embeddings: bool = Field(default=True, description="Whether the output layer is the embedding table.")
    qk_norm: bool = Field(
        default=False, description="Norm queries and keys per head; Hugging Face calls that Qwen3."
    )
    rope_theta: float = Field(default=10_000.0, gt=0, description="Base of the rotary frequencies.")


class TokenSource(Settings):
    """One of several sets of tokens to train on."""

    tokens: InputPath | None = Field(
        default=None,
        description="Another run's tokens/ folder, with the same tokenizer; this run's own if left out.",
    )
    weight: float = Field(gt=0, description="Share of the windows, in proportion to the other sources.")


class DeepSpeedSettings(Settings):
    """ZeRO of DeepSpeed (https://arxiv.org/abs/1910.02054)."""

    stage: Literal[1, 2, 3] = Field(
        default=2,
        description="What is shared out among the processes: 1 optimiser state, 2 gradients too, 3 weights too.",
    )
    offload: bool = Field(default=False, description="Keep the optimiser's state in the CPU's memory.")
    config: InputPath | None = Field(
        default=None,
        description="A DeepSpeed configuration (JSON) whose values are taken where this section says nothing.",
    )


class TrainSection(StartSettings):
    """Training on the run's tokens: a Llama from scratch, or a model that exists, whole or by adapters.

    Fields left out take the preset's values (``textmill.train.defaults``). The context length is the ``seq_len`` of
    ``tokens``; the vocabulary is the tokenizer's.
    """

    name: ClassVar[str] = "train"
    shorthand: ClassVar[str | None] = "preset"
    needs: ClassVar[tuple[str, ...]] = ("tokens", "tokenizer")
    folders: ClassVar[tuple[str, ...]] = ("checkpoints", "model")

    preset: Literal["tiny", "125m", "350m", "1b", "8b"] | None = Field(
        default=None, description="Named shape of the model; tiny if neither preset nor shape is given."
    )
    shape: ModelShape | None = Field(default=None, description="Shape of the model, instead of a preset.")
    tokens: Count | None = Field(
        default=None, gt=0, description="Training budget in tokens (2.5B); data is repeated if there is less."
    )
    epochs: float | None = Field(
        default=None,
        gt=0,
        description="Training budget in passes over the data; 1 if nothing else limits the training.",
    )
    steps: Count | None = Field(default=None, gt=0, description="Training budget in optimiser steps.")
    seq_len: int | None = Field(
        default=None, gt=1, description="Tokens per window; tokens.seq_len if left out."
    )
    stride: int = Field(
        default=0,
        ge=0,
        description="Tokens that a window shares with the one before it; less than its length.",
    )
    windows: Literal["stream", "documents", "packed"] = Field(
        default="stream",
        description="stream: cut one after the other through all documents; documents: within each document; "
        "packed: whole documents packed together, best fit first.",
    )
    min_tokens: int | None = Field(
        default=None,
        gt=1,
        description="Windows with fewer tokens are dropped; 50 if left out, and stream keeps full ones only.",
    )
    mask_documents: bool = Field(
        default=False,
        description="Attention stays inside of documents, and nothing is predicted across them.",
    )
    mixture: list[TokenSource] | None = Field(
        default=None, description="Train on several sets of tokens by weight; each is repeated as needed."
    )
    seq_len_schedule: dict[int, float] | None = Field(
        default=None,
        description="Begin with shorter rows: {256: 0.1, 512: 0.2} cuts windows into rows of 256 tokens for a tenth "
        "of the steps, then of 512 for a fifth; a step has as many tokens as ever.",
    )
    batch_size: int | None = Field(default=None, gt=0, description="Sequences per optimiser step.")
    micro_batch_size: int | None = Field(
        default=None,
        gt=0,
        description="Sequences per forward pass; smaller takes less memory, same result but for rounding.",
    )
    optimizer: Literal["adamw", "muon"] | None = Field(
        default=None,
        description="adamw, or muon for the matrices inside the blocks with adamw for all the rest.",
    )
    lr: float | None = Field(default=None, gt=0, description="Peak learning rate of AdamW.")
    muon_lr: float | None = Field(default=None, gt=0, description="Peak learning rate of Muon.")
    beta1: float = Field(
        default=0.9, ge=0, lt=1, description="AdamW: decay of the mean of gradients, per step."
    )
    beta2: float = Field(
        default=0.95, ge=0, lt=1, description="AdamW: decay of the mean of squares, per step."
    )
    eps: float = Field(default=1e-8, gt=0, description="AdamW: added to the root of the mean of squares.")
    momentum: float = Field(default=0.95, ge=0, lt=1, description="Muon: decay of the momentum, per step.")
    weight_decay: float | None = Field(
        default=None,
        ge=0,
        description="Decoupled decay of the matrices inside the blocks, per unit of learning rate.",
    )
    schedule: Literal["constant", "cosine", "linear", "wsd"] | None = Field(
        default=None, description="How the learning rate falls; wsd stays at the peak, then falls linearly."
    )
    warmup: float | None = Field(
        default=None, ge=0, description="Linear warm-up: steps, or a share of all steps if below 1."
    )
    decay_fraction: float = Field(
        default=0.4, gt=0, le=1, description="wsd: share of the steps in which the rate falls."
    )
    min_lr: float = Field(default=0.0, ge=0, lt=1, description="Share of the peak rate left at the end.")
    clip: float = Field(
        default=1.0, ge=0, description="Largest norm of the gradient, longer ones are shortened; 0: never."
    )
    dtype: Literal["fp32", "bf16", "fp16"] | None = Field(
        default=None,
        description="Precision of the forward pass. Left out: bf16 on a GPU, and on a CPU fp32, whose products a "
        "CPU with bfloat16 matrix units (AMX) rounds to bfloat16. fp16 scales the loss.",
    )
    compile: bool = Field(
        default=False, description="Compile the blocks with torch.compile; needs a C++ compiler on a CPU."
    )
    activation_checkpointing: Literal["none", "selective", "full"] = Field(
        default="none",
        description="Compute activations again in the backward pass instead of keeping them: all but products of "
        "matrices and attention, or all inside of blocks. Less memory, same result.",
    )
    parallel: Literal["auto", "ddp", "fsdp", "deepspeed"] = Field(
        default="auto",
        description="How several processes share the work: ddp copies the model, fsdp (FSDP2) and deepspeed (ZeRO) "
        "share it out; auto: ddp below a billion parameters, fsdp above.",
    )
    processes: int | None = Field(
        default=None,
        gt=0,
        description="Processes on this machine, one per GPU; all GPUs if left out, one process on a CPU. Under "
        "torchrun or --launch it is these that count.",
    )
    hostfile: InputPath | None = Field(
        default=None,
        description="Several machines: a file with a line `name slots=8` for each; the first is this one, the others "
        "are reached by ssh.",
    )
    environment: InputPath | None = Field(
        default=None,
        description="A file of lines NAME=value for all processes: variables of NCCL and the like.",
    )
    wrap: str | None = Field(
        default=None,
        description="Class of the layers that fsdp shares out one by one (LlamaDecoderLayer); the model's blocks if "
        "left out.",
    )
    deepspeed: DeepSpeedSettings = Field(default=DeepSpeedSettings(), description="With parallel: deepspeed.")
    device: Literal["auto", "cpu", "cuda", "mps"] = Field(
        default="auto", description="Where to train; auto: a GPU if any."
    )
    threads: int | None = Field(
        default=None,
        gt=0,
        description="CPU threads of torch; its own choice if left out. Another number, other last bits.",
    )
    seed: int | None = Field(
        default=None, ge=0, description="Seed of weights and data order; the recipe's if left out."
    )
    checkpoint_every: int = Field(
        default=500, gt=0, description="Steps between checkpoints; the last step always has one."
    )
    keep_last: int = Field(default=2, gt=0, description="Checkpoints kept, the newest ones.")
    keep_best: bool = Field(
        default=True,
        description="Keep the checkpoint with the lowest validation loss too; it is measured at every checkpoint.",
    )
    on_nan: Literal["stop", "skip", "roll_back"] = Field(
        default="stop",
        description="When the loss or the gradient is no finite number: stop, skip the step, or go back to the last "
        "checkpoint and pass the step's windows over.",
    )
    on_spike: Literal["tell", "skip", "roll_back", "stop"] = Field(
        default="tell", description="When the loss jumps: name the step's windows, and what else to do."
    )
    spike: float = Field(
        default=8.0,
        gt=0,
        description="A jump: this many standard deviations above the mean of the last 100 losses.",
    )
    watch: list[Literal["tensorboard", "wandb"]] = Field(
        default=["tensorboard"],
        description="Where curves go beside checkpoints/metrics.jsonl: TensorBoard files in checkpoints/logs/, "
        "Weights & Biases (its own environment variables apply).",
    )
    log_every: int = Field(default=10, gt=0, description="Steps between rows of checkpoints/metrics.jsonl.")
    validate_every: int = Field(
        default=250,
        ge=0,
        description="Steps between measurements of the validation loss; 0: at the end only.",
    )
    validation_samples: int = Field(
        default=64,
        gt=0,
        description="Windows of the validation split measured each time, evenly spread over it.",
    )

    inspect: int = Field(
        default=0,
        ge=0,
        description="Windows shown as text before the first step, with lengths, borders and masks. What must not be "
        "trained on is looked for in any case.",
    )

    @model_validator(mode="after")
    def _one_of_each(self) -> TrainSection:
        self.check_start(preset=self.preset, shape=self.shape)
        if self.method in QUANTISED and self.parallel in ("fsdp", "deepspeed"):
            raise ValueError(
                f"parallel: {self.parallel} does not share out weights of 4 or 8 bits; use ddp, or method: lora"
            )
        budgets = [name for name in ("tokens", "epochs", "steps") if getattr(self, name) is not None]
        if len(budgets) > 1:
            raise ValueError(f"{' and '.join(budgets)} exclude each other; give one")
        if self.seq_len is not None and self.stride >= self.seq_len:
            raise ValueError(
                f"windows of {self.seq_len} tokens with a stride of {self.stride} never move on: the stride is what "
                "two windows share and must be smaller"
            )
        if self.stride and self.windows == "packed":
            raise ValueError("packed windows share no tokens; leave stride out, or choose other windows")
        if self.parallel == "deepspeed" and self.optimizer == "muon":
            raise ValueError("DeepSpeed trains with adamw here; muon works with ddp and fsdp")
        if self.parallel == "fsdp" and self.dtype == "fp16":
            raise ValueError("fp16 does not work with fsdp: use bf16, or ddp or deepspeed")
        if sum((self.seq_len_schedule or {}).values()) > 1:
            raise ValueError("the shares of seq_len_schedule are more than the whole training")
        return self

    @classmethod
    def cosmetic_fields(cls) -> tuple[str, ...]:
        """Where to compute, in what pieces and how often to save changes no weight but for rounding."""
        return (
            "activation_checkpointing", "checkpoint_every", "compile", "deepspeed", "device", "environment", "hostfile",
            "inspect", "keep_best",
            "keep_last", "micro_batch_size", "parallel", "processes", "threads", "watch", "wrap",
        )  # fmt: skip

    def resolved(self) -> TrainSection:
        """The same settings with the preset's values in the fields left out."""
        own = self.shape or self.start or self.depth
        preset = self.preset or (None if own else "tiny")
        defaults = DEFAULTS[preset or ("125m" if self.start is None else self.method)]
        values = {
            field: getattr(defaults, field)
            for field in ("optimizer", "lr", "muon_lr", "batch_size", "weight_decay", "schedule", "warmup")
            if getattr(self, field) is None
        }
        values["preset"] = preset
        if self.micro_batch_size is None:
            batch_size = self.batch_size or defaults.batch_size
            values["micro_batch_size"] = min(batch_size, defaults.micro_batch_size)
        if self.tokens is None and self.epochs is None and self.steps is None:
            values["epochs"] = 1.0
        return self.model_copy(update=values)

    def model_config_for(self, vocab_size: int, seq_len: int, eos_token_id: int | None) -> LlamaConfig:
        """The model that these settings train.

        Args:
            vocab_size: entries of the vocabulary.
            seq_len: context length in tokens.
            eos_token_id: end-of-document token.

        Raises:
            UserError: the shape contradicts itself.
        """
        if self.depth is not None:
            return shape_config(depth_shape(self.depth), vocab_size, seq_len, eos_token_id)
        if self.shape is None:
            return shape_config(PRESETS[self.preset or "tiny"], vocab_size, seq_len, eos_token_id)
        own = self.shape
        shape = Shape(
            layers=own.layers,
            hidden_size=own.hidden_size,
            heads=own.heads,
            kv_heads=own.kv_heads or own.heads,
            intermediate_size=own.intermediate_size,
            tie_embeddings=own.tie_embeddings,
            qk_norm=own.qk_norm,
            rope_theta=own.rope_theta,
        )
        return shape_config(shape, vocab_size, seq_len, eos_token_id)

    def run(self, context: StageContext) -> StageResult:
        """Train, and publish checkpoints and the model.

        Raises:
            UserError: torch is missing, there are too few tokens, the loss is no number, no such device.
        """
        from textmill.model.extra import require_torch

        require_torch()
        from textmill.train.stage import run_training

        return run_training(self, context)
