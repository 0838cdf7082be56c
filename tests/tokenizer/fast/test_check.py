from typing import Any

import numpy as np
import pytest
from tests.tokenizer.corpus import prose

from textmill.tokenizer.encode import EncodingError, HuggingFaceEncoder
from textmill.tokenizer.fast import check
from textmill.tokenizer.fast.check import CheckedEncoder
from textmill.tokenizer.fast.encoder import FastEncoder
from textmill.tokenizer.training import train_bpe

TEXTS = prose()[1:12]
CONTENT = train_bpe(TEXTS, vocab_size=400)


class Wrong(FastEncoder):
    def _encode(self, data: Any, offsets: Any) -> Any:
        ids, borders = super()._encode(data, offsets)
        ids[borders[2] + 3] ^= 1
        return ids, borders


def utf8(texts: list[str]) -> tuple[Any, Any]:
    raw = [text.encode() for text in texts]
    return np.frombuffer(b"".join(raw), np.uint8), np.cumsum([0, *map(len, raw)], dtype=np.int64)


@pytest.mark.parametrize("as_bytes", [True, False])
def test_one_wrong_id_and_the_library_takes_over(as_bytes: bool) -> None:
    library = HuggingFaceEncoder(CONTENT, "<|endoftext|>")
    encoder = CheckedEncoder(Wrong(CONTENT, "<|endoftext|>"), library)
    for _ in range(2):
        ids, _ = encoder.encode_utf8(*utf8(TEXTS)) if as_bytes else encoder.encode_batch(TEXTS)
        assert np.array_equal(ids, library.encode_batch(TEXTS)[0])
        assert encoder.fell_back == "token 3 of a text is not the one that the library gives"


def test_the_library_is_asked_for_the_first_texts_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check, "CHECKED_BYTES", len(TEXTS[0]) + 1)
    library = HuggingFaceEncoder(CONTENT, "<|endoftext|>")
    asked: list[str] = []
    inner = library.encode_batch
    monkeypatch.setattr(library, "encode_batch", lambda texts: asked.extend(texts) or inner(texts))
    encoder = CheckedEncoder(FastEncoder(CONTENT, "<|endoftext|>"), library)
    encoder.encode_batch(TEXTS)
    encoder.encode_batch(TEXTS)
    assert asked == TEXTS[:2]
    assert encoder.fell_back is None


def test_a_text_that_the_library_gives_up_on_proves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    library = HuggingFaceEncoder(CONTENT, "<|endoftext|>")
    expected, _ = library.encode_batch(TEXTS)

    def give_up(texts: Any) -> Any:
        raise EncodingError("too much backtracking")

    monkeypatch.setattr(library, "encode_batch", give_up)
    encoder = CheckedEncoder(FastEncoder(CONTENT, "<|endoftext|>"), library)
    assert np.array_equal(encoder.encode_batch(TEXTS)[0], expected)
    assert encoder.fell_back is None
