"""Records of web archives to documents: pages are decoded, what is no page is dropped, what is amiss is a failure.

::

    ArchiveRecord ─► record_type? ─► status? ─► media_type? ─► body: chunks, gzip, br … ─► decode_page ─► Document
                          └──────────── Dropped ────┘                └──── Failure ────────────┘
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from textmill.documents import Document, Dropped, Failure
from textmill.sources.page_text import NoTextError, remarks, signature, text_of_page
from textmill.sources.streams import open_file
from textmill.steps.source import Split
from textmill.web.charset import Decoded
from textmill.web.http_messages import BodyError, decode_body, media_type, parse_response
from textmill.web.urls import canonical_url
from textmill.web.warc_reading import ArchiveRecord, LostStretch, read_archive

if TYPE_CHECKING:
    from textmill.sources.warc import Warc

PageOrNot = Document | Failure | Dropped

_HEAD_BYTES = 2**18
"""Room for an HTTP head beside the longest page."""


class WarcReader:
    """Reader of the source ``warc``; holds one record at a time."""

    def __init__(self, settings: Warc) -> None:
        self._settings = settings

    def read(self, split: Split) -> Iterator[PageOrNot]:
        """The records of ``split``, in the order of its files."""
        for piece in split.work["pieces"]:
            locator = piece["locator"]
            try:
                with open_file(self._settings, piece["url"]) as stream:
                    records = read_archive(
                        stream, piece["start"], piece["end"], self._settings.max_document_bytes + _HEAD_BYTES
                    )
                    found = False
                    for record in records:
                        found = True
                        yield page_of_record(record, f"{locator}:{record.position}", self._settings)
                    if not found and not piece["start"]:
                        # Without a record of its own it would leave no trace at all.
                        yield Failure(locator, "the file holds no record", rule="damaged")
            except OSError as error:
                yield Failure(locator, f"the file cannot be opened: {error}")


def page_of_record(record: ArchiveRecord | LostStretch, locator: str, settings: Warc) -> PageOrNot:
    """The document of one record, or why there is none."""
    if isinstance(record, LostStretch):
        reason = record.reason
        if record.resumes is not None:
            reason += f"; reading went on at byte {record.resumes:,} of the file"
        return Failure(locator, reason, _valid(record.url) or None, "damaged")
    url = _url(record.url)
    if record.kind not in ("response", "resource", "conversion"):
        detail = None
        if record.kind == "revisit":
            target = record.headers.get("warc-refers-to-target-uri") or record.url
            date = record.headers.get("warc-refers-to-date", "")
            detail = _valid(f"the same as {target} {date}".strip())
        return Dropped(locator, "record_type", _valid(record.kind)[:80], url, detail)
    try:
        return _page(record, locator, url, settings)
    except (BodyError, NoTextError) as error:
        return Failure(locator, str(error), url, "body" if isinstance(error, BodyError) else "no_text")


def _page(record: ArchiveRecord, locator: str, url: str | None, settings: Warc) -> PageOrNot:
    message = record.content
    response = parse_response(message) if record.kind == "response" else None
    content_type = record.headers.get("content-type", "")
    kind = record.headers.get("warc-identified-payload-type", "")
    status = None
    headers: dict[str, str] = {}
    body = message
    if response is not None:
        status = response.status
        headers = response.headers
        content_type = headers.get("content-type", "")
        if status is None or status not in settings.statuses:
            label = "none" if status is None else str(status)
            return Dropped(locator, "status", label, url, _valid(headers.get("location", ""))[:2000] or None)
        body = message[response.body_start :]
    elif record.kind == "response" and media_type(content_type) == "application/http":
        return Failure(locator, "no HTTP response where one should be", url, "damaged")
    kind = media_type(content_type) or media_type(kind)
    if kind and not _is_asked(kind, settings.media_types):
        return Dropped(locator, "media_type", _valid(kind)[:80], url)
    if response is not None and not response.complete:
        return Failure(locator, "an HTTP head that does not end", url, "damaged")
    if record.size > len(record.content):
        return Failure(locator, _too_long(record.size, settings.max_document_bytes), url, "too_long")
    body = decode_body(body, headers, settings.max_document_bytes)
    if len(body) > settings.max_document_bytes:
        return Failure(locator, _too_long(len(body), settings.max_document_bytes), url, "too_long")
    found = None if kind else signature(body)
    if found is not None:
        return Dropped(locator, "media_type", found, url, "by its first bytes; no type was given")
    page = text_of_page(body, content_type, kind)
    return Document(locator, page.text, url, _metadata(record, headers, status, kind, page, len(body)))


def _metadata(
    record: ArchiveRecord, headers: dict[str, str], status: int | None, kind: str, page: Decoded, size: int
) -> str:
    stated: dict[str, Any] = {
        "date": record.date,
        "status": status,
        "media_type": kind,
        **remarks(page),
        "language": _language(headers, record.headers),
        "digest": record.headers.get("warc-payload-digest"),
        "record_id": record.headers.get("warc-record-id", "").strip("<>"),
        "truncated": record.headers.get("warc-truncated"),
    }
    length = headers.get("content-length", "")
    if length.isascii() and length.isdigit() and "content-encoding" not in headers and len(length) < 16:
        missing = int(length) - size
        stated["missing_bytes"] = missing if missing > 0 else None
    return _valid(json.dumps({name: value for name, value in stated.items() if value}, ensure_ascii=False))


def _language(http: dict[str, str], warc: dict[str, str]) -> str | None:
    """What the server states, or what the archive found: the first of several."""
    stated = http.get("content-language") or warc.get("warc-identified-content-language") or ""
    first = stated.partition(",")[0].strip()
    return first[:40] if first else None


def _url(url: str) -> str | None:
    """The record's address in canonical form; one of another scheme as it is."""
    return canonical_url(url) or _valid(url).strip() or None


def _valid(text: str) -> str:
    return text.encode("utf-8", "replace").decode()


def _is_asked(kind: str, asked: list[str]) -> bool:
    return kind in asked or kind.partition("/")[0] + "/*" in asked or "*/*" in asked


def _too_long(size: int, limit: int) -> str:
    return f"a page of {size:,} bytes is longer than max_document_bytes ({limit:,})"
