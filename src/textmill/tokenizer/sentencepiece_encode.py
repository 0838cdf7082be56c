"""Encoding by the SentencePiece library itself: ids are what it says they are."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from textmill.tokenizer.encode import EncodingError, Ids, Offsets
from textmill.tokenizer.sentencepiece_model import CONTROL, read_model
from textmill.tokenizer.sentencepiece_training import sentencepiece

# Ids come back as Python lists, some 40 bytes each: this many characters at a time stay below 50 MB.
CHARACTERS_PER_CALL = 2**20


class SentencePieceEncoder:
    """A ``tokenizer.model``; see :class:`textmill.tokenizer.encode.Encoder`.

    Control symbols (``<s>``, ``</s>``) spelled out in a text are ordinary text: the library never matches
    them. The character ``▁`` (U+2581) becomes a space on the way, so ``lossless`` is False.

    Args:
        content: the file's bytes.
        eos_token: the end-of-text token; None for the model's own.

    Raises:
        ValueError: no model, or no such token.
        UserError: the library is not installed.
    """

    def __init__(self, content: bytes, eos_token: str | None = None) -> None:
        model = read_model(content)
        processor = sentencepiece().SentencePieceProcessor()
        try:
            processor.LoadFromSerializedProto(content)
        except (RuntimeError, ValueError) as error:
            raise ValueError(f"the SentencePiece library cannot read it: {error}") from None
        ids = {piece.text: number for number, piece in enumerate(model.pieces)}
        if eos_token is None:
            own = int(processor.eos_id())
            eos_token = "" if own < 0 else model.pieces[own].text
        if eos_token and eos_token not in ids:
            raise ValueError(f"the vocabulary has no token {eos_token}")
        self._processor = processor
        self.vocab_size = len(model.pieces)
        self.eos_id = ids[eos_token] if eos_token else -1
        self.eos_token = eos_token
        self.lossless = False
        control = {number for number, piece in enumerate(model.pieces) if piece.type == CONTROL}
        self._forbidden = np.array(sorted(control | {self.eos_id}), np.int64)

    def encode_batch(self, texts: Sequence[str]) -> tuple[Ids, Offsets]:
        """See :meth:`textmill.tokenizer.encode.Encoder.encode_batch`."""
        pieces: list[Ids] = []
        lengths = np.zeros(len(texts), np.int64)
        start = 0
        while start < len(texts):
            stop, characters = start, 0
            while stop < len(texts) and (
                stop == start or characters + len(texts[stop]) <= CHARACTERS_PER_CALL
            ):
                characters += len(texts[stop])
                stop += 1
            for position, found in enumerate(self._encode(list(texts[start:stop])), start):
                lengths[position] = len(found)
                pieces.append(np.array(found, np.uint32))
            start = stop
        ids = np.concatenate(pieces) if pieces else np.zeros(0, np.uint32)
        if np.isin(ids, self._forbidden).any():
            raise EncodingError("ordinary text is encoded to the id of a special token")
        offsets = np.zeros(len(texts) + 1, np.int64)
        np.cumsum(lengths, out=offsets[1:])
        return ids, offsets

    def encode_utf8(self, data: npt.NDArray[np.uint8], offsets: Offsets) -> tuple[Ids, Offsets]:
        """See :meth:`textmill.tokenizer.encode.Encoder.encode_utf8`."""
        view = np.ascontiguousarray(data).data
        try:
            texts = [str(view[a:b], "utf-8") for a, b in pairwise(offsets.tolist())]
        except UnicodeDecodeError as error:
            raise EncodingError(f"the text is no UTF-8: {error}") from error
        return self.encode_batch(texts)

    def decode(self, ids: Sequence[int] | npt.NDArray[Any]) -> str:
        """See :meth:`textmill.tokenizer.encode.Encoder.decode`."""
        plain = ids.tolist() if isinstance(ids, np.ndarray) else list(ids)
        # The library leaves control symbols out; they are spelled out between what it decodes.
        parts: list[str] = []
        run: list[int] = []
        forbidden = set(self._forbidden.tolist())
        for number in plain:
            if number in forbidden:
                parts += [self._processor.decode(run), self._processor.id_to_piece(number)]
                run = []
            else:
                run.append(number)
        return "".join([*parts, self._processor.decode(run)])

    def _encode(self, texts: list[str]) -> list[list[int]]:
        try:
            for text in texts:
                text.encode()
            found: list[list[int]] = self._processor.encode(texts, num_threads=1)
        except UnicodeEncodeError as error:
            raise EncodingError(f"the text holds a lone surrogate: {error}") from error
        except (RuntimeError, ValueError) as error:
            raise EncodingError(f"{type(error).__name__}: {error}") from error
        return found
