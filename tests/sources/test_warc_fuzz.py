"""Mutated archives through the whole reader, for as long as TEXTMILL_FUZZ_SECONDS says (30 by default).

A real archive is used where there is one. Every round damages some of its bytes and asks: does reading end, is each
place unique, is every text valid, and are the records that the damage did not touch read as before?
"""

from __future__ import annotations

import gzip
import io
import os
import random
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest
from tests.web.archives import LAYOUTS, PAGE, arc, arc_head, chunked, http, per_record, warc

from textmill.documents import Document, Dropped, Failure
from textmill.sources import Warc
from textmill.sources.warc_pages import page_of_record
from textmill.web import find_links
from textmill.web.warc_reading import ArchiveRecord, read_archive

SETTINGS = Warc(paths="-", max_document_bytes=2**20)
MADE = [
    warc(b"software: x\r\n", "warcinfo", url=""),
    warc(http(PAGE)),
    warc(http(chunked(gzip.compress(PAGE * 20)), Transfer_Encoding="chunked", Content_Encoding="gzip")),
    warc(http("<meta charset=euc-kr><p>모든 인간은".encode("cp949"))),
    warc(b"GET / HTTP/1.1\r\n\r\n", "request"),
    warc(b"A text.", "conversion"),
    *(arc(http(PAGE), f"http://example.com/{number}") for number in range(3)),
]


def _real() -> list[bytes]:
    """Records of a real archive, as they stand in it."""
    folder = os.environ.get("TEXTMILL_DATA")
    path = Path(folder or "", "warc/example.warc.gz")
    if not folder or not path.exists():
        return []
    members = []
    data = path.read_bytes()
    places = [one.position.member for one in read_archive(io.BytesIO(data))]
    for start, end in pairwise(places[:121]):
        members.append(gzip.decompress(data[start:end]))
    return members


def _damage(generator: random.Random, data: bytes) -> tuple[bytes, int, int]:
    """The bytes with one damage, and from where to where they differ."""
    at = generator.randrange(len(data))
    to = min(len(data), at + generator.choice((1, 1, 1, 4, 30, 500)))
    kind = generator.randrange(6)
    if kind == 0:
        return data[:at] + bytes([data[at] ^ 1 << generator.randrange(8)]) + data[at + 1 :], at, at + 1
    if kind == 1:
        return data[:at] + data[to:], at, to
    if kind == 2:
        return data[:at] + generator.randbytes(to - at) + data[to:], at, to
    if kind == 3:
        return data[:at] + generator.randbytes(to - at) + data[at:], at, at
    if kind == 4:
        other = generator.randrange(len(data))
        return data[:at] + data[other : other + to - at] + data[to:], at, to
    return data[:at], at, len(data)


def _check(data: bytes) -> list[ArchiveRecord]:
    found = list(read_archive(io.BytesIO(data), max_content=2**20))
    assert len({str(one.position) for one in found}) == len(found)
    for record in found:
        page = page_of_record(record, str(record.position), SETTINGS)
        if isinstance(page, Document):
            page.text.encode()
            assert "\0" not in page.text
            find_links(page.text.encode())
        elif isinstance(page, Dropped):
            assert page.rule in ("record_type", "status", "media_type")
        else:
            assert isinstance(page, Failure)
            assert page.reason
    return [one for one in found if isinstance(one, ArchiveRecord)]


def _fuzz(records: list[bytes], layout: str, generator: random.Random) -> None:
    start = generator.randrange(max(1, len(records) - 9))
    chosen = records[start : start + 9]
    pack: Callable[[list[bytes]], bytes] = LAYOUTS[layout]
    whole = pack(chosen)
    data, at, to = _damage(generator, whole)
    after = _check(data)
    if layout in ("per record", "zstd per record"):
        # What lies in front of the damage and behind it is read, and nothing else pretends to be it.
        borders = [0]
        for record in chosen:
            borders.append(borders[-1] + len(pack([record])))
        untouched = [
            content.content
            for number, record in enumerate(chosen)
            for content in _check(pack([record]))
            if borders[number + 1] <= at or (borders[number] >= to and layout == "per record")
        ]
        contents = [record.content for record in after]
        place = 0
        for content in untouched:
            assert content in contents[place:], (layout, at, to)
            place = contents.index(content, place) + 1


def _rounds(seconds: float, seed: int) -> int:
    generator = random.Random(seed)
    records = [MADE, *filter(None, [_real()])]
    end = time.monotonic() + seconds
    rounds = 0
    while time.monotonic() < end:
        chosen = generator.choice(records)
        layout = generator.choice(sorted(LAYOUTS))
        state = generator.getstate()
        try:
            _fuzz([arc_head(), *chosen] if generator.random() < 0.1 else chosen, layout, generator)
        except Exception as error:
            raise AssertionError(
                f"seed {seed}, round {rounds}, layout {layout}, state {hash(state)}"
            ) from error
        rounds += 1
    return rounds


def test_some_rounds() -> None:
    generator = random.Random(7)
    for _ in range(40):
        _fuzz(MADE, generator.choice(sorted(LAYOUTS)), generator)


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_many_rounds() -> None:
    seconds = float(os.environ.get("TEXTMILL_FUZZ_SECONDS", "30"))
    rounds = _rounds(seconds, random.SystemRandom().randrange(2**32))
    print(f"{rounds:,} rounds")
    assert rounds > 10


def test_a_whole_archive_inside_a_page_is_a_page() -> None:
    inner = per_record([warc(http(PAGE))])
    (record,) = _check(per_record([warc(http(inner, content_type="application/gzip"))]))
    assert record.content.endswith(inner)
