"""Character references: `&amp;`, `&#8217;`, `&#x2019;`, `&nbsp` (sections 13.2.5.72 to 13.2.5.80 of the standard).

The 2,231 names are those of Python's `html.entities`, which are the standard's and do not change.
"""

# Kernels have no annotations: Numba infers their types.
# mypy: allow-untyped-defs, no-check-untyped-defs

from __future__ import annotations

import re
from html.entities import html5

import numpy as np
import numpy.typing as npt

from textmill.text.compilation import apart, inlined, small_kernel

FNV_SEED, FNV_PRIME = np.uint64(0xCBF29CE484222325), np.uint64(0x100000001B3)
SLOTS = 1 << 13
SHORTEST, LONGEST_BARE, LONGEST = 2, 6, 32
REPLACEMENT = 0xFFFD
# What Windows-1252 has where Unicode has controls; numbers from 128 to 159 mean these.
_WINDOWS = tuple(
    ord(bytes([byte]).decode("cp1252")) if byte not in (0x81, 0x8D, 0x8F, 0x90, 0x9D) else byte
    for byte in range(0x80, 0xA0)
)
WINDOWS = np.array(_WINDOWS, np.int64)


def name_hash(name: bytes) -> int:
    """FNV-1a, 64 bits."""
    value = int(FNV_SEED)
    for byte in name:
        value = ((value ^ byte) * int(FNV_PRIME)) & 0xFFFFFFFFFFFFFFFF
    return value


def hash_table(hashes: list[int], slots: int) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.int16]]:
    """Open addressing by the low bits: uint64[slots] hashes and int16[slots] positions in the list, -1 if empty.

    Raises:
        ValueError: two hashes are equal.
    """
    if len(set(hashes)) < len(hashes):
        raise ValueError("two names have one hash")
    keys, positions = np.zeros(slots, np.uint64), np.full(slots, -1, np.int16)
    for position, value in enumerate(hashes):
        slot = value & (slots - 1)
        while positions[slot] >= 0:
            slot = (slot + 1) & (slots - 1)
        keys[slot], positions[slot] = value, position
    return keys, positions


_NAMES = sorted(html5)
KEYS, POSITIONS = hash_table([name_hash(name.encode()) for name in _NAMES], SLOTS)
FIRSTS = np.array([ord(html5[name][0]) for name in _NAMES], np.int32)
SECONDS = np.array([ord(html5[name][1]) if len(html5[name]) > 1 else 0 for name in _NAMES], np.int32)


@small_kernel
def find_hash(keys, positions, wanted):
    """The position that a hash has in a table, -1 if it has none."""
    apart()
    mask = keys.size - 1
    slot = np.int64(wanted & np.uint64(mask))
    while positions[slot] >= 0:
        if keys[slot] == wanted:
            return np.int64(positions[slot])
        slot = (slot + 1) & mask
    return np.int64(-1)


@small_kernel
def reference(data, at, end):
    """What the `&` at data[at] stands for in text: two code points (the second may be 0), and the position after it.

    The first is -1 if it is no reference.
    """
    apart()
    at += 1
    if at < end and data[at] == 35:
        return _numeric(data, at + 1, end)
    value = FNV_SEED
    found, after = np.int64(-1), at
    stop = min(end, at + LONGEST)
    start = at
    while at < stop:
        byte = data[at]
        if byte == 59:
            full = find_hash(KEYS, POSITIONS, (value ^ np.uint64(59)) * FNV_PRIME)
            if full >= 0:
                found, after = full, at + 1
            break
        if not (48 <= byte <= 57 or 65 <= byte <= 90 or 97 <= byte <= 122):
            break
        value = (value ^ np.uint64(byte)) * FNV_PRIME
        at += 1
        if SHORTEST <= at - start <= LONGEST_BARE:
            bare = find_hash(KEYS, POSITIONS, value)
            if bare >= 0:
                found, after = bare, at
    if found < 0:
        return np.int64(-1), np.int64(0), after
    return np.int64(FIRSTS[found]), np.int64(SECONDS[found]), after


@inlined
def _numeric(data, at, end):
    base = 10
    if at < end and data[at] | 32 == 120:
        base = 16
        at += 1
    start = at
    value = np.int64(0)
    while at < end:
        byte = np.int64(data[at])
        if 48 <= byte <= 57:
            digit = byte - 48
        elif base == 16 and 97 <= byte | 32 <= 102:
            digit = (byte | 32) - 87
        else:
            break
        value = min(value * base + digit, np.int64(0x110000))
        at += 1
    if at == start:
        return np.int64(-1), np.int64(0), at
    if at < end and data[at] == 59:
        at += 1
    if value == 0 or value > 0x10FFFF or 0xD800 <= value <= 0xDFFF:
        value = np.int64(REPLACEMENT)
    elif 0x80 <= value < 0xA0:
        value = WINDOWS[value - 0x80]
    return value, np.int64(0), at


def decode_text(content: str) -> str:
    """A text with its references replaced."""
    return _REFERENCE.sub(_replace_in_text, content) if "&" in content else content


def decode_attribute(content: str) -> str:
    """An attribute value with its references replaced: `?a=1&copy=2` holds none."""
    return _REFERENCE.sub(_replace_in_attribute, content) if "&" in content else content


_REFERENCE = re.compile(r"&(?:#(?:[xX]([0-9a-fA-F]+)|([0-9]+));?|([A-Za-z0-9]{2,31})(;?))")


def _replace_in_text(match: re.Match[str]) -> str:
    return _replacement(match, attribute=False)


def _replace_in_attribute(match: re.Match[str]) -> str:
    return _replacement(match, attribute=True)


def _replacement(match: re.Match[str], attribute: bool) -> str:
    sixteen, ten, name, semicolon = match.groups()
    if name is None:
        return _character(sixteen, 16) if sixteen else _character(ten, 10)
    if semicolon and name + ";" in html5:
        return html5[name + ";"]
    for size in range(min(len(name), LONGEST_BARE), SHORTEST - 1, -1):
        if name[:size] in html5:
            follows = name[size:] + semicolon or match.string[match.end() : match.end() + 1]
            if (
                attribute
                and follows[:1]
                and (follows[0] == "=" or (follows[0].isascii() and follows[0].isalnum()))
            ):
                break
            return html5[name[:size]] + name[size:] + semicolon
    return match[0]


def _character(digits: str, base: int) -> str:
    digits = digits.lstrip("0")
    value = int(digits or "0", base) if len(digits) <= 8 else 0x110000
    if value == 0 or value > 0x10FFFF or 0xD800 <= value <= 0xDFFF:
        return chr(REPLACEMENT)
    return chr(_WINDOWS[value - 0x80]) if 0x80 <= value < 0xA0 else chr(value)
