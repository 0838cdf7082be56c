import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import ValidationError

from textmill.errors import UserError
from textmill.tokenizer.settings import TokenizerSection


def test_importing_the_settings_loads_nothing_heavy() -> None:
    script = (
        "import sys, textmill.tokenizer.settings, textmill.tokens.settings;"
        "print([m for m in ('tokenizers', 'pyarrow', 'torch', 'numba', 'duckdb') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_counts_may_be_written_short() -> None:
    section = TokenizerSection.model_validate({"train": {"vocab_size": "32k", "sample_bytes": "64MiB"}})
    assert section.train is not None
    assert section.train.vocab_size == 32_000
    assert section.train.sample_bytes == 64 * 2**20
    assert section.train.pattern == "cl100k"


@pytest.mark.parametrize(
    "value, message",
    [
        ({}, "exactly one of train"),
        ({"train": {"vocab_size": 300}, "use": "x"}, "exactly one of train"),
        ({"train": {"vocab_size": 256}}, "257"),
        ({"train": {"vocab_size": 258, "special_tokens": ["<a>", "<b>"]}}, "alone need 261"),
        ({"train": {"vocab_size": 258, "special_tokens": ["<|im_end|>"]}}, "alone need 259"),
        ({"train": {"vocab_size": 260, "kind": "sentencepiece-bpe"}}, "alone need 261"),
        (
            {"train": {"vocab_size": 300, "kind": "sentencepiece-bpe", "pattern": "gpt2"}},
            "pattern means nothing",
        ),
        ({"train": {"vocab_size": 300, "character_coverage": 0.99}}, "character_coverage means nothing"),
        ({"train": {"vocab_size": 300, "sample": {"weights": {"fr": -1}}}}, "0 or more"),
        ({"train": {"vocab_size": 300, "sample": {"weights": {"fr": 0}}}}, "above 0"),
        ({"train": {"vocab_size": 300}, "pattern": "gpt2"}, "belongs to use"),
        ({"train": {"vocab_size": 300, "special_tokens": ["<a>", "<a>"]}}, "twice"),
        ({"train": {"vocab_size": 300, "special_tokens": ["<|endoftext|>"]}}, "end-of-text"),
        ({"train": {"vocab_size": 300, "special_tokens": [" "]}}, "visible"),
        ({"train": {"vocab_size": 300, "pattern": "p50k"}}, "gpt2"),
        ({"train": {}}, "vocab_size"),
    ],
)
def test_what_cannot_be_meant_is_refused(value: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        TokenizerSection.model_validate(value)


@pytest.mark.parametrize("kind", ["bpe", "sentencepiece-bpe", "sentencepiece-unigram"])
def test_written_out_with_every_default_it_means_the_same(kind: str) -> None:
    section = TokenizerSection.model_validate({"train": {"vocab_size": 400, "kind": kind}})
    again = TokenizerSection.model_validate(section.model_dump(mode="json"))
    assert again == section
    assert section.train
    assert again.train
    assert again.train.most_bytes == section.train.most_bytes == (2**31 if kind == "bpe" else 2**26)


def test_the_fingerprint_follows_the_contents_of_a_tokenizer_in_use(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text("{}")
    section = TokenizerSection(use=str(tmp_path))
    before = section.fingerprint()
    (tmp_path / "tokenizer.json").write_text("{ }")
    assert section.fingerprint() != before


def test_a_missing_tokenizer_is_told_before_anything_runs(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no tokenizer to use"):
        TokenizerSection(use=str(tmp_path / "nowhere")).fingerprint()
    (tmp_path / "vocab.txt").write_text("")
    with pytest.raises(UserError, match="only vocab") as caught:
        TokenizerSection(use=str(tmp_path)).files()
    assert "AutoTokenizer" in str(caught.value)
    with pytest.raises(UserError, match="hf://owner/name"):
        TokenizerSection(use=str(tmp_path / "owner" / "name")).files()
