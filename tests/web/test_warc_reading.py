"""Archives in every layout, cut, damaged and hostile; and beside the field's readers."""

from __future__ import annotations

import gzip
import io
from itertools import pairwise
from pathlib import Path

import pytest
from fastwarc.warc import ArchiveIterator as FastArchiveIterator
from hypothesis import example, given, settings
from hypothesis import strategies as st
from warcio.archiveiterator import ArchiveIterator

from tests.development_data import development_data
from tests.web.archives import (
    LAYOUTS,
    arc,
    arc_head,
    blocks,
    http,
    per_record,
    plain,
    warc,
    whole,
    zstd_per_record,
)
from textmill.web.warc_reading import ArchiveRecord, LostStretch, cut_archive, read_archive

BODIES = [b"one " * 30, b"", b"three\r\n\r\nWARC three", b"x" * 5000, b"five\n\n"]
RECORDS = [
    warc(b"software: test\r\n", "warcinfo", url="", content_type="application/warc-fields"),
    *(warc(http(body), url=f"http://example.com/{number}") for number, body in enumerate(BODIES)),
    warc(b"GET / HTTP/1.1\r\n\r\n", "request"),
    warc(b"A text of a page.", "conversion", version="1.1"),
    warc(http(b"", "304 Not Modified"), "revisit", WARC_Refers_To_Target_URI="http://example.com/0"),
]


def read(
    data: bytes, start: int = 0, end: int | None = None, max_content: int = 2**26
) -> list[ArchiveRecord | LostStretch]:
    return list(read_archive(io.BytesIO(data), start, end, max_content))


def good(data: bytes) -> list[tuple[str, str, bytes]]:
    return [(one.kind, one.url, one.content) for one in read(data) if isinstance(one, ArchiveRecord)]


def lost(data: bytes) -> list[LostStretch]:
    return [one for one in read(data) if isinstance(one, LostStretch)]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_gives_the_same_records(layout: str) -> None:
    data = LAYOUTS[layout](RECORDS)
    assert good(data) == good(plain(RECORDS))
    assert [content for _, _, content in good(data)][1:6] == [http(body) for body in BODIES]
    assert lost(data) == []
    places = [str(one.position) for one in read(data)]
    assert len(set(places)) == len(places)


@pytest.mark.parametrize("size", range(1, 130))
def test_members_that_begin_anywhere(size: int) -> None:
    for records in (RECORDS[:4], [arc_head(), *(arc(http(body)) for body in BODIES)]):
        data = blocks(records, size)
        assert good(data) == good(plain(records))
        assert lost(data) == []


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("version", [1, 2])
def test_arc(layout: str, version: int) -> None:
    records = [
        arc_head(version),
        *(arc(http(body), f"http://example.com/a b/{len(body)}", version) for body in BODIES),
    ]
    found = read(LAYOUTS[layout](records))
    assert [one.content for one in found if isinstance(one, ArchiveRecord)][1:] == [
        http(body) for body in BODIES
    ]
    assert isinstance(found[0], ArchiveRecord)
    assert found[0].kind == "warcinfo"
    page = found[1]
    assert isinstance(page, ArchiveRecord)
    assert (page.kind, page.url, page.date) == (
        "response",
        "http://example.com/a b/120",
        "2024-05-06T07:08:09Z",
    )
    assert page.headers["content-type"] == "text/html"


def test_what_a_record_says() -> None:
    record = warc(b"x", url="<http://example.com/>", WARC_Payload_Digest="sha1:ABC")
    (found,) = read(record.replace(b"\r\n", b"\n"))
    assert isinstance(found, ArchiveRecord)
    assert (found.kind, found.url, found.date, found.size) == (
        "response",
        "http://example.com/",
        "2024-05-06T07:08:09Z",
        1,
    )
    assert found.headers["warc-payload-digest"] == "sha1:ABC"


@pytest.mark.parametrize("layout", LAYOUTS)
def test_long_blocks_are_cut(layout: str) -> None:
    data = LAYOUTS[layout]([warc(b"y" * 3_000_000), warc(b"z")])
    first, second = read(data, max_content=1000)
    assert isinstance(first, ArchiveRecord)
    assert isinstance(second, ArchiveRecord)
    assert (first.content, first.size, second.content) == (b"y" * 1000, 3_000_000, b"z")


@given(
    st.lists(st.binary(max_size=200), min_size=1, max_size=12),
    st.sampled_from((per_record, plain)),
    st.integers(1, 500),
)
def test_cuts_give_each_record_to_one_part(bodies: list[bytes], layout: object, span: int) -> None:
    assert callable(layout)
    data = layout([warc(body, url=f"http://example.com/{number}") for number, body in enumerate(bodies)])
    cuts = cut_archive(io.BytesIO(data), len(data), span)
    parts = [read(data, start, end) for start, end in pairwise([*cuts, None]) if start is not None]
    assert [one for part in parts for one in part] == read(data)
    assert cuts == sorted(set(cuts))
    assert (
        len(cuts) == 1
        or max(right - left for left, right in pairwise(cuts)) <= span + max(map(len, bodies)) + 400
    )


@pytest.mark.parametrize("layout", [whole, zstd_per_record])
def test_what_cannot_be_cut_is_not(layout: object) -> None:
    assert callable(layout)
    assert cut_archive(io.BytesIO(data := layout(RECORDS)), len(data), 10) == [0]


def test_a_cut_inside_a_record_is_told() -> None:
    inner = per_record([warc(b"inner", url="http://inner.example/")])
    outer = gzip.compress(warc(inner * 3), compresslevel=0, mtime=0)
    data = outer + per_record(RECORDS)
    inside = data.index(inner, 1)
    assert cut_archive(io.BytesIO(data), len(data), 50)[1] == inside
    before = read(data, 0, inside)
    assert [type(one) for one in before] == [ArchiveRecord, LostStretch]
    assert isinstance(before[1], LostStretch)
    assert "cut" in before[1].reason


# Damage.


@pytest.mark.parametrize("number", range(len(RECORDS)))
def test_a_damaged_member_loses_its_record_alone(number: int) -> None:
    members = [gzip.compress(record, mtime=0) for record in RECORDS]
    broken = bytearray(members[number])
    broken[len(broken) // 2] ^= 0xFF
    found = read(b"".join((*members[:number], bytes(broken), *members[number + 1 :])))
    assert [isinstance(one, LostStretch) for one in found] == [
        place == number for place in range(len(RECORDS))
    ]
    stretch = found[number]
    assert isinstance(stretch, LostStretch)
    assert stretch.position.member == sum(map(len, members[:number]))
    assert stretch.resumes == sum(map(len, members[: number + 1]))
    assert "damaged gzip" in stretch.reason or "ends inside" in stretch.reason


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_truncation_is_told(layout: str) -> None:
    data = LAYOUTS[layout](RECORDS)
    all_good = good(data)
    for size in range(1, len(data), 37):
        found = read(data[:size])
        kept = [one for one in found if isinstance(one, ArchiveRecord)]
        assert [(one.kind, one.url, one.content) for one in kept] == all_good[: len(kept)]
        missing = len(found) - len(kept)
        # Of members that begin anywhere, the record that was being read and the member that broke are two stretches.
        assert missing == 0 if size in _ends(layout) else 1 <= missing <= 1 + (layout == "blocks"), size


def _ends(layout: str) -> set[int]:
    """Sizes at which a file may end without anything missing."""
    ends: set[int] = set()
    if layout in ("per record", "zstd per record"):
        at = 0
        for record in RECORDS:
            at += len(LAYOUTS[layout]([record]))
            ends.add(at)
    if layout == "plain":
        at = 0
        for record in RECORDS:
            at += len(record)
            ends |= {at, at - 1, at - 2, at - 3, at - 4}
    return ends


def test_a_length_that_lies_loses_its_record_alone() -> None:
    for length in (5, 100_000, "many", "", "-1", "9" * 400):
        lie = warc(http(b"lie"), url="http://lie.example/", length=length)
        for layout in (per_record, plain, whole):
            data = layout([RECORDS[1], lie, *RECORDS[2:]])
            assert good(data) == good(plain([RECORDS[1], *RECORDS[2:]])), (length, layout)
            (stretch,) = lost(data)
            assert stretch.url == "http://lie.example/"
            assert "length" in stretch.reason.lower()


def test_a_length_that_lies_in_an_arc_file() -> None:
    lie = arc(http(b"lie"), "http://lie.example/", length=100_000)
    for layout in (per_record, plain, whole):
        data = layout([arc_head(), lie, arc(http(b"truth"))])
        assert [content for _, _, content in good(data)][1:] == [http(b"truth")]
        assert [stretch.url for stretch in lost(data)] == ["http://lie.example/"]


def test_junk_between_records() -> None:
    for layout in (per_record, plain, whole):
        data = layout([RECORDS[1], b"junk\r\n\r\nmore junk\r\n", *RECORDS[2:]])
        assert good(data) == good(plain(RECORDS[1:]) if layout is per_record else plain(RECORDS[2:]))
        assert len(lost(data)) == 1


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\r\n\r\n",
        b"\x1f\x8b",
        b"\x1f\x8b\x08\x00",
        b"WARC/1.0",
        b"WARC/1.0\r\n\r\n",
        b"junk",
        b"\x28\xb5\x2f\xfd",
        b"\0" * 50,
    ],
)
def test_what_is_no_archive(data: bytes) -> None:
    assert good(data) == []
    assert len(lost(data)) == (1 if data.strip() else 0)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_junk_in_front_of_the_first_record(layout: str) -> None:
    data = b"junk\n" + LAYOUTS[layout](RECORDS)
    assert good(data) == good(plain(RECORDS))
    assert len(lost(data)) == 1


def test_zeros_and_blank_lines_between_members() -> None:
    data = b"".join(gzip.compress(record, mtime=0) + b"\0" * 40 for record in RECORDS)
    assert good(data) == good(plain(RECORDS))
    assert lost(data) == []


def test_a_bomb_is_read_past() -> None:
    bomb = gzip.compress(warc(b"\0" * 50_000_000), mtime=0)
    found = read(bomb + RECORDS_PACKED, max_content=1000)
    assert isinstance(found[0], ArchiveRecord)
    assert (len(found[0].content), found[0].size) == (1000, 50_000_000)
    assert len(found) == len(RECORDS) + 1


RECORDS_PACKED = per_record(RECORDS)


# The field's readers.


def with_warcio(path: Path) -> list[tuple[str, str, bytes]]:
    with path.open("rb") as stream:
        found = []
        for record in ArchiveIterator(stream, no_record_parse=True):
            url = (
                record.rec_headers.get_header("WARC-Target-URI") or record.rec_headers.get_header("uri") or ""
            )
            found.append((record.rec_type, url, record.raw_stream.read()))
        return found


@pytest.mark.parametrize("name", ["example.warc.gz", "example.arc.gz"])
def test_agrees_with_warcio(name: str) -> None:
    path = development_data("warc") / name
    found = read(path.read_bytes())
    assert not [one for one in found if isinstance(one, LostStretch)]
    ours = [(one.kind, one.url, one.content) for one in found if isinstance(one, ArchiveRecord)]
    theirs = with_warcio(path)
    assert [one[1] for one in ours] == [one[1] for one in theirs]
    # Of an ARC file's first record it takes the first two lines for a header.
    assert [one[2] for one in ours][1:] == [one[2] for one in theirs][1:]


def test_agrees_with_fastwarc() -> None:
    data = (development_data("warc") / "example.warc.gz").read_bytes()
    found = [one for one in read(data) if isinstance(one, ArchiveRecord)]
    theirs = [
        (dict(record.headers)["WARC-Record-ID"], record.reader.read())
        for record in FastArchiveIterator(io.BytesIO(data), parse_http=False)
    ]
    assert [(one.headers["warc-record-id"], one.content) for one in found] == theirs


def test_real_archives_are_cut_anywhere() -> None:
    data = (development_data("warc") / "example.warc.gz").read_bytes()
    cuts = cut_archive(io.BytesIO(data), len(data), 200_000)
    assert len(cuts) > 8
    parts = [read(data, start, end) for start, end in pairwise([*cuts, None]) if start is not None]
    assert [one for part in parts for one in part] == read(data)


# Mutations: whatever happens to the bytes, reading ends, and whole records around the damage are read.


mutations = st.lists(
    st.tuples(
        st.sampled_from(("flip", "cut", "insert", "copy")), st.integers(0, 10**6), st.integers(0, 10**6)
    ),
    min_size=1,
    max_size=4,
)


def mutate(data: bytes, changes: list[tuple[str, int, int]]) -> bytes:
    for kind, one, other in changes:
        if not data:
            break
        at, to = sorted((one % len(data), other % len(data)))
        if kind == "flip":
            data = data[:at] + bytes([data[at] ^ (1 + other % 255)]) + data[at + 1 :]
        elif kind == "cut":
            data = data[:at] + data[to:]
        elif kind == "insert":
            data = data[:at] + bytes([other % 256]) * (other % 50) + data[at:]
        else:
            data = data[:at] + data[at:to] + data[at:]
    return data


@settings(max_examples=150)
@given(st.sampled_from(sorted(LAYOUTS)), mutations)
@example("per record", [("cut", 0, 5)])
def test_mutated_archives_are_read_to_their_end(layout: str, changes: list[tuple[str, int, int]]) -> None:
    data = mutate(LAYOUTS[layout](RECORDS), changes)
    found = read(data)
    assert len({str(one.position) for one in found}) == len(found)
    if len(found) < len(RECORDS) - 1 and layout != "zstd whole" and data:
        # Nothing disappears without a word, unless whole records were cut out.
        assert any(isinstance(one, LostStretch) for one in found) or any(
            kind == "cut" for kind, *_ in changes
        )


@given(st.binary(max_size=400))
def test_any_bytes(data: bytes) -> None:
    for prefix in (
        b"",
        b"WARC/1.0\r\n",
        b"\x1f\x8b\x08\x00",
        b"http://a/ 1.2.3.4 20240506070809 text/html 5\n",
    ):
        read(prefix + data)
