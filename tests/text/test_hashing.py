"""XXH64 against published values and a plain-Python reading of the specification."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from textmill.text import hash_bytes, hash_spans
from textmill.text.hashing import same_bytes

MASK = 2**64 - 1
P1, P2, P3, P4, P5 = (
    0x9E3779B185EBCA87,
    0xC2B2AE3D27D4EB4F,
    0x165667B19E3779F9,
    0x85EBCA77C2B2AE63,
    0x27D4EB2F165667C5,
)


def rotate(value: int, bits: int) -> int:
    return ((value << bits) | (value >> (64 - bits))) & MASK


def mix(state: int, word: int) -> int:
    return rotate((state + word * P2) & MASK, 31) * P1 & MASK


def oracle(content: bytes, seed: int) -> int:
    at = 0
    if len(content) >= 32:
        lanes = [(seed + P1 + P2) & MASK, (seed + P2) & MASK, seed, (seed - P1) & MASK]
        while len(content) - at >= 32:
            for lane in range(4):
                lanes[lane] = mix(lanes[lane], int.from_bytes(content[at : at + 8], "little"))
                at += 8
        state = sum(rotate(lane, bits) for lane, bits in zip(lanes, (1, 7, 12, 18), strict=True)) & MASK
        for lane in lanes:
            state = ((state ^ mix(0, lane)) * P1 + P4) & MASK
    else:
        state = (seed + P5) & MASK
    state = (state + len(content)) & MASK
    while len(content) - at >= 8:
        state = (rotate(state ^ mix(0, int.from_bytes(content[at : at + 8], "little")), 27) * P1 + P4) & MASK
        at += 8
    if len(content) - at >= 4:
        state ^= int.from_bytes(content[at : at + 4], "little") * P1 & MASK
        state = (rotate(state, 23) * P2 + P3) & MASK
        at += 4
    for byte in content[at:]:
        state = rotate(state ^ (byte * P5 & MASK), 11) * P1 & MASK
    state = (state ^ (state >> 33)) * P2 & MASK
    state = (state ^ (state >> 29)) * P3 & MASK
    return state ^ (state >> 32)


def sanity_buffer(size: int) -> bytes:
    """The bytes that xxHash's own sanity test hashes: upper bytes of powers of a 64-bit prime."""
    generator, content = 0x9E3779B1, bytearray()
    for _ in range(size):
        content.append(generator >> 56)
        generator = generator * 0x9E3779B185EBCA8D & MASK
    return bytes(content)


@pytest.mark.parametrize(
    ("content", "seed", "value"),
    [
        (b"", 0, 0xEF46DB3751D8E999),
        (b"a", 0, 0xD24EC4F1A98C6E5B),
        (b"abc", 0, 0x44BC2CF5AD770999),
        (b"Nobody inspects the spammish repetition", 0, 0xFBCEA83C8A378BF1),
        (b"", 0x9E3779B1, 0xAC75FDA2929B17EF),
        (sanity_buffer(1), 0, 0xE934A84ADB052768),
        (sanity_buffer(1), 0x9E3779B1, 0x5014607643A9B4C3),
        (sanity_buffer(4), 0, 0x9136A0DCA57457EE),
        (sanity_buffer(14), 0, 0x8282DCC4994E35C8),
        (sanity_buffer(222), 0, 0xB641AE8CB691C174),
        (sanity_buffer(222), 0x9E3779B1, 0x20CB8AB7AE10C14A),
    ],
)
def test_published_values(content: bytes, seed: int, value: int) -> None:
    assert hash_bytes(content, seed) == value
    assert oracle(content, seed) == value


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=150), st.integers(0, MASK))
def test_equals_the_specification(content: bytes, seed: int) -> None:
    assert hash_bytes(content, seed) == oracle(content, seed)


def test_spans_of_every_length_and_place() -> None:
    data = np.arange(200, dtype=np.uint8)
    starts = np.repeat(np.arange(100), 100)
    ends = starts + np.tile(np.arange(100), 100)
    hashes = hash_spans(data, starts, ends)
    content = data.tobytes()
    assert [int(value) for value in hashes[::7]] == [
        oracle(content[start:end], 0) for start, end in zip(starts[::7], ends[::7], strict=True)
    ]


@pytest.mark.parametrize(("starts", "ends"), [([0], [5]), ([-1], [2]), ([3], [2]), ([0, 1], [2])])
def test_refuses_spans_outside_the_buffer(starts: list[int], ends: list[int]) -> None:
    with pytest.raises(ValueError):
        hash_spans(np.zeros(4, np.uint8), np.array(starts), np.array(ends))


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=30), st.binary(max_size=30))
def test_same_bytes(one: bytes, two: bytes) -> None:
    size = min(len(one), len(two))
    data = np.frombuffer(one + two, np.uint8)
    assert same_bytes(data, 0, len(one), size) == (one[:size] == two[:size])
    assert same_bytes(data, 0, 0, len(one))
