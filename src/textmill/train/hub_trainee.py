"""Models that exist, trained on: plain Llamas as ours, all other architectures as transformers builds them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from textmill.model.config import LlamaConfig
from textmill.model.hf import read_tensors, whole_shape, write_tensors
from textmill.model.hub import CausalLM, attention_mask, blocks_of, body_of, has_plain_head
from textmill.model.loss import IGNORE, linear_cross_entropy
from textmill.model.start import start_identity
from textmill.train.batch import TokenBatch
from textmill.train.trainee import LlamaTrainee, Trainee


class LlamaFrom(LlamaTrainee):
    """A plain Llama that begins with the weights of a Hugging Face folder.

    Args:
        config: its shape, as the folder's config.json has it.
        folder: where the weights are.
        device: where its parameters lie; ``meta`` if they are made when they are sharded.
    """

    def __init__(self, config: LlamaConfig, folder: Path, device: torch.device | str = "cpu") -> None:
        super().__init__(config, device)
        self.folder = folder

    def identity(self) -> Any:
        """The shape, and which weights it starts from."""
        return {"config": super().identity(), "start": start_identity(self.folder)}

    def initial(self, seed: int) -> Iterator[tuple[str, Tensor]]:
        """The folder's weights, in float32, whatever the seed."""
        for name, tensor in read_tensors(self.model, self.folder):
            yield name, tensor.float()


class HubTrainee(Trainee):
    """A causal language model of any architecture that transformers has.

    Args:
        model: with its weights, on its device.
        folder: where it came from.
    """

    def __init__(self, model: CausalLM, folder: Path) -> None:
        self.model: nn.Module = model
        self.folder = folder
        self.causal = model
        self._plain_head = has_plain_head(model)
        model.config.use_cache = False

    def nats(self, batch: TokenBatch, scale: float) -> Tensor:
        """Chunked cross-entropy where the output layer is a plain matrix, cross-entropy of whole logits elsewhere."""
        inputs: dict[str, Any] = {"input_ids": batch.tokens, "use_cache": False}
        if batch.parts is not None:
            inputs["attention_mask"] = attention_mask(batch.parts, self._compute_dtype(batch.tokens.device))
        if batch.positions is not None:
            inputs["position_ids"] = batch.positions.long()
        if self._plain_head:
            hidden = body_of(self.causal)(**inputs).last_hidden_state
            weight = self.causal.get_output_embeddings().weight
            return linear_cross_entropy(hidden.to(weight.dtype), weight, batch.targets, scale=scale)
        logits = self.causal(**inputs).logits.float()
        summed = F.cross_entropy(
            logits.flatten(0, 1), batch.targets.flatten(), ignore_index=IGNORE, reduction="sum"
        )
        return summed * scale

    def blocks(self) -> Sequence[nn.Module]:
        """The layers that repeat."""
        return blocks_of(self.causal)

    def write(self, weights: Mapping[str, Tensor], folder: Path) -> list[Path]:
        """``config.json`` and safetensors under the parameters' names, which are the architecture's own."""
        config = folder / "config.json"
        config.write_text(self.causal.config.to_json_string(use_diff=False), "utf-8")
        return [config, *write_tensors(weights, folder)]

    def read(self, folder: Path) -> Iterator[tuple[str, Tensor]]:
        """Weights of a checkpoint."""
        return read_tensors(self.model, folder)

    def identity(self) -> Any:
        """Which weights it starts from."""
        return {"start": start_identity(self.folder)}

    def flops_per_token(self, seq_len: int) -> float:
        """6 per weight that is multiplied, and attention as in the plain Llama (Chowdhery et al. 2022, appendix B)."""
        return 6.0 * multiplied_weights(self.causal) + attention_flops(self.causal.config, seq_len)

    @property
    def vocab_size(self) -> int:
        """Rows of the embedding table."""
        return int(whole_shape(self.causal.get_input_embeddings().weight)[0])

    @property
    def parameters(self) -> int:
        """Number of parameters; weights of 4 bits count as what they stand for."""
        return sum(_elements(parameter) for parameter in self.model.parameters())

    def _compute_dtype(self, device: torch.device) -> torch.dtype:
        if torch.is_autocast_enabled(device.type):
            return torch.get_autocast_dtype(device.type)
        dtype: torch.dtype = self.causal.dtype
        return dtype


def multiplied_weights(model: CausalLM) -> int:
    """Weights that every token is multiplied with: all but the look-up table, unless that is the output layer too."""
    total = sum(_elements(parameter) for parameter in model.parameters())
    table, head = model.get_input_embeddings().weight, model.get_output_embeddings().weight
    return total if table is head else total - _elements(table)


def attention_flops(config: Any, seq_len: int) -> float:
    """FLOPs of attention's two products per token, forward and backward, without a discount for the causal mask."""
    text = config.get_text_config() if hasattr(config, "get_text_config") else config
    heads = getattr(text, "num_attention_heads", 0)
    width = getattr(text, "head_dim", None) or text.hidden_size // max(1, heads)
    flops: float = 12.0 * text.num_hidden_layers * heads * width * seq_len
    return flops


def _elements(parameter: Tensor) -> int:
    """Elements of a parameter; bitsandbytes packs two of 4 bits into a byte."""
    state = getattr(parameter, "quant_state", None)
    return int(state.shape.numel()) if state is not None else whole_shape(parameter).numel()


def trainable_line(trained: int, parameters: int) -> str:
    """How much of a model is trained, as PEFT prints it.

    >>> trainable_line(1_000, 100_000)
    'trainable params: 1,000 || all params: 100,000 || trainable%: 1.0000'
    """
    share = 100 * trained / parameters if parameters else 0.0
    return f"trainable params: {trained:,} || all params: {parameters:,} || trainable%: {share:.4f}"
