"""Pages of web archives: what is a document, what is dropped, what failed, and why."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.development_data import development_data
from tests.web.archives import LAYOUTS, PAGE, arc, arc_head, chunked, http, per_record, warc

import textmill
from textmill.documents import Document, Dropped, Failure
from textmill.errors import UserError
from textmill.sources import Warc
from textmill.steps import StepContext

Record = Document | Failure | Dropped
KOREAN = "<p>모든 인간은 태어날 때부터 자유로우며 그 존엄과 권리에 있어 동등하다."


def read(source: Warc, split_bytes: int = 2**27) -> list[Record]:
    reader = source.open(StepContext())
    return [record for split in source.plan(split_bytes) for record in reader.read(split)]


def one(tmp_path: Path, record: bytes, **settings: Any) -> Record:
    (tmp_path / "a.warc.gz").write_bytes(per_record([record]))
    (found,) = read(Warc(paths=str(tmp_path), **settings))
    return found


def test_a_page(tmp_path: Path) -> None:
    body = "<html lang=fr><p>Déjà vu</p>".encode("cp1252")
    block = http(body, content_type="text/html; charset=ISO-8859-1", Content_Language="fr, en")
    found = one(tmp_path, warc(block, url="HTTP://Example.com:80/a/../b", WARC_Payload_Digest="sha1:X"))
    assert isinstance(found, Document)
    assert (found.locator, found.url) == ("a.warc.gz:0", "http://example.com/b")
    assert found.text == "<html lang=fr><p>Déjà vu</p>"
    assert json.loads(found.metadata or "") == {
        "date": "2024-05-06T07:08:09Z",
        "status": 200,
        "media_type": "text/html",
        "charset": "windows-1252",
        "charset_by": "header",
        "language": "fr",
        "digest": "sha1:X",
        "record_id": "urn:uuid:1",
    }


@pytest.mark.parametrize(
    ("record", "rule", "label"),
    [
        (warc(b"GET / HTTP/1.1\r\n\r\n", "request"), "record_type", "request"),
        (warc(b"x: y\r\n", "metadata"), "record_type", "metadata"),
        (warc(b"x: y\r\n", "warcinfo", url=""), "record_type", "warcinfo"),
        (warc(http(b"", "304 Not Modified"), "revisit"), "record_type", "revisit"),
        (warc(http(b"moved", "301 Moved", Location="/b")), "status", "301"),
        (warc(http(b"x", "odd")), "status", "none"),
        (warc(http(b"GIF89a", content_type="image/gif")), "media_type", "image/gif"),
        (warc(http(b"GIF89a", content_type="")), "media_type", "image/gif"),
        (warc(b"1.2.3.4", url="dns:example.com", content_type="text/dns"), "media_type", "text/dns"),
        (warc(b"{}", "resource", content_type="application/json"), "media_type", "application/json"),
    ],
)
def test_what_is_no_page_is_dropped_by_a_rule(tmp_path: Path, record: bytes, rule: str, label: str) -> None:
    found = one(tmp_path, record)
    assert isinstance(found, Dropped)
    assert (found.rule, found.label) == (rule, label)


def test_settings_say_what_is_a_page(tmp_path: Path) -> None:
    record = warc(http(b"<feed>", "404 Not Found", content_type="text/xml"))
    assert isinstance(one(tmp_path, record), Dropped)
    found = one(tmp_path, record, statuses=[200, 404], media_types=["text/*"])
    assert isinstance(found, Document)
    assert found.text == "<feed>"
    with pytest.raises(ValueError, match="no media type"):
        Warc(paths="x", media_types=["html"])


@pytest.mark.parametrize(
    ("record", "text"),
    [
        (warc(b"Ein Text.\nNoch einer.", "conversion", version="1.1"), "Ein Text.\nNoch einer."),
        (warc(PAGE, "resource", content_type="text/html"), PAGE.decode()),
        (
            warc(http(chunked(gzip.compress(PAGE)), Transfer_Encoding="chunked", Content_Encoding="gzip")),
            PAGE.decode(),
        ),
        (warc(http(PAGE, content_type="")), PAGE.decode()),
        (warc(http(b"")), ""),
        (
            warc(http("<p>모든 인간은 태어날 때부터 자유로우며".encode("cp949"))),
            "<p>모든 인간은 태어날 때부터 자유로우며",
        ),
    ],
)
def test_what_is_a_page(tmp_path: Path, record: bytes, text: str) -> None:
    found = one(tmp_path, record)
    assert isinstance(found, Document)
    assert found.text == text


BAD = {
    "truncated": (per_record([warc(http())])[:-20], "the file ends inside it"),
    "damaged": (per_record([warc(http())])[:60] + b"\xff" * 60, "damaged gzip data"),
    "empty": (b"", "holds no record"),
    "no archive": (b"<html>This is no archive.\n</html>\n", "no record header"),
    "length too long": (warc(http(), length=10_000), "10,000 bytes, and the archive breaks off"),
    "length too short": (warc(http(), length=70), "no record ends there"),
    "no length": (warc(http(), length="lots"), "no Content-Length that is a number"),
    "no http": (per_record([warc(b"<html>")]), "no HTTP response"),
    "endless head": (
        per_record([warc(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 60_000)]),
        "head that does not end",
    ),
    "broken chunks": (
        per_record([warc(http(b"5\r\nabcde\r\nzz", Transfer_Encoding="chunked"))]),
        "chunked body",
    ),
    "gzip cut": (per_record([warc(http(gzip.compress(PAGE)[:-9], Content_Encoding="gzip"))]), "breaks off"),
    "gzip bomb": (
        per_record([warc(http(gzip.compress(bytes(2**26)), Content_Encoding="gzip"))]),
        "unpacks to more",
    ),
    "unknown coding": (per_record([warc(http(b"x", Content_Encoding="rot13"))]), "nobody here undoes"),
    "mislabelled": (
        per_record([warc(http(b"%PDF-1.4 ..."))]),
        "labelled text/html, but the body is application/pdf",
    ),
    "binary": (per_record([warc(http(bytes(range(256)) * 9))]), "no text"),
    "one line": (per_record([warc(http(b"<p>" + b"a" * 2_000_000))]), "longer than max_document_bytes"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_a_failure_with_its_reason(tmp_path: Path, name: str) -> None:
    data, reason = BAD[name]
    (tmp_path / "a.warc").write_bytes(data)
    (found,) = read(Warc(paths=str(tmp_path), max_document_bytes=2**20))
    assert isinstance(found, Failure)
    assert reason in found.reason
    assert found.rule in ("damaged", "body", "no_text", "too_long")


@pytest.mark.slow
def test_a_hundred_megabytes_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "a.warc.gz").write_bytes(per_record([warc(http(b"<p>" + b"a" * 10**8)), warc(http())]))
    found = read(Warc(paths=str(tmp_path)))
    assert [type(record) for record in found] == [Failure, Document]
    found = read(Warc(paths=str(tmp_path), max_document_bytes=2**27))
    assert isinstance(found[0], Document)
    assert len(found[0].text) == 10**8 + 3


def test_nul_and_invalid_bytes_are_counted(tmp_path: Path) -> None:
    body = b"<p>" + "é".encode() * 20 + b"\0\xff</p>"
    found = one(tmp_path, warc(http(body, content_type="text/html; charset=utf-8")))
    assert isinstance(found, Document)
    assert found.text == "<p>" + "é" * 20 + "\ufffd</p>"
    metadata = json.loads(found.metadata or "")
    assert (metadata["replaced_characters"], metadata["nul_characters"]) == (1, 1)


def test_a_body_shorter_than_its_server_said_is_marked(tmp_path: Path) -> None:
    found = one(tmp_path, warc(http(PAGE, Content_Length=str(len(PAGE) + 7))))
    assert isinstance(found, Document)
    assert json.loads(found.metadata or "")["missing_bytes"] == 7


def test_files_in_folders_globs_and_by_any_name(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "b.arc").write_bytes(arc_head() + arc(http()))
    (tmp_path / "a.warc.wet.gz").write_bytes(per_record([warc(b"Text.", "conversion")]))
    (tmp_path / "notes.txt").write_text("not read")
    (tmp_path / "c.bin").write_bytes(warc(http()))
    locators = [record.locator for record in read(Warc(paths=str(tmp_path)))]
    assert locators == ["a.warc.wet.gz:0", "deep/b.arc:0", f"deep/b.arc:{len(arc_head())}"]
    assert [record.locator for record in read(Warc(paths=str(tmp_path / "c.bin")))] == ["c.bin:0"]
    assert len(read(Warc(paths=str(tmp_path / "**" / "*.arc")))) == 2
    with pytest.raises(UserError, match="not found"):
        Warc(paths=str(tmp_path / "nowhere.warc.gz")).plan(1)


def test_archives_behind_a_url(tmp_path: Path) -> None:
    import fsspec

    data = per_record([warc(http(PAGE), url=f"http://a/{number}") for number in range(3)])
    with fsspec.open("memory://crawl/a.warc.gz", "wb") as file:
        file.write(data)
    (tmp_path / "a.warc.gz").write_bytes(data)
    assert read(Warc(paths="memory://crawl/*.warc.gz")) == read(Warc(paths=str(tmp_path)))


@settings(max_examples=20)
@example(sizes=[27, 0], layout="blocks")  # a member ends inside "WARC/"
@given(st.lists(st.integers(0, 3000), min_size=1, max_size=40), st.sampled_from(sorted(LAYOUTS)))
def test_splits_change_nothing(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], layout: str
) -> None:
    folder = tmp_path_factory.mktemp("archive")
    records = [
        warc(http(b"%d " % number * size), url=f"http://a/{number}") for number, size in enumerate(sizes)
    ]
    (folder / "a.warc.gz").write_bytes(LAYOUTS[layout](records))
    source = Warc(paths=str(folder))
    assert read(source, 1) == read(source)
    assert all(isinstance(record, Document) for record in read(source))
    assert len({record.locator for record in read(source)}) == len(sizes)


def test_a_run_accounts_for_every_record(tmp_path: Path) -> None:
    records = [warc(http(PAGE + b" %d" % number), url=f"http://example.com/{number}") for number in range(5)]
    records += [warc(b"GET / HTTP/1.1\r\n\r\n", "request"), warc(http(b"GIF89a", content_type="image/gif"))]
    records += [
        warc(http(b"zz", Transfer_Encoding="chunked")),
        warc(http(b"%PDF-1.4", content_type="text/html")),
    ]
    (tmp_path / "a.warc.gz").write_bytes(per_record(records) + b"\x1f\x8b\x08")
    recipe = tmp_path / "pages.yaml"
    recipe.write_text("name: pages\nsources:\n  - warc: a.warc.gz\nrun: {engine: inline}\n")
    run = textmill.run(recipe, tmp_path / "run")
    step = run.status()["steps"][0]
    assert (step["in"], step["kept"], step["dropped"], step["failed"]) == (10, 6, 2, 2)
    (story,) = run.why("http://example.com/3")
    assert story["outcome"] == "kept"
    dropped = run.query("SELECT rule, label FROM events WHERE action = 'dropped' ORDER BY rule").fetchall()
    assert dropped == [("media_type", "image/gif"), ("record_type", "request")]


@pytest.mark.parametrize(("name", "pages"), [("example.warc.gz", 130), ("example.arc.gz", 130)])
def test_real_archives(name: str, pages: int) -> None:
    found = read(Warc(paths=str(development_data("warc") / name)), 2**19)
    kinds = [type(record) for record in found]
    assert kinds.count(Document) == pages
    assert kinds.count(Failure) == 0
    assert kinds.count(Dropped) == len(found) - pages
