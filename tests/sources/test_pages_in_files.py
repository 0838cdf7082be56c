"""HTML files, raw pages and documents ended by a line: read, cut, and written again by export."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import textmill
from textmill.documents import Batch, Document, Failure
from textmill.export.formats import open_writer
from textmill.sources import Files
from textmill.steps import StepContext

Record = Document | Failure


def read(path: Path, split_bytes: int = 2**20, **values: object) -> list[Record]:
    source = Files(paths=str(path), **values)
    reader = source.open(StepContext(scratch=path.parent))
    records = [record for split in source.plan(split_bytes) for record in reader.read(split)]
    assert all(isinstance(record, Record) for record in records)
    return records  # type: ignore[return-value]


def texts(records: list[Record]) -> list[str]:
    return [record.text if isinstance(record, Document) else f"FAILED {record.reason}" for record in records]


def test_html_files_are_decoded_by_what_they_declare(tmp_path: Path) -> None:
    korean = "<meta charset=euc-kr><p>모든 인간은 태어날 때부터 자유로우며"
    (tmp_path / "a.html").write_bytes(korean.encode("cp949"))
    (tmp_path / "b.htm.gz").write_bytes(gzip.compress(b"<p>\xef\xbb\xbfcaf\xc3\xa9"))
    (tmp_path / "c.xhtml").write_bytes(b"\xef\xbb\xbf<p>x\0y")
    (tmp_path / "d.html").write_bytes(b"%PDF-1.4 ...")
    (tmp_path / "e.html").write_bytes(b"")
    (tmp_path / "f.html").write_bytes(bytes(range(256)) * 4)
    found = {record.locator: record for record in read(tmp_path)}
    assert list(found) == ["a.html", "b.htm.gz", "c.xhtml", "d.html", "e.html", "f.html"]
    page = found["a.html"]
    assert isinstance(page, Document)
    assert page.text == korean
    assert json.loads(page.metadata or "") == {"charset": "euc-kr", "charset_by": "meta"}
    shown = texts(list(found.values()))
    assert shown[1:3] == ["<p>\ufeffcafé", "<p>xy"]
    assert shown[3] == "FAILED labelled text/html, but the body is application/pdf"
    assert shown[4] == ""
    assert shown[5].startswith("FAILED no text: ")


def test_a_long_page_is_a_failure(tmp_path: Path) -> None:
    (tmp_path / "a.html").write_bytes(b"<p>" + b"x" * 2000)
    assert "longer than max_document_bytes" in texts(read(tmp_path, max_document_bytes=1000))[0]


RAW = "URL: HTTP://Example.com/a b\n<html>\n<p>One\n\n  \n</html>\n---ENDDOC---\nURL: x\n---ENDDOC---\n"


def test_raw_pages(tmp_path: Path) -> None:
    path = tmp_path / "pages.txt"
    path.write_text(RAW)
    one, two = read(path, format="raw_pages")
    assert one == Document("pages.txt:1", "<html>\n<p>One\n\n  \n</html>", "http://example.com/a%20b")
    assert two == Document("pages.txt:8", "", "x")
    path.write_bytes(RAW.replace("\n", "\r\n").encode())
    assert texts(read(path, format="raw_pages")) == ["<html>\r\n<p>One\r\n\r\n  \r\n</html>", ""]
    path.write_text("no address\n---ENDDOC---\n" + RAW)
    assert texts(read(path, format="raw_pages"))[0].startswith("FAILED a raw page begins with a line 'URL:'")


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (b"one\n\ntwo\n---ENDDOC---\n", ["one\n\ntwo"]),
        (b"---ENDDOC---\n---ENDDOC---", ["", ""]),
        (b"a ---ENDDOC---\n ---ENDDOC---\n---ENDDOC---\n", ["a ---ENDDOC---\n ---ENDDOC---"]),
        (b"a\n---ENDDOC---\n\n \n", ["a"]),
        (
            b"a\n---ENDDOC---\nb\n",
            ["a", "FAILED the file ends inside a document: no line ---ENDDOC--- after line 3"],
        ),
        (
            b"a\xff\n---ENDDOC---\nb\n---ENDDOC---\n",
            ["FAILED no valid utf-8 at byte 1 (0xff): invalid start byte", "b"],
        ),
        (b"", ["FAILED the file is empty"]),
    ],
)
def test_documents_ended_by_a_line(tmp_path: Path, data: bytes, found: list[str]) -> None:
    path = tmp_path / "documents.txt"
    path.write_bytes(data)
    assert texts(read(path, format="enddoc")) == found


def test_long_documents_and_wide_encodings(tmp_path: Path) -> None:
    path = tmp_path / "documents.txt"
    path.write_text("x\n" * 5000 + "---ENDDOC---\nshort\n---ENDDOC---\n")
    long, short = texts(read(path, format="enddoc", max_document_bytes=1000))
    assert "longer than max_document_bytes" in long
    assert short == "short"
    path.write_bytes("é\n---ENDDOC---\nß\n---ENDDOC---\n".encode("utf-16"))
    assert texts(read(path, format="enddoc")) == ["é", "ß"]
    path.write_bytes(gzip.compress(b"a\n---ENDDOC---\nb" * 100)[:-9])
    assert texts(read(path.rename(tmp_path / "d.txt.gz"), format="enddoc"))[-1].startswith("FAILED")


lines = st.sampled_from(
    ("", "a", "---ENDDOC---", " ---ENDDOC---", "---ENDDOC--- ", "URL: x", "é" * 30, "x\r", "\r")
)
documents = st.lists(st.lists(lines, max_size=6).map("\n".join), max_size=8)


@settings(max_examples=60)
@given(documents, st.sampled_from(("enddoc", "raw_pages")), st.integers(1, 200))
@example(["---ENDDOC---\r", "a\n"], "enddoc", 1)
def test_what_is_written_is_read_again(
    tmp_path_factory: pytest.TempPathFactory, written: list[str], form: str, split_bytes: int
) -> None:
    path = tmp_path_factory.mktemp("written") / "corpus.txt"
    writer = open_writer(path, form)
    batch = Batch.from_documents(
        "s", [Document(str(n), text, f"http://a/{n}") for n, text in enumerate(written)]
    )
    writer.write(batch)
    writer.close()
    if not written:
        return
    kept = [
        "\n".join(
            " " + line if line.removesuffix("\r") == "---ENDDOC---" else line for line in text.split("\n")
        )
        for text in written
    ]
    # A carriage return at a text's very end goes with the newline, as in files that Windows wrote.
    kept = [text.removesuffix("\r") for text in kept]
    found = read(path, split_bytes, format=form)
    assert texts(found) == kept
    assert [record.locator for record in found] == [record.locator for record in read(path, format=form)]
    if form == "raw_pages":
        assert [record.url for record in found] == [f"http://a/{n}" for n in range(len(written))]
    assert writer.folded == sum(text != other for text, other in zip(
        (text.removesuffix("\r") for text in written), kept, strict=True
    ))  # fmt: skip


def test_a_run_exports_raw_pages(tmp_path: Path) -> None:
    (tmp_path / "pages.txt").write_text(RAW)
    recipe = tmp_path / "r.yaml"
    recipe.write_text(
        "name: r\nsources:\n  - files: {paths: pages.txt, format: raw_pages}\nrun: {engine: inline}\n"
    )
    run = textmill.run(recipe, tmp_path / "run")
    from textmill.export import export_corpus

    done = export_corpus(run.workspace, tmp_path / "again.txt", "raw_pages")
    assert done.documents == 2
    pages = (tmp_path / "again.txt").read_text().split("---ENDDOC---\n")
    assert sorted(pages) == [
        "",
        "URL: http://example.com/a%20b\n<html>\n<p>One\n\n  \n</html>\n",
        "URL: x\n\n",
    ]
