"""The WARC records of an answer (ISO 28500:2017; revisits after section 6.7)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textmill.crawl.fetching import Fetched
from textmill.crawl.frontier_rows import Earlier, Job
from textmill.web.warc_writing import (
    IDENTICAL_PAYLOAD,
    SERVER_NOT_MODIFIED,
    payload_digest,
    record_id,
    warc_date,
    warc_record,
)

if TYPE_CHECKING:
    from textmill.crawl.answers import Verdict

_RESPONSE = "application/http; msgtype=response"
_REQUEST = "application/http; msgtype=request"


def page_records(job: Job, fetched: Fetched, verdict: Verdict) -> list[bytes]:
    """Response, request and metadata of an archived page, compressed."""
    date = warc_date(fetched.moment)
    name = record_id("response", fetched.url, date)
    response = warc_record(
        "response",
        [*_about(name, date, fetched, _RESPONSE), ("WARC-Payload-Digest", verdict.digest or "")],
        (fetched.head, fetched.body),
    )
    return [response, _request(name, date, fetched), _metadata(name, date, job, fetched, verdict)]


def revisit_records(job: Job, fetched: Fetched, earlier: Earlier) -> list[bytes]:
    """Revisit and request of a page that is what it was."""
    date = warc_date(fetched.moment)
    name = record_id("revisit", fetched.url, date)
    profile = SERVER_NOT_MODIFIED if fetched.status == 304 else IDENTICAL_PAYLOAD
    fields = [
        *_about(name, date, fetched, _RESPONSE),
        ("WARC-Profile", profile),
        ("WARC-Refers-To-Target-URI", fetched.url),
        ("WARC-Refers-To-Date", warc_date(earlier.fetched)),
        ("WARC-Payload-Digest", earlier.digest or ""),
    ]
    return [warc_record("revisit", fields, fetched.head), _request(name, date, fetched)]


def diagnostic_records(fetched: Fetched, job: Job | None, verdict: Verdict | None = None) -> list[bytes]:
    """Response and request of an answer that is no page; of a page that was refused, the head alone.

    What a site does not want to be kept is not kept, not even as evidence.
    """
    date = warc_date(fetched.moment)
    name = record_id("response", fetched.url, date)
    fields = _about(name, date, fetched, _RESPONSE)
    if verdict is not None and verdict.withhold:
        fields.append(("WARC-Truncated", "unspecified"))
        block = (fetched.head,)
    else:
        fields.append(("WARC-Payload-Digest", payload_digest(fetched.body)))
        block = (fetched.head, fetched.body)  # type: ignore[assignment]
    return [warc_record("response", fields, block), _request(name, date, fetched)]


def _about(name: str, date: str, fetched: Fetched, content_type: str) -> list[tuple[str, str]]:
    fields = [
        ("WARC-Record-ID", name),
        ("WARC-Date", date),
        ("WARC-Target-URI", fetched.url),
        ("Content-Type", content_type),
    ]
    if fetched.address:
        fields.append(("WARC-IP-Address", fetched.address))
    return fields


def _request(concurrent: str, date: str, fetched: Fetched) -> bytes:
    fields = [
        ("WARC-Record-ID", record_id("request", fetched.url, date)),
        ("WARC-Date", date),
        ("WARC-Target-URI", fetched.url),
        ("WARC-Concurrent-To", concurrent),
        ("Content-Type", _REQUEST),
    ]
    return warc_record("request", fields, fetched.request)


def _metadata(concurrent: str, date: str, job: Job, fetched: Fetched, verdict: Verdict) -> bytes:
    fields = [
        ("WARC-Record-ID", record_id("metadata", fetched.url, date)),
        ("WARC-Date", date),
        ("WARC-Target-URI", fetched.url),
        ("WARC-Concurrent-To", concurrent),
        ("Content-Type", "application/warc-fields"),
    ]
    lines = [f"hopsFromSeed: {job.depth}", f"fetchTimeMs: {fetched.seconds * 1000:.0f}"]
    if job.via:
        lines.append(f"via: {job.via}")
    lines += [f"{key}: {value}" for key, value in verdict.notes]
    return warc_record(
        "metadata", fields, "".join(f"{line}\r\n" for line in lines).encode("utf-8", "replace")
    )
