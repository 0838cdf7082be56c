"""What is trained: a model, and all that the loop must know of it. The one seam between the loop and models."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from textmill.model.config import LlamaConfig
from textmill.model.hf import read_tensors, whole_shape, write_tensors
from textmill.model.llama import Llama
from textmill.model.loss import linear_cross_entropy
from textmill.train.batch import TokenBatch
from textmill.train.masking import document_mask


class Trainee(ABC):
    """A causal language model as the loop sees it.

    Attributes:
        model: holds the parameters; those that want gradients are trained. Names in checkpoints are its
            parameters' names.
        compiled_loss: whether what follows the logits is compiled; set where blocks are, on a GPU.
    """

    model: nn.Module
    compiled_loss: bool = False

    @abstractmethod
    def nats(self, batch: TokenBatch, scale: float) -> Tensor:
        """``scale`` times the sum of nats over the targets of a batch: a float32 scalar to go backward from.

        It is called inside the forward pass of one module that holds :attr:`model`, so that wrappers for
        parallel training see a single call.
        """

    @abstractmethod
    def blocks(self) -> Sequence[nn.Module]:
        """The layers that repeat, in order: compiled, checkpointed and sharded one by one."""

    @abstractmethod
    def write(self, weights: Mapping[str, Tensor], folder: Path) -> list[Path]:
        """Write a checkpoint's weights and configuration; returns the files.

        Args:
            weights: by parameter name, whole, on the CPU: those of :meth:`saved`.
            folder: an empty folder.
        """

    @abstractmethod
    def read(self, folder: Path) -> Iterator[tuple[str, Tensor]]:
        """Read back, one by one, what :meth:`write` wrote.

        Raises:
            UserError: a weight is missing, or has another shape.
        """

    @abstractmethod
    def identity(self) -> Any:
        """What decides the model at step 0 beside the seed, as JSON values; part of a checkpoint's fingerprint."""

    @property
    @abstractmethod
    def vocab_size(self) -> int:
        """Rows of the embedding table: every token id must be below it."""

    @abstractmethod
    def flops_per_token(self, seq_len: int) -> float:
        """Floating-point operations to train on one token, forward and backward."""

    def saved(self) -> Iterator[tuple[str, nn.Parameter]]:
        """Parameters that a checkpoint holds, by name: all that are trained, unless a model says otherwise."""
        return ((name, p) for name, p in self.model.named_parameters() if p.requires_grad)

    def initial(self, seed: int) -> Iterator[tuple[str, Tensor]]:
        """Weights at step 0, one by one, on the CPU; none for a model that comes with its weights."""
        return iter(())

    def fill_buffers(self) -> None:  # noqa: B027 - most models have nothing to do
        """Compute what is neither trained nor saved, after the model was moved from the ``meta`` device."""

    @property
    def parameters(self) -> int:
        """Number of parameters, a tied output layer counted once."""
        return sum(whole_shape(parameter).numel() for parameter in self.model.parameters())

    @property
    def trained_parameters(self) -> int:
        """Number of parameters that are trained."""
        return sum(whole_shape(parameter).numel() for _, parameter in self.saved())


class LlamaTrainee(Trainee):
    """The plain Llama, trained from scratch.

    Args:
        config: its shape.
        device: where its parameters lie; ``meta`` if they are made when they are sharded.
    """

    def __init__(self, config: LlamaConfig, device: torch.device | str = "cpu") -> None:
        self.config = config
        with torch.device(device):
            self.model: Llama = Llama(config)

    def nats(self, batch: TokenBatch, scale: float) -> Tensor:
        """Chunked cross-entropy over the residual stream."""
        hidden = self.model.hidden(batch.tokens, mask=document_mask(batch.parts))
        weight = self.model.lm_head.weight
        return linear_cross_entropy(hidden, weight, batch.targets, scale=scale, compiled=self.compiled_loss)

    def blocks(self) -> Sequence[nn.Module]:
        """The decoder's layers."""
        return list(self.model.model.layers)

    def write(self, weights: Mapping[str, Tensor], folder: Path) -> list[Path]:
        """``config.json`` and safetensors with Hugging Face's names."""
        config = folder / "config.json"
        text = json.dumps(self.config.to_hugging_face(), indent=2, sort_keys=True) + "\n"
        config.write_text(text, "utf-8")
        return [config, *write_tensors(weights, folder)]

    def read(self, folder: Path) -> Iterator[tuple[str, Tensor]]:
        """Weights of a Hugging Face folder."""
        return read_tensors(self.model, folder)

    def identity(self) -> Any:
        """The shape."""
        return asdict(self.config)

    @property
    def vocab_size(self) -> int:
        """As the shape says."""
        return self.config.vocab_size

    def initial(self, seed: int) -> Iterator[tuple[str, Tensor]]:
        """Fresh weights, the same on any device (see :meth:`textmill.model.llama.Llama.fresh_weights`)."""
        return self.model.fresh_weights(torch.Generator().manual_seed(seed))

    def fill_buffers(self) -> None:
        """The rotary table."""
        self.model.model.fill_rotary()

    def flops_per_token(self, seq_len: int) -> float:
        """By formula (see :meth:`textmill.model.config.LlamaConfig.training_flops_per_token`)."""
        return self.config.training_flops_per_token(seq_len)


class Objective(nn.Module):
    """A trainee's loss as one forward pass: what DDP, FSDP2 and DeepSpeed wrap.

    Args:
        trainee: whose model is trained.
    """

    def __init__(self, trainee: Trainee) -> None:
        super().__init__()
        self.model = trainee.model
        self._nats = trainee.nats

    def forward(self, batch: TokenBatch, scale: float) -> Tensor:
        """``scale`` times the sum of nats over the batch's targets."""
        return self._nats(batch, scale)
