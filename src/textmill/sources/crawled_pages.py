"""Reads a sealed crawl: pages as the source ``warc`` reads them, and what became of every other address.

The account of the crawl says where each page stands, so that a page which has not changed since an earlier crawl is
read where that crawl has put it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import pyarrow.compute as pc
import pyarrow.parquet as pq

from textmill.crawl.archive import FOLDER
from textmill.crawl.outcomes import explained
from textmill.crawl.sealing import ACCOUNT_FILE, Sealed
from textmill.documents import Document, Dropped, Failure
from textmill.sources.warc import Warc
from textmill.sources.warc_pages import page_of_record
from textmill.steps.source import Split
from textmill.web.charset import charset_of_page
from textmill.web.warc_reading import read_archive

if TYPE_CHECKING:
    from textmill.sources.crawl import Crawl

_UNPACKED = 4  # bytes of text per compressed byte, about
_HEAD_BYTES = 2**18  # room for an HTTP head beside the longest page
_COLUMNS = ["url", "outcome", "reason", "detail", "digest", "file", "offset", "length", "refers"]


def plan_crawled(sealed: Sealed, split_bytes: int) -> list[Split]:
    """Splits of a sealed crawl: stretches of its files of pages, then everything else.

    A page belongs to the stretch in which its record begins. A file that has not changed since the last run keeps its
    splits.

    Args:
        sealed: the crawl.
        split_bytes: bytes of text in a split, about.
    """
    span = max(2**16, split_bytes // _UNPACKED)
    splits = []
    for file in sealed.pages():
        for start in range(0, file["bytes"], span):
            end = min(start + span, file["bytes"])
            work = {"file": file["name"], "start": start, "end": end}
            splits.append(Split(work, file["sha256"], (end - start) * _UNPACKED))
    others = sealed.account["rows"] - sealed.totals["archived"]
    # The kernel that looks for declared encodings is compiled here, once, and not by every worker for itself.
    charset_of_page(b"<meta charset=utf-8>")
    return [*splits, Split({"others": True}, sealed.digest, others * 100)]


class CrawledReader:
    """Reads the splits of a sealed crawl; holds one page at a time."""

    def __init__(self, settings: Crawl) -> None:
        assert settings.folder is not None
        self._folder = Path(settings.folder)
        # What was archived was asked for: type and status were judged by the crawl.
        self._warc = Warc(
            paths=str(self._folder / FOLDER),
            media_types=["*/*"],
            max_document_bytes=settings.max_document_bytes,
        )

    def read(self, split: Split) -> Iterator[Document | Failure | Dropped]:
        """Pages in the order of their file; or the other addresses in the order in which they were found."""
        return self._others() if "others" in split.work else self._pages(split.work)

    def _pages(self, work: dict[str, Any]) -> Iterator[Document | Failure | Dropped]:
        wanted = (
            (pc.field("file") == work["file"])
            & (pc.field("offset") >= work["start"])
            & (pc.field("offset") < work["end"])
            & (pc.field("outcome") == "archived")
        )
        rows = pq.read_table(self._folder / ACCOUNT_FILE, columns=_COLUMNS, filters=wanted)
        with (self._folder / FOLDER / work["file"]).open("rb") as stream:
            for row in rows.sort_by("offset").to_pylist():
                if row["refers"] is None:
                    yield self._page(row, stream, row["offset"])
                    continue
                folder, file, offset, _ = json.loads(row["refers"])
                try:
                    with (Path(folder) / FOLDER / file).open("rb") as earlier:
                        yield self._page(row, earlier, offset)
                except OSError as error:
                    locator = f"{row['url']} {row['digest']}"
                    yield Failure(locator, f"the earlier crawl's copy cannot be read: {error}", row["url"])

    def _page(self, row: dict[str, Any], stream: BinaryIO, offset: int) -> Document | Failure | Dropped:
        locator = f"{row['url']} {row['digest']}"
        limit = self._warc.max_document_bytes + _HEAD_BYTES
        for record in read_archive(stream, offset, offset + 1, limit):
            return page_of_record(record, locator, self._warc)
        return Failure(locator, f"the archive holds no record at byte {offset:,}", row["url"])

    def _others(self) -> Iterator[Failure | Dropped]:
        account = pq.ParquetFile(self._folder / ACCOUNT_FILE)
        for batch in account.iter_batches(8192, columns=["url", "outcome", "reason", "detail", "kind"]):
            for row in batch.to_pylist():
                if row["kind"] != "page" or row["outcome"] in ("archived", "left"):
                    continue
                url, outcome, why = row["url"], row["outcome"], explained(row["reason"], row["detail"])
                if outcome == "failed":
                    yield Failure(url, why, url, row["reason"])
                else:
                    yield Dropped(url, row["reason"], outcome, url, why)
