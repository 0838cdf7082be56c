"""Reads a sealed crawl: pages as documents, and every other address that was tried as a failure."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow.compute as pc
import pyarrow.parquet as pq

from textmill.crawl.answers import headers_of
from textmill.crawl.contents import unpack
from textmill.crawl.outcomes import Fault, explained
from textmill.crawl.previous import read_response
from textmill.crawl.sealing import ACCOUNT_FILE, Sealed
from textmill.documents import Document, Failure
from textmill.steps.source import Split
from textmill.web.charset import decode_page
from textmill.web.warc_writing import warc_date

if TYPE_CHECKING:
    from textmill.sources.crawl import Crawl

_UNPACKED = 4  # bytes of text per compressed byte, about
_COLUMNS = [
    "url",
    "outcome",
    "reason",
    "detail",
    "kind",
    "digest",
    "file",
    "offset",
    "length",
    "refers",
    "fetched",
]


def plan_crawled(sealed: Sealed, split_bytes: int) -> list[Split]:
    """Splits of a sealed crawl: runs of pages that stand one behind the other, then everything else.

    Args:
        sealed: the crawl.
        split_bytes: bytes of text in a split, about.
    """
    table = pq.read_table(
        sealed.folder / ACCOUNT_FILE, columns=["outcome", "kind", "file", "offset", "length"]
    )
    pages = table.filter((pc.field("outcome") == "archived") & (pc.field("kind") == "page"))
    pages = pages.sort_by([("file", "ascending"), ("offset", "ascending")])
    splits: list[Split] = []
    run: dict[str, Any] | None = None
    for file, offset, length in zip(
        pages["file"].to_pylist(), pages["offset"].to_pylist(), pages["length"].to_pylist(), strict=True
    ):
        if run is None or run["file"] != file or run["bytes"] * _UNPACKED >= split_bytes:
            run = {"file": file, "start": offset, "end": offset, "bytes": 0}
            splits.append(Split(run, "", 0))
        run["end"] = offset + length
        run["bytes"] += length
    finished = [Split(split.work, sealed.digest, split.work.pop("bytes") * _UNPACKED) for split in splits]
    others = table.num_rows - pages.num_rows
    return [*finished, Split({"others": True}, sealed.digest, others * 100)]


class CrawledReader:
    """Reads the splits of a sealed crawl."""

    def __init__(self, settings: Crawl) -> None:
        self._settings = settings
        assert settings.folder is not None
        self._folder = Path(settings.folder)

    def read(self, split: Split) -> Iterator[Document | Failure]:
        """Pages in the order of their file; or failures in the order in which their addresses were found."""
        if "others" in split.work:
            yield from self._others()
        else:
            yield from self._pages(split.work)

    def _pages(self, work: dict[str, Any]) -> Iterator[Document | Failure]:
        wanted = (
            (pc.field("file") == work["file"])
            & (pc.field("offset") >= work["start"])
            & (pc.field("offset") < work["end"])
            & (pc.field("outcome") == "archived")
        )
        rows = pq.read_table(self._folder / ACCOUNT_FILE, columns=_COLUMNS, filters=wanted)
        for row in rows.sort_by("offset").to_pylist():
            place = row["refers"] or json.dumps(
                [str(self._folder), row["file"], row["offset"], row["length"]]
            )
            yield self._page(row, place)

    def _page(self, row: dict[str, Any], place: str) -> Document | Failure:
        url, locator = row["url"], f"{row['url']} {row['digest']}"
        try:
            head, body = read_response(place)
        except (OSError, ValueError) as error:
            return Failure(locator, f"the archived page cannot be read: {error}", url)
        headers = headers_of(head)
        limit = self._settings.max_document_bytes
        content = unpack(body, headers.get("content-encoding", ""), limit, math.inf)
        if isinstance(content, Fault):
            return Failure(locator, explained(content.reason, content.detail), url)
        if len(content) > limit:
            return Failure(locator, f"the page is longer than {limit:,} bytes", url)
        decoded = decode_page(content, headers.get("content-type"))
        about = {
            "content_type": headers.get("content-type", "").partition(";")[0].strip().lower(),
            "encoding": decoded.encoding,
            "fetched": warc_date(row["fetched"]),
        }
        return Document(locator, decoded.text, url, json.dumps(about))

    def _others(self) -> Iterator[Failure]:
        account = pq.ParquetFile(self._folder / ACCOUNT_FILE)
        for batch in account.iter_batches(8192, columns=["url", "outcome", "reason", "detail", "kind"]):
            for row in batch.to_pylist():
                if row["kind"] == "page" and row["outcome"] in ("redirected", "refused", "failed"):
                    reason = explained(row["reason"], row["detail"])
                    yield Failure(row["url"], reason, row["url"], row["reason"])
