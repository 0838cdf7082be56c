"""From texts to ids and back, behind an interface that has room for other engines.

Special tokens inside a text are ordinary text. A document that spells out ``<|endoftext|>`` gets the ids of
those thirteen characters; otherwise anyone could end a document in the middle, or steer a chat model. Where
a vocabulary leaves no other spelling (its own merges build the special token), the text is refused with
:class:`EncodingError` and counted as failed by whoever encodes.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from textmill.tokenizer.patterns import cut_text, pattern_of

Ids = npt.NDArray[np.uint32]
Offsets = npt.NDArray[np.int64]

# The library keeps some 150 bytes per token until a call returns; 512 Ki characters stay below 50 MB.
CHARACTERS_PER_CALL = 512 * 2**10
# Longer texts are cut at places where the tokenizer cuts as well, which changes no id.
CHARACTERS_PER_PART = 256 * 2**10


class EncodingError(ValueError):
    """A text that this tokenizer cannot encode; the message says why."""


class Encoder(Protocol):
    """A tokenizer, opened for encoding.

    Attributes:
        vocab_size: every id is below it.
        eos_id: id of the end-of-text token, which no text is ever encoded to; -1 when opened without one.
        eos_token: its spelling; empty without one.
        lossless: whether ``decode`` gives back every text exactly.
    """

    vocab_size: int
    eos_id: int
    eos_token: str
    lossless: bool

    def encode_batch(self, texts: Sequence[str]) -> tuple[Ids, Offsets]:
        """Ids of all texts, one after the other (uint32), and where each starts (int64, shape (n + 1,)).

        Nothing is added at the start or the end of a text.

        Raises:
            EncodingError: one of the texts cannot be encoded; alone, each other one can.
        """
        ...

    def encode_utf8(self, data: npt.NDArray[np.uint8], offsets: Offsets) -> tuple[Ids, Offsets]:
        """As :meth:`encode_batch`, for UTF-8 texts ``data[offsets[i]:offsets[i + 1]]``.

        Raises:
            EncodingError: as above, or bytes that are no UTF-8.
        """
        ...

    def decode(self, ids: Sequence[int] | npt.NDArray[Any]) -> str:
        """The text of these ids, special tokens spelled out; cut characters become U+FFFD."""
        ...


class HuggingFaceEncoder:
    """Any ``tokenizer.json``, encoded by the Hugging Face tokenizers library.

    Truncation, padding and templates that the file may ask for are switched off: they are about model
    inputs, and would silently cut documents.

    Args:
        content: the text of a ``tokenizer.json``.
        eos_token: the end-of-text token; None for encoding without one.

    Raises:
        ValueError: ``content`` is no tokenizer, or it does not know ``eos_token``.
    """

    def __init__(self, content: str, eos_token: str | None) -> None:
        from tokenizers import AddedToken, Tokenizer

        parsed = json.loads(content)
        if not isinstance(parsed, dict) or not isinstance(parsed.get("model"), dict):
            raise ValueError("it is JSON, but no tokenizer: it has no model")
        try:
            tokenizer = Tokenizer.from_str(content)
        except Exception as error:
            raise ValueError(f"the tokenizers library cannot read it: {error}") from error
        eos_id = -1 if eos_token is None else tokenizer.token_to_id(eos_token)
        if eos_id is None:
            raise ValueError(f"the vocabulary has no token {eos_token}{_similar(parsed)}")
        # Some vocabularies list their end token without marking it as special; matching it in texts is
        # switched off for special tokens only.
        if eos_token is not None:
            tokenizer.add_special_tokens([AddedToken(eos_token, special=True, normalized=False)])
        tokenizer.encode_special_tokens = True
        tokenizer.no_truncation()
        tokenizer.no_padding()
        added = tokenizer.get_added_tokens_decoder()
        plain_added = any(not token.special for token in added.values())
        self._tokenizer = tokenizer
        self.eos_id = int(eos_id)
        self.eos_token = eos_token or ""
        self.vocab_size = 1 + max(tokenizer.get_vocab(with_added_tokens=True).values())
        self.pattern = None if plain_added else pattern_of(parsed)
        decoder = parsed.get("decoder") or {}
        self.lossless = pattern_of(parsed) is not None and decoder.get("type") == "ByteLevel"
        unknown = parsed.get("model", {}).get("unk_token")
        self._forbidden = np.array(
            [number for number, token in added.items() if token.special and token.content != unknown],
            np.uint32,
        )

    def encode_batch(self, texts: Sequence[str]) -> tuple[Ids, Offsets]:
        """See :meth:`Encoder.encode_batch`."""
        lengths = np.zeros(len(texts), np.int64)
        pieces: list[Ids] = []
        parts: list[str] = []
        owners: list[int] = []
        waiting = 0

        def encode_parts() -> None:
            for owner, ids in zip(owners, self._encode(parts), strict=True):
                lengths[owner] += len(ids)
                pieces.append(ids)
            parts.clear()
            owners.clear()

        for position, text in enumerate(texts):
            for part in cut_text(text, CHARACTERS_PER_PART) if self.pattern else [text]:
                if parts and waiting + len(part) > CHARACTERS_PER_CALL:
                    encode_parts()
                    waiting = 0
                parts.append(part)
                owners.append(position)
                waiting += len(part)
        if parts:
            encode_parts()
        ids = np.concatenate(pieces) if pieces else np.zeros(0, np.uint32)
        if len(self._forbidden) and np.isin(ids, self._forbidden).any():
            raise EncodingError("ordinary text is encoded to the id of a special token")
        offsets = np.zeros(len(texts) + 1, np.int64)
        np.cumsum(lengths, out=offsets[1:])
        return ids, offsets

    def encode_utf8(self, data: npt.NDArray[np.uint8], offsets: Offsets) -> tuple[Ids, Offsets]:
        """See :meth:`Encoder.encode_utf8`."""
        view = np.ascontiguousarray(data).data
        borders = offsets.tolist()
        try:
            texts = [str(view[a:b], "utf-8") for a, b in pairwise(borders)]
        except UnicodeDecodeError as error:
            raise EncodingError(f"the text is no UTF-8: {error}") from error
        return self.encode_batch(texts)

    def decode(self, ids: Sequence[int] | npt.NDArray[Any]) -> str:
        """See :meth:`Encoder.decode`."""
        plain = ids.tolist() if isinstance(ids, np.ndarray) else list(ids)
        text: str = self._tokenizer.decode(plain, skip_special_tokens=False)
        return text

    def pieces(self, text: str) -> list[str]:
        """What the tokenizer cuts a text into before it looks for entries, in its own spelling."""
        cut = self._tokenizer.pre_tokenizer
        return [text] if cut is None else [piece for piece, _ in cut.pre_tokenize_str(text)]

    def _encode(self, parts: list[str]) -> list[Ids]:
        try:
            encodings = self._tokenizer.encode_batch_fast(parts, add_special_tokens=False)
        except (KeyboardInterrupt, SystemExit, MemoryError):
            raise
        except BaseException as error:
            # A panic inside the library arrives as a bare BaseException; the text is to blame all the same.
            if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
                raise
            raise EncodingError(f"{type(error).__name__}: {error}") from error
        return [np.array(encoding.ids, np.uint32) for encoding in encodings]


def _similar(parsed: dict[str, Any]) -> str:
    """The special tokens that a tokenizer does have, for a message."""
    special = [token["content"] for token in parsed.get("added_tokens", ()) if token.get("special")]
    if not special:
        return ""
    return f"; its special tokens are {', '.join(special[:8])}" + (", ..." if len(special) > 8 else "")
