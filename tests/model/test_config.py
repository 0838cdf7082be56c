"""Shapes: what the presets are called is what they are."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import LlamaConfig as TheirConfig

from textmill.errors import UserError
from textmill.model import PRESETS, LlamaConfig, preset_config
from textmill.model.llama import Llama


@pytest.mark.parametrize(
    ("name", "vocab_size", "least", "most"),
    [
        ("tiny", 4_096, 0.9e6, 1.6e6),
        ("125m", 32_000, 115e6, 135e6),
        ("350m", 32_000, 330e6, 370e6),
        ("1b", 32_000, 1.0e9, 1.3e9),
        ("1b", 128_256, 1.0e9, 1.3e9),
        ("8b", 128_256, 8.0e9, 8.1e9),
    ],
)
def test_presets_are_as_large_as_their_names_say(
    name: str, vocab_size: int, least: float, most: float
) -> None:
    config = preset_config(name, vocab_size=vocab_size)
    with torch.device("meta"):
        model = Llama(config)
    counted = sum(parameter.numel() for parameter in model.parameters())
    assert counted == config.parameters()
    assert least <= counted <= most


@given(
    st.integers(1, 3),
    st.integers(1, 3),
    st.integers(1, 4),
    st.integers(1, 300),
    st.integers(1, 200),
    st.booleans(),
    st.sampled_from([0, 6]),
)
def test_parameter_formula(
    layers: int, kv_heads: int, groups: int, vocab: int, inner: int, tied: bool, head_dim: int
) -> None:
    heads = kv_heads * groups
    config = LlamaConfig(
        vocab, heads * 4, inner, layers, heads, kv_heads, 8, head_dim=head_dim, tie_word_embeddings=tied
    )
    with torch.device("meta"):
        model = Llama(config)
    assert sum(parameter.numel() for parameter in model.parameters()) == config.parameters()


def test_flops_of_a_known_model() -> None:
    config = preset_config("8b")
    # 6 N per token is the rule of thumb; attention at 8,192 tokens adds 12 * 32 * 4096 * 8192.
    weights = config.parameters() - config.vocab_size * config.hidden_size
    assert config.training_flops_per_token(8192) == pytest.approx(
        6 * weights + 12 * 32 * 4096 * 8192, rel=1e-4
    )


@pytest.mark.parametrize("name", PRESETS)
def test_config_file_means_the_same_to_transformers(name: str) -> None:
    config = preset_config(name, eos_token_id=0)
    written = json.loads(json.dumps(config.to_hugging_face()))
    theirs = TheirConfig(**written)
    assert theirs.rope_parameters["rope_theta"] == config.rope_theta
    assert theirs.head_dim == config.head_dim
    assert theirs.tie_word_embeddings == config.tie_word_embeddings
    assert LlamaConfig.from_hugging_face(written) == config
    assert LlamaConfig.from_hugging_face(theirs.to_dict()) == config


def test_impossible_shapes_are_explained() -> None:
    with pytest.raises(UserError, match="attention heads"):
        LlamaConfig(10, 65, 10, 1, 4, 4, 8)
    with pytest.raises(UserError, match="key and value heads"):
        LlamaConfig(10, 64, 10, 1, 4, 3, 8)
    with pytest.raises(UserError, match="even width"):
        LlamaConfig(10, 12, 10, 1, 4, 4, 8)
    with pytest.raises(UserError, match="preset"):
        preset_config("7b")


def test_settings_load_no_torch() -> None:
    code = (
        "import sys, textmill.model, textmill.train, textmill.evaluate, textmill.serve;"
        "assert not {'torch', 'tokenizers', 'pyarrow', 'numba'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
