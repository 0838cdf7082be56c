"""Crawled again: what has not changed is a revisit record, and reads as the page that it was."""

from __future__ import annotations

from pathlib import Path

import pytest
from warcio.archiveiterator import ArchiveIterator

from tests.crawl.crawls import account, crawled
from tests.crawl.server import Request, Site, page
from textmill.documents import Document
from textmill.errors import UserError
from textmill.sources.crawl import Crawl
from textmill.steps import StepContext


def test_unchanged_pages_are_revisits(tmp_path: Path) -> None:
    def by_tag(request: Request) -> object:
        if request.headers.get("if-none-match") == '"one"':
            return 304, {"ETag": '"one"', "Content-Length": ""}, b""
        return 200, {"ETag": '"one"'}, page("dated", "same", "new")

    def by_date(request: Request) -> object:
        date = "Sat, 28 Nov 2026 10:00:00 GMT"
        if request.headers.get("if-modified-since") == date:
            return 304, {"Content-Length": ""}, b""
        return 200, {"Last-Modified": date}, page(text="dated")

    pages = {"/": by_tag, "/dated": by_date, "/same": page(text="same"), "/new": page(text="old words")}
    with Site(pages) as site:
        crawled(tmp_path / "1", site.url())
        site.pages["/new"] = page(text="new words")
        second = crawled(tmp_path / "2", site.url(), previous=str(tmp_path / "1"))
        third = crawled(tmp_path / "3", site.url(), previous=str(tmp_path / "2"))
    for sealed, reason in ((second, "page"), (third, "unchanged")):
        assert {url.rpartition("/")[2]: reason for url, (_, reason) in account(sealed).items()} == {
            "": "unchanged",
            "dated": "unchanged",
            "same": "unchanged",
            "new": reason,
        }
    with (tmp_path / "2" / "warc" / "pages-00000.warc.gz").open("rb") as stream:
        revisits = [record.rec_headers for record in ArchiveIterator(stream) if record.rec_type == "revisit"]
    assert len(revisits) == 3
    profiles = {headers["WARC-Target-URI"]: headers["WARC-Profile"] for headers in revisits}
    assert profiles[site.url()].endswith("/server-not-modified")
    assert profiles[site.url("/same")].endswith("/identical-payload-digest")
    assert texts(tmp_path / "3") == texts(tmp_path / "2")
    assert sum("new words" in text for text in texts(tmp_path / "3").values()) == 1


def texts(folder: Path) -> dict[str, str]:
    source = Crawl(folder=str(folder))
    found = {}
    for split in source.plan(2**20):
        for record in source.open(StepContext()).read(split):
            assert isinstance(record, Document)
            found[record.locator] = record.text
    return found


def test_the_earlier_crawl_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="earlier crawl"):
        crawled(tmp_path / "2", "http://127.0.0.1:9/", previous=str(tmp_path / "none"))
