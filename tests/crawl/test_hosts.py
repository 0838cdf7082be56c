"""A host's pace and its rules."""

from __future__ import annotations

import zlib

from textmill.crawl.frontier_rows import HostRecord
from textmill.crawl.hosts import Host, RulesRead
from textmill.crawl.settings import CrawlSettings

ROBOTS = b"User-agent: *\nDisallow: /private/\nCrawl-delay: 7\n"


def record(number: int, robots: bytes, time: float | None = 90.0, given_up: str | None = None) -> HostRecord:
    return HostRecord(
        number, "https://e.com", 3, 130.0, 2, given_up, zlib.compress(robots), "rules", time, None
    )


def test_a_host_is_what_the_frontier_remembers() -> None:
    host = Host.from_record(record(1, ROBOTS, given_up="4 host 10 failures in a row"), now=100.0, clock=5.0)
    assert (host.archived, host.failures, host.ready_at) == (3, 2, 35.0)
    assert host.given_up == (4, "host", "10 failures in a row")
    assert host.rules is not None
    old = Host.from_record(record(1, ROBOTS, time=100.0 - 25 * 3600), now=100.0, clock=5.0)
    assert old.rules is None, "a robots.txt is kept for a day"


def test_rests() -> None:
    settings = CrawlSettings(seeds=["https://e.com/"], delay=0.5, delay_factor=2, max_delay=3)
    host = Host(1, "https://e.com")
    assert host.rest(settings) == 0.5
    host.answered(1.0)
    assert host.rest(settings) == 2.0
    for _ in range(20):
        host.answered(60.0)
    assert host.rest(settings) == 3.0
    host.crawl_delay = 7.0
    assert host.rest(settings) == 7.0


def test_rules_of_many_hosts_are_read_again_rather_than_kept() -> None:
    read = RulesRead(CrawlSettings(seeds=["https://e.com/"]), most=10_000)
    hosts = [
        Host.from_record(record(number, ROBOTS + b"#" * 3000), now=100.0, clock=0.0) for number in range(9)
    ]
    first = read.of(hosts[0])
    assert read.of(hosts[0]) is first
    assert hosts[0].crawl_delay == 7.0
    for host in hosts[1:]:
        assert not read.of(host).robots.may_fetch("https://e.com/private/x")
    assert read.of(hosts[0]) is not first
    assert len(read._kept) == 2
    for host in hosts:
        read.forget(host.id)
    assert read._size == 0


def test_as_many_connections_as_may_be_asked_for() -> None:
    import resource

    from textmill.crawl.engine import open_files

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
        assert open_files() == resource.getrlimit(resource.RLIMIT_NOFILE)[0] == min(hard, 2**16)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
