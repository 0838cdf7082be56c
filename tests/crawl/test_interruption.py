"""kill -9 at random instants: the same command goes on, loses nothing, and asks for nothing twice that it had."""

from __future__ import annotations

import gzip
import multiprocessing
import os
import random
import re
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator
from multiprocessing.process import BaseProcess
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.crawl.good_site import good_site
from tests.crawl.hostile.server import Server
from textmill.crawl.sealing import Sealed, read_seal, verify_seal

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="addresses of 127.0.0.0/8 need Linux")

# Each crawl goes on after a kill with what a polite crawler waits for; a busy machine may take its time.
SLOW = [pytest.mark.slow, pytest.mark.timeout(1800)]

_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(
    ["textmill.cli.crawling", "textmill.crawl.crawling", "aiohttp", "pyarrow.parquet"]
)

HOSTS, PAGES = 8, 40

# What a kill may cost: the answer that every host has on its way. What came and was not settled is in the spool.
IN_FLIGHT = HOSTS


@pytest.fixture
def site() -> Iterator[Server]:
    server = good_site(HOSTS, PAGES)
    server.start()
    yield server
    server.stop()


@pytest.mark.parametrize(
    "kills, separate",
    [
        pytest.param(3, False, id="3 kills of one crawl"),
        pytest.param(20, False, id="20 kills of one crawl", marks=pytest.mark.slow),
        pytest.param(
            20, True, id="20 crawls killed once", marks=[pytest.mark.slow, pytest.mark.timeout(900)]
        ),
    ],
)
def test_killed_crawl_goes_on(site: Server, tmp_path: Path, kills: int, separate: bool) -> None:
    rng = random.Random(kills)
    whole = _outcomes(_finish(site, tmp_path / "undisturbed"))
    asked = sum(len(each.requests) for each in site.sites.values())
    assert {outcome for outcome, _ in whole.values()} == {"archived", "redirected", "refused", "failed"}
    if separate:
        for number in range(kills):
            _killed(site, tmp_path / f"crawl-{number}", [rng.randrange(1, asked)], rng, whole)
    else:
        _killed(site, tmp_path / "crawl", sorted(rng.randrange(1, asked) for _ in range(kills)), rng, whole)


def _killed(
    site: Server, folder: Path, instants: list[int], rng: random.Random, whole: dict[str, tuple[str, str]]
) -> None:
    """Kill a crawl whenever the server has answered so many requests, let it end, and look at what came of it."""
    for each in site.sites.values():
        each.requests.clear()
    killed = 0
    for instant in instants:
        process = _start(site, folder)
        while process.is_alive() and sum(len(each.requests) for each in site.sites.values()) < instant:
            time.sleep(0.002)
        time.sleep(rng.random() * 0.05)
        process.kill()
        process.join()
        assert process.exitcode in (0, -signal.SIGKILL), folder.with_suffix(".log").read_text()
        killed += process.exitcode != 0
        assert (read_seal(folder) is None) == (process.exitcode != 0)
    sealed = _finish(site, folder)
    assert _outcomes(sealed) == whole
    twice = {
        (name, target): count - 1
        for name, each in site.sites.items()
        for target, count in each.counts().items()
        if count > 1 and not target.startswith(("/robots.txt", "/.well-known"))
    }
    assert sum(twice.values()) <= killed * IN_FLIGHT, f"{killed} kills: {twice}"
    assert not any(each.count("/private") for each in site.sites.values())
    _check_archive(sealed)


def _start(site: Server, folder: Path) -> BaseProcess:
    """`textmill crawl` in a process of its own, forked from one that has everything imported."""
    seeds = folder.with_suffix(".seeds.txt")
    seeds.write_text("\n".join(each.url() for each in site.sites.values()))
    arguments = ["crawl", "--seeds", str(seeds), "--output", str(folder)]
    arguments += ["--allow-addresses", "127.10.0.0/16", "--delay", "0", "--concurrency", str(HOSTS)]
    process = _FORKS.Process(target=_textmill, args=(arguments, str(folder.with_suffix(".log"))))
    process.start()
    return process


def _textmill(arguments: list[str], log: str) -> None:
    from textmill.cli import main

    with Path(log).open("w") as stream:
        os.dup2(stream.fileno(), 1)
        os.dup2(stream.fileno(), 2)
        sys.exit(main(arguments))


def _finish(site: Server, folder: Path) -> Sealed:
    process = _start(site, folder)
    process.join(120)
    said = folder.with_suffix(".log").read_text()
    assert process.exitcode == 0, said
    sealed = read_seal(folder)
    assert sealed, said
    assert verify_seal(sealed) == []
    return sealed


def _outcomes(sealed: Sealed) -> dict[str, tuple[str, str]]:
    rows = pq.read_table(sealed.folder / sealed.account["name"]).to_pylist()
    return {row["url"]: (row["outcome"], row["reason"]) for row in rows}


def _check_archive(sealed: Sealed) -> None:
    """Every archived page is there once, in files that are whole to their last byte; and every other reader agrees."""
    archived = {url for url, (outcome, _) in _outcomes(sealed).items() if outcome == "archived"}
    found: Counter[str] = Counter()
    for file in sealed.files:
        path = sealed.folder / "warc" / file["name"]
        contents = gzip.decompress(path.read_bytes())  # raises if a member is cut off
        if file["series"] == "pages":
            responses = re.findall(
                rb"WARC-Type: response\r\n(?:[^\r\n]+\r\n)*?WARC-Target-URI: ([^\r\n]+)", contents
            )
            found.update(uri.decode() for uri in responses)
        _read_by_others(path, file["records"])
    assert found == Counter(archived)


def _read_by_others(path: Path, records: int) -> None:
    warcio = pytest.importorskip("warcio.archiveiterator")
    with path.open("rb") as stream:
        read = [
            (record.rec_headers.get_header("WARC-Record-ID"), len(record.content_stream().read()))
            for record in warcio.ArchiveIterator(stream, check_digests="raise")
        ]
    assert len(read) == len({identity for identity, _ in read}) == records
    fastwarc = pytest.importorskip("fastwarc.warc")
    with path.open("rb") as stream:
        again = []
        for record in fastwarc.ArchiveIterator(stream):
            if "WARC-Payload-Digest" in record.headers:
                assert record.verify_payload_digest(), record.record_id
            again.append(record.record_id)
    assert [identity.strip("<>") for identity, _ in read] == [identity.strip("<>") for identity in again]
