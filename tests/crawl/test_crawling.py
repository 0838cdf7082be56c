"""Whole crawls of small sites."""

from __future__ import annotations

from pathlib import Path

import pytest
from fastwarc.warc import ArchiveIterator as FastIterator
from fastwarc.warc import WarcRecordType
from warcio.archiveiterator import ArchiveIterator

from tests.crawl.crawls import account, crawled, details
from tests.crawl.server import Raw, Site, page
from textmill.crawl.sealing import read_seal, verify_seal
from textmill.errors import UserError


def test_a_site_is_crawled_whole_and_every_address_accounted_for(tmp_path: Path) -> None:
    pages = {
        "/": page("a", "/b?x=1", "http://elsewhere.example/", "mailto:me@example.com", "c.pdf"),
        "/a": page("/", "/b?x=1#part", "missing", "/a/../old"),
        "/b?x=1": page("a"),
        "/old": (301, {"Location": "/new"}, b""),
        "/new": page(),
    }
    with Site(pages) as site:
        sealed = crawled(tmp_path, site.url())
    assert {url.partition(str(site.port))[2]: outcome for url, outcome in account(sealed).items()} == {
        "/": ("archived", "page"),
        "/a": ("archived", "page"),
        "/b?x=1": ("archived", "page"),
        "/missing": ("failed", "http"),
        "/old": ("redirected", "redirect"),
        "/new": ("archived", "page"),
    }
    assert sealed.totals["seen"] == 6
    assert sealed.skipped == {"domain": 1, "file": 1}
    assert all(count == 1 for count in site.hits.values())
    assert verify_seal(sealed) == []


def test_two_readers_understand_every_record_and_verify_its_digest(tmp_path: Path) -> None:
    with Site({"/": page("a"), "/a": (200, {"Content-Type": "text/plain"}, b"plain")}) as site:
        crawled(tmp_path, site.url())
    kinds = []
    fast = 0
    for file in sorted((tmp_path / "warc").iterdir()):
        with file.open("rb") as stream:
            for record in ArchiveIterator(stream, check_digests="raise"):
                record.content_stream().read()
                kinds.append(record.rec_type)
        with file.open("rb") as stream:
            for found in FastIterator(stream):
                assert found.record_type != WarcRecordType.response or found.verify_payload_digest()
                fast += 1
    assert kinds.count("response") == 2 + 2  # two pages, robots.txt and tdmrep.json
    assert fast == len(kinds)
    assert kinds.count("metadata") == 2
    assert kinds.count("warcinfo") == 2


def test_the_request_in_the_archive_is_the_request_that_was_sent(tmp_path: Path) -> None:
    with Site({"/": page()}) as site:
        crawled(tmp_path, site.url())
        sent = next(request.head for request in site.requests if request.path == "/")
    with (tmp_path / "warc" / "pages-00000.warc.gz").open("rb") as stream:
        for record in ArchiveIterator(stream, no_record_parse=True):
            if record.rec_type == "request":
                assert record.content_stream().read() == sent + b"\r\n\r\n"
            if record.rec_type == "response":
                assert record.rec_headers["WARC-IP-Address"] == "127.0.0.1"


def test_a_budget_is_kept_exactly_and_raising_it_goes_on(tmp_path: Path) -> None:
    pages = {f"/{n}": page(f"/{n + 1}", f"/{n + 2}") for n in range(40)}
    with Site(pages) as site:
        sealed = crawled(tmp_path, site.url("/0"), max_pages=7)
        assert (sealed.totals["archived"], len(site.requests)) == (7, 9)
        assert sealed.totals["left"] > 0
        assert crawled(tmp_path, site.url("/0"), max_pages=7).totals == sealed.totals
        assert len(site.requests) == 9
        more = crawled(tmp_path, site.url("/0"), max_pages=20)
        assert more.totals["archived"] == 20
        assert all(count == 1 for path, count in site.hits.items() if path.strip("/").isdigit())
        assert crawled(tmp_path, site.url("/0")).totals["left"] == 0


def test_a_folder_holds_one_crawl(tmp_path: Path) -> None:
    with Site({"/": page(), "/b": page()}) as site:
        crawled(tmp_path, site.url())
        with pytest.raises(UserError, match="another crawl") as caught:
            crawled(tmp_path, site.url("/b"))
    assert "seeds" in str(caught.value)


def test_faults_of_servers_belong_to_their_addresses(tmp_path: Path) -> None:
    pages = {
        "/": page(
            "short", "hangup", "garbage", "slow", "loop", "nowhere", "nothing", "large", "image", "flaky"
        ),
        "/short": Raw(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 1000\r\n\r\nshort"),
        "/hangup": Raw(),
        "/garbage": Raw(b"this is no HTTP\r\n\r\n"),
        "/slow": Raw(3.0),
        "/loop": (302, {"Location": "/loop"}, b""),
        "/nowhere": (302, {"Location": "gopher://example.com/"}, b""),
        "/nothing": (204, {}, b""),
        "/large": (200, {}, b"x" * 200_000),
        "/image": (200, {"Content-Type": "image/png"}, b"png"),
        "/flaky": lambda request: (503, {}, b"") if request.count < 3 else page(),
    }
    with Site(pages) as site:
        for path in ("/short", "/hangup", "/garbage", "/slow"):
            site.pages[path] = lambda request, raw=pages[path]: raw
        sealed = crawled(tmp_path, site.url(), first_byte_timeout=0.4, max_bytes=100_000)
    found = {url.rpartition("/")[2]: outcome for url, outcome in account(sealed).items()}
    assert found == {
        "": ("archived", "page"),
        "short": ("failed", "truncated"),
        "hangup": ("failed", "connection"),
        "garbage": ("failed", "protocol"),
        "slow": ("failed", "timeout"),
        "loop": ("failed", "redirect_loop"),
        "nowhere": ("failed", "redirect_target"),
        "nothing": ("failed", "http"),
        "large": ("refused", "too_large"),
        "image": ("refused", "content_type"),
        "flaky": ("archived", "page"),
    }
    assert site.hits["/slow"] == 3  # and two further attempts
    assert "tried 3 times" in str(details(sealed)[site.url("/slow")])


def test_an_interrupted_crawl_is_not_sealed(tmp_path: Path) -> None:
    assert read_seal(tmp_path) is None
