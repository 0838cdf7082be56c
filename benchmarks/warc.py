"""Reading web archives, finding links, canonical addresses: beside FastWARC, warcio, resiliparse, lexbor, ada-url.

    python -m benchmarks warc [--archive FILE ...] [--pages FOLDER.tar.xz] [--rounds 5]

Archives: those named, or the ones of `TEXTMILL_DATA/warc`, and one made of real pages (`--pages`), each with a request
in front, compressed record by record. Measured are CPU seconds of one thread, the sides taking turns:

- records: every record's block is read; nothing is decoded. Records and bytes must be the same on all sides.
- pages: every page of status 200 as text: HTTP parsed, body and charset decoded. resiliparse stands behind FastWARC.
- links: every link of every page. lexbor by selectolax, which builds a tree.
- addresses: every link made absolute and canonical. ada-url is compiled, urllib is the standard library.
"""

from __future__ import annotations

import argparse
import gzip
import io
import os
import statistics
import tarfile
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urljoin

import ada_url
from fastwarc.warc import ArchiveIterator as FastArchiveIterator
from resiliparse.parse.encoding import bytes_to_str, detect_encoding
from selectolax.lexbor import LexborHTMLParser
from warcio.archiveiterator import ArchiveIterator as WarcioIterator

from benchmarks.machine import describe
from textmill.documents import Document
from textmill.sources import Warc
from textmill.sources.warc_pages import page_of_record
from textmill.web import canonical_url, find_links
from textmill.web.warc_reading import ArchiveRecord, read_archive

PAGES = 400
SETTINGS = Warc(paths="-")
Answer = tuple[int, int]


def records_of_textmill(data: bytes) -> Answer:
    sizes = [one.size for one in read_archive(io.BytesIO(data)) if isinstance(one, ArchiveRecord)]
    return len(sizes), sum(sizes)


def records_of_fastwarc(data: bytes) -> Answer:
    sizes = [len(one.reader.read()) for one in FastArchiveIterator(io.BytesIO(data), parse_http=False)]
    return len(sizes), sum(sizes)


def records_of_warcio(data: bytes) -> Answer:
    sizes = [len(one.raw_stream.read()) for one in WarcioIterator(io.BytesIO(data), no_record_parse=True)]
    return len(sizes), sum(sizes)


def pages_of_textmill(data: bytes) -> Answer:
    found = [page_of_record(one, "", SETTINGS) for one in read_archive(io.BytesIO(data))]
    sizes = [len(page.text) for page in found if isinstance(page, Document)]
    return len(sizes), sum(sizes)


def pages_of_fastwarc(data: bytes) -> Answer:
    sizes = []
    for one in FastArchiveIterator(io.BytesIO(data), parse_http=True, auto_decode="all"):
        if one.http_headers is None or one.http_headers.status_code != 200:
            continue
        if (one.http_content_type or "") not in SETTINGS.media_types:
            continue
        body = one.reader.read()
        encoding = one.http_charset or detect_encoding(body, from_html_meta=True)
        sizes.append(len(bytes_to_str(body, encoding)))
    return len(sizes), sum(sizes)


def links_of_textmill(pages: list[bytes]) -> Answer:
    counts = [len(find_links(page).links) for page in pages]
    return len(pages), sum(counts)


def links_of_lexbor(pages: list[bytes]) -> Answer:
    count = 0
    for page in pages:
        nodes = LexborHTMLParser(page).css("a[href],area[href],iframe[src],frame[src]")
        count += len({node.attributes.get("href") or node.attributes.get("src") for node in nodes})
    return len(pages), count


def addresses_by(resolve: Callable[[str, str], object]) -> Callable[[list[tuple[str, str]]], Answer]:
    def run(links: list[tuple[str, str]]) -> Answer:
        for url, base in links:
            try:
                resolve(url, base)
            except ValueError:
                continue
        return len(links), len(links)

    return run


def compare(
    title: str, given: object, sides: dict[str, Callable[..., Answer]], rounds: int, same: bool
) -> None:
    """Turns of all sides; prints units per CPU second of each and the ratio to the first."""
    answers = {name: side(given) for name, side in sides.items()}
    if same and len(set(answers.values())) != 1:
        raise SystemExit(f"{title}: the sides do not agree: {answers}")
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for turn in range(rounds):
        names = list(sides)[turn % len(sides) :] + list(sides)[: turn % len(sides)]
        for name in names:
            started = time.process_time()
            sides[name](given)
            seconds[name].append(time.process_time() - started)
    print(f"\n{title}")
    ours = seconds[next(iter(sides))]
    for name, times in seconds.items():
        count, size = answers[name]
        speeds = sorted(count / one for one in times)
        ratios = sorted(other / own for own, other in zip(ours, times, strict=True))
        middle = statistics.median(speeds)
        line = f"  {name:22} {middle:12,.0f}/s ({speeds[0]:,.0f} to {speeds[-1]:,.0f})"
        line += f" {size * middle / count / 1e6:8.1f} M/s  {count:,} and {size:,}"
        if times is not ours:
            line += f"  ratio {statistics.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})"
        print(line, flush=True)


def archive_of(pages: list[bytes]) -> bytes:
    members = []
    for number, page in enumerate(pages):
        url = f"http://example.com/{number}"
        request = f"GET /{number} HTTP/1.1\r\nHost: example.com\r\n\r\n".encode()
        response = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n" + page
        for kind, block in (("request", request), ("response", response)):
            head = f"WARC/1.1\r\nWARC-Type: {kind}\r\nWARC-Target-URI: {url}\r\nWARC-Date: 2024-05-06T07:08:09Z\r\n"
            head += f"WARC-Record-ID: <urn:uuid:{kind}-{number}>\r\n"
            head += f"Content-Type: application/http; msgtype={kind}\r\nContent-Length: {len(block)}\r\n\r\n"
            members.append(gzip.compress(head.encode() + block + b"\r\n\r\n", mtime=0))
    return b"".join(members)


def real_pages(path: Path) -> list[bytes]:
    pages: list[bytes] = []
    with tarfile.open(path) as members:
        for member in members:
            if member.name.endswith(".html") and (handle := members.extractfile(member)):
                pages.append(handle.read())
                if len(pages) == PAGES:
                    break
    return pages


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--archive", action="append", type=Path, default=[])
    parser.add_argument("--pages", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    data = Path(os.environ.get("TEXTMILL_DATA", ""))
    if not arguments.archive:
        arguments.archive = sorted((data / "warc").glob("*.warc.gz")) if data.name else []
    if arguments.pages is None and (packed := data / "extraction" / "wcxb-dev.tar.xz").exists():
        arguments.pages = packed
    if not arguments.archive and arguments.pages is None:
        raise SystemExit("nothing to read: name --archive or --pages, or set TEXTMILL_DATA")
    print(describe())
    archives = {path.name: path.read_bytes() for path in arguments.archive}
    pages = real_pages(arguments.pages) if arguments.pages else []
    if pages:
        archives[f"{len(pages)} pages and their requests"] = archive_of(pages)
    for name, archive in archives.items():
        readers = {
            "textmill": records_of_textmill,
            "FastWARC": records_of_fastwarc,
            "warcio": records_of_warcio,
        }
        compare(f"records, blocks' bytes: {name}", archive, readers, arguments.rounds, same=True)
        texts = {"textmill": pages_of_textmill, "FastWARC + resiliparse": pages_of_fastwarc}
        compare(f"pages as text, characters: {name}", archive, texts, arguments.rounds, same=False)
    if pages:
        finders = {"textmill": links_of_textmill, "lexbor": links_of_lexbor}
        compare("pages, links found", pages, finders, arguments.rounds, same=False)
        links = [
            (link.url, f"https://example.com/section/{number}.html")
            for number, page in enumerate(pages)
            for link in find_links(page).links
        ]
        resolvers = {
            "textmill": addresses_by(canonical_url),
            "ada-url": addresses_by(lambda url, base: ada_url.join_url(base, url)),
            "urllib.urljoin": addresses_by(lambda url, base: urljoin(base, url)),
        }
        compare("addresses, links resolved", links, resolvers, arguments.rounds, same=False)


if __name__ == "__main__":
    main()
