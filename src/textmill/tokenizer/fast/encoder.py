"""The compiled encoder behind the common interface."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from textmill.tokenizer.encode import EncodingError, HuggingFaceEncoder, Ids, Offsets
from textmill.tokenizer.fast.classes import character_classes
from textmill.tokenizer.fast.kernels import CACHED_IDS, CL100K, GPT2, NO_RANK, build_pairs, encode_texts

CACHE_SLOTS = 2**17


class FastEncoder:
    """Byte-level BPE by compiled kernels; see :class:`textmill.tokenizer.encode.Encoder`.

    Holds about 8 MB of remembered pieces, and while it encodes four bytes per byte of text.

    Args:
        content: the text of a ``tokenizer.json``.
        eos_token: the end-of-text token.

    Raises:
        ValueError: no tokenizer, no such token, or a tokenizer of another kind: :func:`why_not` says which.
    """

    def __init__(self, content: str, eos_token: str) -> None:
        self._library = HuggingFaceEncoder(content, eos_token)
        parsed = json.loads(content)
        reason = why_not(parsed, self._library)
        if reason is not None:
            raise ValueError(reason)
        self.vocab_size = self._library.vocab_size
        self.eos_id = self._library.eos_id
        self.eos_token = eos_token
        self.lossless = self._library.lossless
        self._pattern = GPT2 if self._library.pattern == "gpt2" else CL100K
        vocabulary = parsed["model"]["vocab"]
        alphabet = byte_alphabet()
        merges = [_pair(merge) for merge in parsed["model"]["merges"]]
        self._byte_ids = np.array([vocabulary[alphabet[byte]] for byte in range(256)], np.uint32)
        self._merged = np.array([vocabulary[a + b] for a, b in merges], np.uint32)
        # At most half full, so that looking for a pair that is not there ends soon.
        slots = 1 << max(4, (2 * len(merges)).bit_length())
        self._pair_keys = np.zeros(slots, np.uint64)
        self._pair_ranks = np.full(slots, NO_RANK, np.int64)
        left = np.array([vocabulary[a] for a, _ in merges], np.int64)
        right = np.array([vocabulary[b] for _, b in merges], np.int64)
        build_pairs(left, right, self._pair_keys, self._pair_ranks)
        # No key of a piece is zero: its length stands in the upper half.
        self._cache_keys = np.zeros((CACHE_SLOTS, 2), np.uint64)
        self._cache_ids = np.zeros((CACHE_SLOTS, 1 + CACHED_IDS), np.uint32)

    def encode_batch(self, texts: Sequence[str]) -> tuple[Ids, Offsets]:
        """See :meth:`textmill.tokenizer.encode.Encoder.encode_batch`."""
        try:
            raw = [text.encode() for text in texts]
        except UnicodeEncodeError as error:
            raise EncodingError(f"the text holds a lone surrogate: {error}") from error
        offsets = np.zeros(len(raw) + 1, np.int64)
        np.cumsum([len(text) for text in raw], out=offsets[1:])
        return self._encode(np.frombuffer(b"".join(raw), np.uint8), offsets)

    def encode_utf8(self, data: npt.NDArray[np.uint8], offsets: Offsets) -> tuple[Ids, Offsets]:
        """See :meth:`textmill.tokenizer.encode.Encoder.encode_utf8`."""
        first, last = int(offsets[0]), int(offsets[-1])
        part = np.ascontiguousarray(data[first:last])
        try:
            str(part.data, "utf-8")
        except UnicodeDecodeError as error:
            raise EncodingError(f"the text is no UTF-8: {error}") from error
        offsets = np.ascontiguousarray(offsets - first, np.int64)
        # All bytes together are UTF-8; so is each text if none starts inside a character.
        starts = offsets[:-1][offsets[:-1] < len(part)]
        if ((part[starts] & 0xC0) == 0x80).any():
            raise EncodingError("the text is no UTF-8: it starts inside a character")
        return self._encode(part, offsets)

    def decode(self, ids: Sequence[int] | npt.NDArray[Any]) -> str:
        """See :meth:`textmill.tokenizer.encode.Encoder.decode`."""
        return self._library.decode(ids)

    def _encode(self, data: npt.NDArray[np.uint8], offsets: Offsets) -> tuple[Ids, Offsets]:
        # Kernels are compiled per kind of array; a view that nobody may write to keeps that to one kind.
        data = data.view()
        data.flags.writeable = False
        offsets = offsets.view()
        offsets.flags.writeable = False
        out = np.empty(len(data), np.uint32)
        out_offsets = np.empty(len(offsets), np.int64)
        count = encode_texts(
            data,
            offsets,
            self._pattern,
            character_classes(),
            self._byte_ids,
            self._pair_keys,
            self._pair_ranks,
            self._merged,
            self._cache_keys,
            self._cache_ids,
            out,
            out_offsets,
        )
        return out[:count].copy(), out_offsets


def why_not(parsed: dict[str, Any], library: HuggingFaceEncoder) -> str | None:
    """Why the kernels do not serve this tokenizer (a parsed ``tokenizer.json``); None when they do."""
    model = parsed["model"]
    if model.get("type") != "BPE":
        return f"the model is {model.get('type')}, not BPE"
    if library.pattern not in ("gpt2", "cl100k"):
        return f"the text is cut by {library.pattern or 'another pattern'}"
    for option in (
        "dropout",
        "unk_token",
        "continuing_subword_prefix",
        "end_of_word_suffix",
        "byte_fallback",
        "ignore_merges",
    ):
        if model.get(option):
            return f"the model uses {option}"
    if any(character not in model["vocab"] for character in byte_alphabet()):
        return "the vocabulary lacks some bytes"
    special = {token["content"] for token in parsed["added_tokens"]} | {library.eos_token}
    if any("".join(_pair(merge)) in special for merge in model["merges"]):
        return "a merge spells a special token"
    if special & set(byte_alphabet()):
        return "a special token is a byte"
    return None


def byte_alphabet() -> list[str]:
    """The printable character that stands for each byte in byte-level vocabularies (GPT-2's choice)."""
    printable = {*range(33, 127), *range(161, 173), *range(174, 256)}
    alphabet = []
    others = 256
    for byte in range(256):
        if byte in printable:
            alphabet.append(chr(byte))
        else:
            alphabet.append(chr(others))
            others += 1
    return alphabet


def _pair(merge: Any) -> tuple[str, str]:
    # Files written by older versions of the library have "a b" instead of ["a", "b"].
    left, right = merge.split(" ") if isinstance(merge, str) else merge
    return left, right
