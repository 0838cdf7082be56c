"""One crawl of all sites that misbehave: nothing is lost, nothing crashes, every failure has its reason.

What each site does, and what a right crawler records of it, stands in :mod:`tests.crawl.hostile`.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urljoin

import pyarrow.parquet as pq
import pytest

from tests.crawl.hostile import FAULTS, traps
from tests.crawl.hostile.certificates import Authority
from tests.crawl.hostile.server import Fault, Server
from textmill.crawl.crawling import crawl
from textmill.crawl.outcomes import REASONS
from textmill.crawl.sealing import Sealed, verify_seal
from textmill.crawl.settings import CrawlSettings

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="addresses of 127.0.0.0/8 need Linux")

CONTACT = "https://example.org/crawl"
ABROAD = ["10.0.0.1", "169.254.169.254", "[::1]", "[::ffff:a00:1]", "0.0.0.0"]


@dataclass
class Crawled:
    """The crawl of all faults.

    Attributes:
        rows: of its account, by address.
    """

    server: Server
    sealed: Sealed
    rows: dict[str, dict[str, object]]


@pytest.fixture(scope="module")
def crawled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Crawled]:
    folder = tmp_path_factory.mktemp("hostile")
    authority = Authority(folder)
    server = Server(FAULTS, authority.context)
    server.start()
    settings = CrawlSettings(
        seeds=[site.url(path) for site in server.sites.values() for path in site.fault.seeds],
        domains=[*(site.address for site in server.sites.values() if site.fault.seeds), *ABROAD],
        allow_addresses=["127.9.0.0/16"],
        contact=CONTACT,
        ca_file=str(authority.path),
        concurrency=256,
        delay=0,
        delay_factor=0,
        max_per_host=traps.BUDGET,
        retries=2,
        retry_wait=0.1,
        robots_retries=2,
        max_retry_after=4,
        connect_timeout=3,
        first_byte_timeout=2.5,
        total_timeout=4,
        max_bytes=2 * 2**20,
        max_unpacked_bytes=8 * 2**20,
    )
    try:
        sealed = crawl(settings, folder / "crawl")
        table = pq.read_table(folder / "crawl" / sealed.account["name"])
        yield Crawled(server, sealed, {row["url"]: row for row in table.to_pylist()})
    finally:
        server.stop()


@pytest.mark.parametrize(
    "fault",
    [pytest.param(fault, id=fault.name) for fault in FAULTS],
)
def test_ledger_says_what_happened(crawled: Crawled, fault: Fault) -> None:
    site = crawled.server.site(fault.name)
    for path, expected in fault.expected.items():
        row = crawled.rows.get(urljoin(site.url(), path))
        assert row, f"{path} is not in the account"
        assert expected.agrees(row["outcome"], row["reason"], row["status"]), f"{path}: {row}, not {expected}"
    for prefix, most in fault.limits.items():
        assert site.count(prefix) <= most, (
            f"{site.count(prefix)} requests of {prefix}…: {site.counts().most_common(9)}"
        )


def test_everything_is_accounted_for(crawled: Crawled) -> None:
    totals = crawled.sealed.totals
    assert totals["seen"] == sum(
        totals[end] for end in ("archived", "redirected", "refused", "failed", "left")
    )
    assert verify_seal(crawled.sealed) == []
    for row in crawled.rows.values():
        if row["outcome"] != "left":
            assert row["reason"] in REASONS, row
            assert row["reason"] != "crash", row
        if row["outcome"] == "failed":
            assert row["detail"], row


def test_one_connection_per_host(crawled: Crawled) -> None:
    # A connection that the crawler has given up is still open for the server until it notices.
    assert max(len(site.requests) for site in crawled.server.sites.values()) > 1
    for name in ("404_410_403_401", "four_redirects", "calendar"):
        assert crawled.server.site(name).most_connections == 1, name


def test_waits_that_servers_ask_for(crawled: Crawled) -> None:
    for name, seconds in (
        ("retry_after_one_second", 1.0),
        ("503_heals_after_one_second", 1.0),
        ("crawl_delay", 0.5),
    ):
        pages = [
            request.at
            for request in crawled.server.site(name).requests
            if not request.target.startswith(("/robots.txt", "/.well-known"))
        ]
        assert all(later - earlier >= seconds * 0.99 for earlier, later in itertools.pairwise(pages)), name
    assert len(crawled.server.site("retry_after_a_day").requests) <= 3


def test_agent_is_honest(crawled: Crawled) -> None:
    for site in crawled.server.sites.values():
        for request in site.requests:
            assert request.headers["user-agent"].startswith("textmill/"), request
            assert request.headers["user-agent"].endswith(f"(+{CONTACT})"), request
            assert "cookie" not in request.headers


def test_surplus_is_no_answer(crawled: Crawled) -> None:
    for file in crawled.sealed.files:
        assert b"POISON" not in _unpacked(crawled.sealed.folder / "warc" / str(file["name"]))


def _unpacked(path: Path) -> bytes:
    import gzip

    return gzip.decompress(path.read_bytes())
