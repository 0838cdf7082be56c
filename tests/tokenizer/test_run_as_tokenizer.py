"""A run folder given where a tokenizer is asked for."""

from __future__ import annotations

from pathlib import Path

import pytest

from textmill.errors import UserError
from textmill.tokenizer.folder import tokenizer_files


def test_the_tokenizer_of_a_run_is_named(tmp_path: Path) -> None:
    (tmp_path / "tokenizer").mkdir()
    (tmp_path / "manifest.json").write_text("{}")
    with pytest.raises(UserError, match="there is no tokenizer to use") as plain:
        tokenizer_files(tmp_path)
    assert "this is a run" not in str(plain.value.hint)
    (tmp_path / "tokenizer" / "tokenizer.json").write_text("{}")
    with pytest.raises(UserError) as caught:
        tokenizer_files(tmp_path)
    assert str(tmp_path / "tokenizer") in str(caught.value.hint)
