"""The frozen table against the module that it was made from: every code point, every class."""

from __future__ import annotations

from importlib.metadata import metadata

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from textmill.text import class_of, class_table, unicode_version
from textmill.text.classes import (
    CATEGORIES,
    CODE_POINTS,
    EXTENDED_PICTOGRAPHIC,
    UNSPACED,
    WHITE_SPACE,
    WORD_BREAKS,
    decode,
    skip_white_space,
    trim_white_space,
)


def every_class() -> np.ndarray:
    index, blocks = class_table()
    return blocks.reshape(-1, 128)[index].ravel()


def test_every_code_point_equals_the_source() -> None:
    regex = pytest.importorskip("regex")
    if f"supports Unicode {unicode_version()}" not in str(metadata("regex").get_payload()):
        pytest.skip(f"the regex module does not hold Unicode {unicode_version()}")
    every = "".join(map(chr, range(CODE_POINTS)))

    def members(pattern: str) -> np.ndarray:
        mask = np.zeros(CODE_POINTS, bool)
        mask[[match.start() for match in regex.finditer(pattern, every)]] = True
        return mask

    classes = every_class()
    assert classes.size == CODE_POINTS
    for value, name in enumerate(WORD_BREAKS):
        np.testing.assert_array_equal((classes & 31) == value, members(rf"\p{{WB={name}}}"), name)
    for value, name in enumerate(CATEGORIES):
        np.testing.assert_array_equal((classes >> 8) == value, members(rf"\p{{gc={name}}}"), name)
    for flag, pattern in (
        (EXTENDED_PICTOGRAPHIC, r"\p{Extended_Pictographic}"),
        (WHITE_SPACE, r"\p{White_Space}"),
        (UNSPACED, r"[\p{sc=Han}\p{sc=Hira}\p{sc=Kana}\p{sc=Thai}\p{sc=Laoo}\p{sc=Khmr}\p{sc=Mymr}]"),
    ):
        np.testing.assert_array_equal((classes & flag) != 0, members(pattern), pattern)


def test_counts_of_the_version_that_the_file_names() -> None:
    """Two figures that change with every version of Unicode, so that file and name cannot drift apart."""
    classes = every_class()
    categories = classes >> 8
    assert unicode_version() == "18.0.0"
    assert (
        int(np.isin(categories, [CATEGORIES.index(name) for name in ("Lu", "Ll", "Lt", "Lm", "Lo")]).sum())
        == 158172
    )
    assert int(((classes & 31) == WORD_BREAKS.index("Extend")).sum()) == 2684


def test_ascii_comes_first_in_the_second_stage() -> None:
    _, blocks = class_table()
    assert [int(blocks[point]) for point in range(128)] == [class_of(point) for point in range(128)]


@pytest.mark.parametrize("point", [-1, 0x110000])
def test_refuses_what_is_no_code_point(point: int) -> None:
    with pytest.raises(ValueError, match="not a code point"):
        class_of(point)


def test_decodes_every_code_point() -> None:
    points = [
        *range(0x100),
        *range(0x100, 0xD800, 7),
        *range(0xE000, 0x10000, 5),
        *range(0x10000, 0x110000, 211),
        0x10FFFF,
    ]
    data = np.frombuffer("".join(map(chr, points)).encode(), np.uint8)
    at = 0
    for point in points:
        found, at = decode(data, at, data.size)
        assert found == point
    assert at == data.size


@settings(max_examples=200, deadline=None)
@given(st.binary(min_size=1, max_size=40), st.integers(1, 40))
def test_decodes_any_bytes_within_the_end(content: bytes, end: int) -> None:
    """Valid sequences give their code point, every other byte U+FFFD; nothing at or beyond `end` is looked at."""
    end = min(end, len(content))
    data = np.frombuffer(content, np.uint8)
    alone = np.frombuffer(content[:end], np.uint8)
    at = 0
    while at < end:
        found, after = decode(data, at, end)
        assert (found, after) == decode(alone, at, end)
        assert at < after <= end
        assert 0 <= found < CODE_POINTS
        try:
            assert found == ord(content[at:after].decode())
        except UnicodeDecodeError:
            assert found == 0xFFFD or found < 0x110000
        at = after


@settings(max_examples=200, deadline=None)
@given(st.text(st.sampled_from(" \t\n\r\u3000\x85\xa0\u2028aé你😀\u0301"), max_size=20))
def test_strips_white_space(text: str) -> None:
    data = np.frombuffer(text.encode(), np.uint8)
    index, blocks = class_table()
    start = skip_white_space(data, 0, data.size, index, blocks)
    end = trim_white_space(data, start, data.size, index, blocks)
    assert data.tobytes()[start:end].decode() == text.strip()
