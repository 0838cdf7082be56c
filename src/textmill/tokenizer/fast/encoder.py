"""The compiled encoder behind the common interface."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from textmill.tokenizer.encode import EncodingError, HuggingFaceEncoder, Ids, Offsets
from textmill.tokenizer.fast.classes import class_table
from textmill.tokenizer.fast.kernels import (
    CL100K,
    GPT2,
    NO_RANK,
    O200K,
    PIECES_AHEAD,
    SCANNED_BYTES,
    SLOT_BYTES,
    VOCABULARY_LIMIT,
    WAYS,
    build_pairs,
    encode_texts,
    invalid_utf8,
    merges_make,
)
from textmill.tokenizer.fast.memory import PADDING
from textmill.tokenizer.patterns import PATTERNS

# 2**16 buckets of four slots: 8 MB of remembered pieces.
BUCKET_BITS = 16
LONG_BITS = 16
ARENA_BYTES = 8 * 2**20
# Bytes of text whose ids are made in one go, or one longer text.
GROUP_BYTES = 2 * 2**20

_PATTERNS = {"gpt2": GPT2, "cl100k": CL100K, "o200k": O200K}
assert _PATTERNS.keys() == PATTERNS.keys()


class FastEncoder:
    """Byte-level BPE by compiled kernels; see :class:`textmill.tokenizer.encode.Encoder`.

    Holds some 30 MB: remembered pieces, and room for the ids of a group of texts. For one thread at a time.

    Args:
        content: the text of a ``tokenizer.json``.
        eos_token: the end-of-text token; None for encoding without one.

    Raises:
        ValueError: no tokenizer, no such token, or a tokenizer of another kind: :func:`why_not` says which.
    """

    def __init__(self, content: str, eos_token: str | None) -> None:
        self._library = HuggingFaceEncoder(content, eos_token)
        parsed = json.loads(content)
        reason = why_not(parsed, self._library)
        if reason is not None:
            raise ValueError(reason)
        self.vocab_size = self._library.vocab_size
        self.eos_id = self._library.eos_id
        self.eos_token = self._library.eos_token
        self.lossless = self._library.lossless
        self._pattern = _PATTERNS[self._library.pattern or ""]
        self._classes = class_table(self._pattern)
        self._vocabulary = _Vocabulary(parsed["model"])
        self._key_masks = np.zeros((17, 2), np.uint64)
        for size in range(16):
            mask = 2 ** (8 * size) - 1
            self._key_masks[size] = mask & (2**64 - 1), mask >> 64
        self._bucket_bits = BUCKET_BITS
        # Buckets begin where lines of the cache begin. No key is zero: a length stands in its upper half.
        room = np.zeros((WAYS * SLOT_BYTES << BUCKET_BITS) + 64, np.uint8)
        self._slots = room[-room.ctypes.data % 64 :]
        self._long_slots = np.zeros((2 << LONG_BITS) + PADDING, np.uint64)
        self._arena = np.zeros(ARENA_BYTES + 5 * PADDING, np.uint8)
        self._state = np.zeros(3, np.int64)
        self._out = np.zeros(0, np.uint32)

    def encode_batch(self, texts: Sequence[str]) -> tuple[Ids, Offsets]:
        """See :meth:`textmill.tokenizer.encode.Encoder.encode_batch`."""
        try:
            raw = [text.encode() for text in texts]
        except UnicodeEncodeError as error:
            raise EncodingError(f"the text holds a lone surrogate: {error}") from error
        offsets = np.zeros(len(raw) + 1, np.int64)
        np.cumsum([len(text) for text in raw], out=offsets[1:])
        return self._encode(np.frombuffer(b"".join([*raw, bytes(PADDING)]), np.uint8), offsets)

    def encode_utf8(self, data: npt.NDArray[np.uint8], offsets: Offsets) -> tuple[Ids, Offsets]:
        """See :meth:`textmill.tokenizer.encode.Encoder.encode_utf8`."""
        first, last = int(offsets[0]), int(offsets[-1])
        size = last - first
        padded = np.empty(size + PADDING, np.uint8)
        padded[:size] = data[first:last]
        padded[size:] = 0
        bad = invalid_utf8(padded.ctypes.data, size)
        if bad >= 0:
            raise EncodingError(f"the text is no UTF-8: no character begins at byte {bad}")
        offsets = np.ascontiguousarray(offsets - first, np.int64)
        # All bytes together are UTF-8; so is each text if none starts inside a character.
        if ((padded[offsets[:-1]] & 0xC0) == 0x80).any():
            raise EncodingError("the text is no UTF-8: it starts inside a character")
        return self._encode(padded, offsets)

    def decode(self, ids: Sequence[int] | npt.NDArray[Any]) -> str:
        """See :meth:`textmill.tokenizer.encode.Encoder.decode`."""
        return self._library.decode(ids)

    def _encode(self, padded: npt.NDArray[np.uint8], offsets: Offsets) -> tuple[Ids, Offsets]:
        # Texts go in groups, so that ids stay near the processor until they are copied out.
        groups = []
        out_offsets = np.empty(len(offsets), np.int64)
        start = total = 0
        while start < len(offsets) - 1:
            stop = int(np.searchsorted(offsets, offsets[start] + GROUP_BYTES, "right")) - 1
            stop = min(max(stop, start + 1), len(offsets) - 1)
            borders = out_offsets[start : stop + 1]
            groups.append(self._encode_group(padded, offsets[start : stop + 1], borders))
            borders += total
            total += len(groups[-1])
            start = stop
        out_offsets[-1] = total
        ids = groups[0] if len(groups) == 1 else np.concatenate([np.zeros(0, np.uint32), *groups])
        return ids, out_offsets

    def _encode_group(self, padded: npt.NDArray[np.uint8], offsets: Offsets, out_offsets: Offsets) -> Ids:
        size = int(offsets[-1] - offsets[0]) + PADDING
        # The kernel sees addresses: every array stays in a name of this function or of the encoder till it ends.
        out = self._out if len(self._out) >= size else np.empty(size, np.uint32)
        if size <= 2 * GROUP_BYTES:
            self._out = out
        count = encode_texts(
            padded.ctypes.data,
            offsets,
            self._pattern,
            self._classes.ctypes.data,
            self._vocabulary.addresses(),
            self._key_masks.ctypes.data,
            self._slots.ctypes.data,
            self._bucket_bits,
            self._long_slots.ctypes.data,
            LONG_BITS,
            self._arena.ctypes.data,
            ARENA_BYTES,
            self._state,
            self._vocabulary.scratch_for_texts(),
            out.ctypes.data,
            out_offsets,
        )
        ids: Ids = out[:count].copy()
        return ids


class _Vocabulary:
    """Bytes, pairs and merges of a byte-level BPE model, as the kernels want them."""

    def __init__(self, model: dict[str, Any]) -> None:
        vocabulary: dict[str, int] = model["vocab"]
        merges = [_pair(merge) for merge in model["merges"]]
        left = np.array([vocabulary[a] for a, _ in merges], np.int64)
        right = np.array([vocabulary[b] for _, b in merges], np.int64)
        self.byte_ids = np.array([vocabulary[character] for character in byte_alphabet()], np.uint32)
        self.merged = np.array([vocabulary[a + b] for a, b in merges], np.uint32)
        # At most half full, so that looking for a pair that is not there ends soon.
        self.pairs = np.full(1 << max(4, (2 * len(merges)).bit_length()), 2**64 - 1, np.uint64)
        build_pairs(left, right, self.pairs)
        # Ranks of pairs of bytes, which every piece asks for first, lie in a table of their own.
        self.byte_pairs = np.full(2**16, NO_RANK, np.uint32)
        bytes_of = {int(number): byte for byte, number in enumerate(self.byte_ids)}
        for rank in range(len(merges) - 1, -1, -1):
            if int(left[rank]) in bytes_of and int(right[rank]) in bytes_of:
                self.byte_pairs[bytes_of[int(left[rank])] << 8 | bytes_of[int(right[rank])]] = rank
        self._scratch = np.zeros((2, SCANNED_BYTES + PADDING), np.uint32)
        self._found = np.zeros(4 * PIECES_AHEAD, np.uint64)
        self.whole_table = np.zeros((1, 3), np.uint64)
        self.whole_content = np.zeros(PADDING, np.uint8)
        self.whole_entries = 0
        if model.get("ignore_merges"):
            self._find_whole(vocabulary)

    def addresses(self) -> Any:
        """What the kernels call a vocabulary."""
        return (
            self.byte_ids.ctypes.data,
            self.byte_pairs.ctypes.data,
            self.pairs.ctypes.data,
            len(self.pairs) - 1,
            self.merged.ctypes.data,
            (self.whole_table.ctypes.data, self.whole_entries, self.whole_content.ctypes.data),
        )

    def scratch(self) -> tuple[int, int]:
        """Room for merging a piece."""
        return self._scratch[0].ctypes.data, self._scratch[1].ctypes.data

    def scratch_for_texts(self) -> tuple[int, int, int]:
        """The same, and room for the pieces that are found before they are looked up."""
        return *self.scratch(), self._found.ctypes.data

    def _find_whole(self, vocabulary: dict[str, int]) -> None:
        """Entries that a piece becomes as a whole, although merging makes something else of its bytes."""
        byte_of = {character: byte for byte, character in enumerate(byte_alphabet())}
        entries = []
        for word, number in vocabulary.items():
            if word and all(character in byte_of for character in word):
                content = bytes(byte_of[character] for character in word)
                entries.append((len(content), content, number))
        entries.sort()
        offsets = np.cumsum([0, *(size for size, _, _ in entries)], dtype=np.int64)
        data = np.frombuffer(b"".join(content for _, content, _ in entries) + bytes(PADDING), np.uint8)
        longest = entries[-1][0] if entries else 0
        out = np.empty(longest + PADDING, np.uint32)
        made = np.zeros(len(entries), np.bool_)
        wanted = np.array([number for _, _, number in entries], np.int64)
        merges_make(
            data.ctypes.data, offsets, wanted, self.addresses(), self.scratch(), out.ctypes.data, made
        )
        odd = np.flatnonzero(~made)
        if len(odd):
            sizes = np.diff(offsets)
            self.whole_content = data
            self.whole_table = np.stack([offsets[odd], sizes[odd], wanted[odd]], axis=1).astype(np.uint64)
            self.whole_entries = len(odd)


def why_not(parsed: dict[str, Any], library: HuggingFaceEncoder) -> str | None:
    """Why the kernels do not serve this tokenizer (a parsed ``tokenizer.json``); None when they do."""
    model = parsed["model"]
    if model.get("type") != "BPE":
        return f"the model is {model.get('type')}, not BPE"
    if library.pattern is None:
        return "the text is cut by another pattern"
    for option in (
        "dropout",
        "unk_token",
        "continuing_subword_prefix",
        "end_of_word_suffix",
        "byte_fallback",
    ):
        if model.get(option):
            return f"the model uses {option}"
    if any(character not in model["vocab"] for character in byte_alphabet()):
        return "the vocabulary lacks some bytes"
    if max(model["vocab"].values()) >= VOCABULARY_LIMIT:
        return f"the vocabulary has ids above {VOCABULARY_LIMIT:,}"
    special = {token["content"] for token in parsed["added_tokens"]} | {library.eos_token}
    if any("".join(_pair(merge)) in special for merge in model["merges"]):
        return "a merge spells a special token"
    if special & set(byte_alphabet()):
        return "a special token is a byte"
    if model.get("ignore_merges") and any(
        token in model["vocab"] and len(library.pieces(token)) == 1 for token in special
    ):
        return "the model uses ignore_merges, and a special token of its vocabulary is one piece of text"
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
