"""Content codings: undone within bounds, bombs refused without being unpacked."""

from __future__ import annotations

import gzip
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from textmill.crawl.contents import unpack
from textmill.crawl.outcomes import Fault

MIB = 2**20


def bare(data: bytes) -> bytes:
    deflate = zlib.compressobj(6, zlib.DEFLATED, -15)
    return deflate.compress(data) + deflate.flush()


@given(st.binary(max_size=3000), st.integers(0, 3))
def test_codings_are_undone(data: bytes, cut: int) -> None:
    assert unpack(data, "", MIB, 100) == data
    assert unpack(data, "identity", MIB, 100) == data
    assert unpack(gzip.compress(data), "gzip", MIB, 100) == data
    assert unpack(gzip.compress(data[:cut]) + gzip.compress(data[cut:]), "x-gzip", MIB, 100) == data
    assert unpack(gzip.compress(data) + b"\r\n trailing", "gzip", MIB, 100) == data
    assert unpack(zlib.compress(data), "Deflate", MIB, 100) == data
    assert unpack(bare(data), "deflate", MIB, 100) == data
    assert unpack(gzip.compress(zlib.compress(data)), "deflate, gzip", MIB, 100) == data


@given(st.binary(max_size=300), st.sampled_from(["gzip", "deflate", "br", "gzip, gzip", "gzip, gzip, gzip"]))
def test_any_bytes_give_contents_or_a_reason(data: bytes, coding: str) -> None:
    result = unpack(data, coding, MIB, 100)
    assert isinstance(result, bytes) or result.reason in ("coding", "bomb")


@pytest.mark.parametrize(
    "pack, coding", [(gzip.compress, "gzip"), (zlib.compress, "deflate"), (bare, "deflate")]
)
def test_bombs(pack: object, coding: str) -> None:
    assert callable(pack)
    bomb = pack(bytes(50 * MIB))
    by_size = unpack(bomb, coding, 8 * MIB, 1e9)
    by_ratio = unpack(bomb, coding, 1000 * MIB, 100)
    assert isinstance(by_size, Fault)
    assert isinstance(by_ratio, Fault)
    assert by_size.reason == by_ratio.reason == "bomb"
    nested = unpack(gzip.compress(bomb), f"{coding}, gzip", 8 * MIB, 200)
    assert isinstance(nested, Fault)


def test_cut_off_data_are_told() -> None:
    cut = unpack(gzip.compress(b"words " * 10_000)[:-30], "gzip", MIB, 1000)
    assert isinstance(cut, Fault)
    assert "too early" in cut.detail
