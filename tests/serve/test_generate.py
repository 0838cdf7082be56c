"""Streaming text: whole characters only, and clear words when a folder is no model."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from textmill.errors import UserError
from textmill.serve.generate import generate, load_tokenizer, whole_characters


def byte_tokenizer() -> Tokenizer:
    """One token per byte: every character beyond ASCII is cut into pieces."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE({letter: i for i, letter in enumerate(alphabet)}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


TOKENIZER = byte_tokenizer()


@settings(deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_pieces_are_whole_characters_and_nothing_is_lost(text: str) -> None:
    ids = TOKENIZER.encode(text, add_special_tokens=False).ids
    assert len(ids) == len(text.encode())
    pieces = list(whole_characters(TOKENIZER, iter(ids)))
    assert "".join(pieces) == text
    if "\ufffd" not in text:
        assert all("\ufffd" not in piece for piece in pieces)


@pytest.mark.parametrize("text", ["é", "語", "🦀"])
def test_half_a_character_at_the_end_is_left_out(text: str) -> None:
    ids = TOKENIZER.encode("ab" + text, add_special_tokens=False).ids[:-1]
    assert "".join(whole_characters(TOKENIZER, iter(ids))) == "ab"


def test_folders_without_model_or_tokenizer(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="holds no model"):
        next(generate(tmp_path, "x"))
    with pytest.raises(UserError, match="no tokenizer"):
        load_tokenizer(tmp_path)
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(UserError, match="cannot be read"):
        load_tokenizer(tmp_path)
