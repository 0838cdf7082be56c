"""The shape of a Llama: the numbers that decide its parameters, and what follows from them.

Imports nothing heavy, so that a plan can count parameters without loading torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from textmill.errors import UserError


@dataclass(frozen=True)
class LlamaConfig:
    """Shape of a decoder-only transformer of the Llama family, under Hugging Face's field names.

    RMSNorm before attention and MLP, rotary positions, SwiGLU, grouped-query attention; no biases
    (Touvron et al. 2023, https://arxiv.org/abs/2302.13971; grouped queries: https://arxiv.org/abs/2305.13245).

    Attributes:
        vocab_size: entries of the vocabulary.
        hidden_size: width of the residual stream.
        intermediate_size: width inside the MLP.
        num_hidden_layers: blocks.
        num_attention_heads: query heads.
        num_key_value_heads: key and value heads; divides the query heads.
        max_position_embeddings: longest context in tokens.
        head_dim: width of a head; ``hidden_size / num_attention_heads`` if left out (0).
        tie_word_embeddings: whether the output layer is the embedding table.
        qk_norm: whether queries and keys are normed per head before rotation, which keeps attention logits bounded
            (https://arxiv.org/abs/2302.05442); Hugging Face calls this architecture Qwen3.
        rope_theta: base of the rotary frequencies.
        rms_norm_eps: added to the mean square before the root.
        initializer_range: standard deviation of the initial embeddings and of the layers that read the stream.
        bos_token_id: token that stands before a document; with textmill the end-of-document token itself.
        eos_token_id: token that ends a document.
    """

    vocab_size: int
    hidden_size: int
    intermediate_size: int
    num_hidden_layers: int
    num_attention_heads: int
    num_key_value_heads: int
    max_position_embeddings: int
    head_dim: int = 0
    tie_word_embeddings: bool = False
    qk_norm: bool = False
    rope_theta: float = 10_000.0
    rms_norm_eps: float = 1e-5
    initializer_range: float = 0.02
    bos_token_id: int | None = None
    eos_token_id: int | None = None

    def __post_init__(self) -> None:
        if not self.head_dim:
            if self.hidden_size % self.num_attention_heads:
                raise UserError(
                    "the width of the model cannot be divided among its attention heads",
                    expected=f"hidden_size a multiple of {self.num_attention_heads} (or head_dim given)",
                    found=f"hidden_size {self.hidden_size}",
                )
            object.__setattr__(self, "head_dim", self.hidden_size // self.num_attention_heads)
        if self.num_attention_heads % self.num_key_value_heads:
            raise UserError(
                "the query heads cannot be shared out among the key and value heads",
                expected=f"a number of key and value heads that divides {self.num_attention_heads}",
                found=str(self.num_key_value_heads),
            )
        if self.head_dim % 2:
            raise UserError(
                "rotary positions need an even width of the attention heads",
                expected="an even head_dim",
                found=str(self.head_dim),
            )

    def parameters(self) -> int:
        """Number of trainable numbers, by formula (a tied output layer counts once)."""
        embeddings = self.vocab_size * self.hidden_size * (1 if self.tie_word_embeddings else 2)
        norms = (2 * self.num_hidden_layers + 1) * self.hidden_size
        if self.qk_norm:
            norms += 2 * self.num_hidden_layers * self.head_dim
        return embeddings + norms + self.block_matrix_parameters()

    def block_matrix_parameters(self) -> int:
        """Parameters in the matrices of all blocks: no embeddings, output layer or norms."""
        attention = (
            2 * self.hidden_size * self.head_dim * (self.num_attention_heads + self.num_key_value_heads)
        )
        return self.num_hidden_layers * (attention + 3 * self.hidden_size * self.intermediate_size)

    def training_flops_per_token(self, seq_len: int) -> float:
        """Floating-point operations to train on one token, forward and backward.

        6 per weight that is multiplied (blocks and output layer, not the embedding look-up) and
        12 · layers · heads · head width · context for attention, without a discount for the causal mask
        (Chowdhery et al. 2022, appendix B, https://arxiv.org/abs/2204.02311).
        """
        weights = self.block_matrix_parameters() + self.vocab_size * self.hidden_size
        attention = 12 * self.num_hidden_layers * self.num_attention_heads * self.head_dim * seq_len
        return 6.0 * weights + attention

    def to_hugging_face(self, dtype: str = "float32") -> dict[str, Any]:
        """Contents of ``config.json`` for transformers' ``LlamaForCausalLM``, or its Qwen3 with normed queries."""
        fields = asdict(self)
        normed = fields.pop("qk_norm")
        return {
            "architectures": ["Qwen3ForCausalLM" if normed else "LlamaForCausalLM"],
            "model_type": "qwen3" if normed else "llama",
            **fields,
            # transformers 5 reads rope_parameters and dtype; older readers (vLLM, llama.cpp) the other two.
            "rope_parameters": {"rope_type": "default", "rope_theta": self.rope_theta},
            "dtype": dtype,
            "torch_dtype": dtype,
            "hidden_act": "silu",
            "attention_bias": False,
            "attention_dropout": 0.0,
            "mlp_bias": False,
            "pad_token_id": None,
            "use_cache": True,
        }

    @classmethod
    def from_hugging_face(cls, config: Mapping[str, Any], where: str = "config.json") -> LlamaConfig:
        """Read the contents of a ``config.json``.

        Args:
            config: the parsed file.
            where: its path, for messages.

        Raises:
            UserError: another architecture, or a variant of Llama that :mod:`textmill.model.llama` lacks.
        """
        rope = config.get("rope_parameters") or config.get("rope_scaling") or {}
        rope_type = rope.get("rope_type", rope.get("type", "default"))
        for field, expected, found in (
            (
                "model_type",
                "llama",
                "llama" if config.get("model_type") == "qwen3" else config.get("model_type"),
            ),
            ("use_sliding_window", False, config.get("use_sliding_window", False)),
            ("hidden_act", "silu", config.get("hidden_act", "silu")),
            ("attention_bias", False, config.get("attention_bias", False)),
            ("mlp_bias", False, config.get("mlp_bias", False)),
            ("rope type", "default", rope_type),
        ):
            if found != expected:
                raise UserError(
                    f"this model is no plain Llama: {field}",
                    where=where,
                    expected=repr(expected),
                    found=repr(found),
                    hint="load it with transformers, or use a model of the plain Llama architecture",
                )
        try:
            heads = config["num_attention_heads"]
            eos = config.get("eos_token_id")
            return cls(
                vocab_size=config["vocab_size"],
                hidden_size=config["hidden_size"],
                intermediate_size=config["intermediate_size"],
                num_hidden_layers=config["num_hidden_layers"],
                num_attention_heads=heads,
                num_key_value_heads=config.get("num_key_value_heads") or heads,
                max_position_embeddings=config.get("max_position_embeddings", 2048),
                head_dim=config.get("head_dim") or 0,
                tie_word_embeddings=config.get("tie_word_embeddings", False),
                qk_norm=config.get("model_type") == "qwen3",
                rope_theta=float(rope.get("rope_theta", config.get("rope_theta", 10_000.0))),
                rms_norm_eps=config.get("rms_norm_eps", 1e-6),
                initializer_range=config.get("initializer_range", 0.02),
                bos_token_id=config.get("bos_token_id"),
                eos_token_id=eos[0] if isinstance(eos, list) else eos,
            )
        except KeyError as missing:
            raise UserError(
                f"the model's configuration lacks {missing}", where=where, expected="a complete config.json"
            ) from None
