"""Scans of many bytes at once against plain Python, at every alignment."""

# Intrinsics have a context argument that only the compiler sees.
# mypy: disable-error-code="call-arg, no-untyped-call"

from __future__ import annotations

from typing import Any

import numba
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from textmill.text import wide
from textmill.text.inputs import checked

# Bytes at which a comparison could go wrong: the ends of ranges, 0, 127, 128 and 255.
EDGES = b"\x00\x09\x0a\x0d\x0e\x20\x2e@AZ[`az{\x7f\x80\x8a\xbf\xc0\xc3\xe2\xff"
buffers = st.lists(st.sampled_from(EDGES) | st.integers(0, 255), min_size=1, max_size=120).map(bytes)


def read_only(content: bytes) -> Any:
    return checked(np.frombuffer(content, np.uint8), np.zeros(1, np.int64))[0]


@numba.njit
def masks(data: Any, at: int) -> Any:
    return (
        wide.equal_mask(data, at, 46),
        wide.caseless_mask(data, at, 0x7A),
        wide.between_mask(data, at, 9, 13),
        wide.letter_mask(data, at),
        wide.beyond_ascii_mask(data, at),
        wide.lead_mask(data, at),
    )


@given(buffers.map(lambda content: content + content[::-1] + bytes(32)))
def test_masks(content: bytes) -> None:
    tests = (
        lambda byte: byte == 46,
        lambda byte: byte | 0x20 == 0x7A,
        lambda byte: 9 <= byte <= 13,
        lambda byte: 65 <= byte <= 90 or 97 <= byte <= 122,
        lambda byte: byte >= 128,
        lambda byte: byte & 0xC0 != 0x80,
    )
    for at in range(len(content) - wide.WIDTH + 1):
        window = content[at : at + wide.WIDTH]
        expected = tuple(sum(test(byte) << place for place, byte in enumerate(window)) for test in tests)
        assert masks(read_only(content), at) == expected


@given(buffers, st.data())
def test_scans_stay_between_their_borders(content: bytes, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(content)))
    end = data.draw(st.integers(start, len(content)))
    buffer, piece = read_only(content), content[start:end]
    letters = next((i for i, byte in enumerate(piece) if not bytes([byte]).isalpha()), len(piece))
    assert wide.letters_from(buffer, start, end) == letters
    newline = piece.find(b"\n")
    assert wide.find_newline(buffer, start, end) == (end if newline < 0 else start + newline)
    assert wide.count_leads(buffer, start, end) == sum(byte & 0xC0 != 0x80 for byte in piece)
    assert wide.holds_byte(buffer, start, end, 46) == (b"." in piece)


@pytest.mark.parametrize("word", [1, 2, 8, 0x80, 1 << 63, 0xFFFFFFFFFFFFFFFF, 0])
def test_bits(word: int) -> None:
    @numba.njit
    def bits(value: Any) -> Any:
        return wide.trailing_zeros(value), wide.ones(value)

    zeros = 64 if word == 0 else (word & -word).bit_length() - 1
    assert bits(np.uint64(word)) == (zeros, word.bit_count())


def test_copies_bytes_that_overlap() -> None:
    @numba.njit
    def copy(target: Any, at: int, source: Any, start: int, size: int) -> None:
        wide.copy_bytes(target, at, source, start, size)

    array = np.arange(20, dtype=np.uint8)
    copy(array, 3, array, 0, 10)
    assert array.tolist() == [0, 1, 2, *range(10), *range(13, 20)]
