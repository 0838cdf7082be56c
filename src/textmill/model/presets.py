"""Named shapes, from a toy that trains on two cores in two minutes to Llama 3's 8 billion.

========  ======  ======  =====  =======  ========  =====  ====================================================
preset    layers  width   heads  kv       MLP       tied   parameters (with the vocabulary of ``vocab_size``)
========  ======  ======  =====  =======  ========  =====  ====================================================
tiny      4       128     2      2        384       yes    1.38 M (4,096); see docs/decisions/0007
125m      12      768     12     12       2560      yes    124 M (32,000); GPT-2 small's depth and width
350m      24      1024    16     16       2816      yes    341 M (32,000); GPT-2 medium's depth and width
1b        16      2048    32     8        8192      yes    1.04 B (32,000), 1.24 B (128,256); Llama 3.2 1B's
8b        32      4096    32     8        14336     no     8.03 B (128,256); Llama 3 8B's
========  ======  ======  =====  =======  ========  =====  ====================================================

Sources: GPT-2 (Radford et al. 2019, table 2), Llama 3 (https://arxiv.org/abs/2407.21783, table 3), Llama 3.2 1B
(its published config.json).
"""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches

from textmill.errors import UserError
from textmill.model.config import LlamaConfig


@dataclass(frozen=True)
class Shape:
    """A preset: everything of a :class:`LlamaConfig` but the vocabulary and the context length."""

    layers: int
    hidden_size: int
    heads: int
    kv_heads: int
    intermediate_size: int
    tie_embeddings: bool
    qk_norm: bool = False
    rope_theta: float = 10_000.0
    vocab_size: int = 32_000
    seq_len: int = 2_048


PRESETS: dict[str, Shape] = {
    "tiny": Shape(4, 128, 2, 2, 384, tie_embeddings=True, vocab_size=4_096, seq_len=128),
    "125m": Shape(12, 768, 12, 12, 2_560, tie_embeddings=True),
    "350m": Shape(24, 1_024, 16, 16, 2_816, tie_embeddings=True),
    "1b": Shape(16, 2_048, 32, 8, 8_192, tie_embeddings=True, rope_theta=500_000.0),
    "8b": Shape(
        32,
        4_096,
        32,
        8,
        14_336,
        tie_embeddings=False,
        rope_theta=500_000.0,
        vocab_size=128_256,
        seq_len=8_192,
    ),
}
"""Shapes by name; ``vocab_size`` and ``seq_len`` there are what the name was counted with."""


def preset_config(
    name: str, *, vocab_size: int | None = None, seq_len: int | None = None, eos_token_id: int | None = None
) -> LlamaConfig:
    """The configuration of a preset.

    Args:
        name: a key of :data:`PRESETS`.
        vocab_size: entries of the tokenizer's vocabulary; the preset's own if left out.
        seq_len: context length in tokens; the preset's own if left out.
        eos_token_id: end-of-document token; stands before a document as well.

    Raises:
        UserError: no preset has this name.

    >>> preset_config("1b", vocab_size=128_256).parameters()
    1235814400
    """
    shape = preset(name)
    return shape_config(shape, vocab_size or shape.vocab_size, seq_len or shape.seq_len, eos_token_id)


def preset(name: str) -> Shape:
    """The shape of this name.

    Raises:
        UserError: no preset has this name; the nearest names are told.

    >>> preset("1B").layers
    16
    """
    key = name.strip().lower()
    if key in PRESETS:
        return PRESETS[key]
    near = get_close_matches(key, PRESETS, n=2, cutoff=0.4)
    raise UserError(
        "no model preset has this name",
        expected=", ".join(PRESETS),
        found=repr(name),
        hint=f"did you mean {' or '.join(near)}?" if near else "or give a shape of your own, or depth",
    )


def shape_config(shape: Shape, vocab_size: int, seq_len: int, eos_token_id: int | None) -> LlamaConfig:
    """The configuration of a shape with a vocabulary and a context length."""
    return LlamaConfig(
        vocab_size=vocab_size,
        hidden_size=shape.hidden_size,
        intermediate_size=shape.intermediate_size,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.kv_heads,
        max_position_embeddings=seq_len,
        tie_word_embeddings=shape.tie_embeddings,
        qk_norm=shape.qk_norm,
        rope_theta=shape.rope_theta,
        bos_token_id=eos_token_id,
        eos_token_id=eos_token_id,
    )
