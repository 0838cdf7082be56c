"""A site of many hosts on loopback, for benchmarks of crawlers: plain, fast, and the same every time.

    python -m benchmarks.crawl_site --hosts 100 --pages 30      # prints the seeds, serves until its input ends

Host n is 127.0.x.y on one port. A page is about 60 KB of paragraphs in made-up words, with 50 links in them, 40 to
pages of its own host and 10 to other hosts; every host has a robots.txt that excludes one of its directories. The
server is one process of its own that writes prepared bytes; what it costs is not counted to anybody.
"""

from __future__ import annotations

import argparse
import asyncio
import functools
import json
import random
import socket
import sys
from collections import Counter

LINKS = 50
ELSEWHERE = 10
PARAGRAPHS = 96
ROBOTS = b"User-agent: *\nDisallow: /private/\nAllow: /\n"


def address(host: int) -> str:
    """127.0.x.y of a host, from 127.0.1.1 on."""
    return f"127.0.{1 + host // 250}.{1 + host % 250}"


class Site:
    """The pages: every byte follows from the number of hosts, the pages of each, and the port."""

    def __init__(self, hosts: int, pages: int, port: int) -> None:
        self.hosts = hosts
        self.pages = pages
        self.port = port
        rng = random.Random(7)
        words = ["".join(rng.choices("etaoinshrdlucmfwypvbgk", k=rng.randint(1, 9))) for _ in range(2500)]
        weights = [1 / (rank + 3) for rank in range(len(words))]
        self._paragraphs = [
            (" ".join(rng.choices(words, weights, k=145)).capitalize() + ".").encode()
            for _ in range(PARAGRAPHS)
        ]

    def url(self, host: int, page: int) -> str:
        return f"http://{address(host)}:{self.port}{_path(page)}"

    @functools.lru_cache(maxsize=4096)  # noqa: B019 - one site lives as long as its process
    def answer(self, host: int, target: str) -> bytes:
        """The whole answer to a request, header included."""
        if target == "/robots.txt":
            return _answer(ROBOTS, "text/plain")
        page = 0 if target == "/" else int(target.rpartition("/")[2].removesuffix(".html"))
        return _answer(self._body(host, page), "text/html; charset=utf-8")

    def _body(self, host: int, page: int) -> bytes:
        rng = random.Random(host * 100_003 + page)
        parts = [
            f"<!DOCTYPE html>\n<html lang=en><head><meta charset=utf-8><title>Page {page} of host {host}</title>"
            '<link rel="stylesheet" href="/style.css"></head>\n<body><div id="main" class="content">\n'.encode()
        ]
        for number in range(LINKS):
            if number >= LINKS - ELSEWHERE:
                link = self.url(rng.randrange(self.hosts), rng.randrange(self.pages))
            elif number == 0:
                link = "/private/form.html"
            else:
                # The first links are the next pages, so that all are reached; the others lie anywhere.
                target = (page * 3 + number) % self.pages if number < 4 else rng.randrange(self.pages)
                link = _path(target)
            paragraph = self._paragraphs[rng.randrange(PARAGRAPHS)]
            parts.append(
                b'<div class="section-block level-%d"><h2 class="section-title" id="part-%d">Part %d</h2>\n'
                b'<p class="par">%b</p>\n<ul class="nav nav-list"><li class="nav-item">'
                b'<a class="nav-link internal" href="%b" title="a page">Read part %d</a></li></ul>\n</div>\n'
                % (number % 3, number, number, paragraph, link.encode(), number)
            )
        parts.append(b"</div></body></html>\n")
        return b"".join(parts)


def _path(page: int) -> str:
    return f"/section{page % 7}/{page}.html" if page else "/"


def _answer(body: bytes, kind: str) -> bytes:
    return f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


class _Connection(asyncio.Protocol):
    def __init__(self, site: Site, host: int, counts: Counter[str]) -> None:
        self._site, self._host, self._counts = site, host, counts
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        while b"\r\n\r\n" in self._received:
            head, _, self._received = self._received.partition(b"\r\n\r\n")
            target = head.split(b" ", 2)[1].decode("latin-1")
            try:
                self._transport.write(self._site.answer(self._host, target))
                self._counts["robots" if target == "/robots.txt" else "pages"] += 1
            except ValueError:
                self._transport.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")


async def _serve(hosts: int, pages: int) -> None:
    loop = asyncio.get_running_loop()
    counts: Counter[str] = Counter()
    port = 0
    site: Site | None = None
    for host in range(hosts):
        listening = socket.socket()
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((address(host), port))
        port = port or listening.getsockname()[1]
        site = site or Site(hosts, pages, port)
        connection = functools.partial(_Connection, site, host, counts)
        await loop.create_server(connection, sock=listening, backlog=512)
    assert site
    print(json.dumps([site.url(host, 0) for host in range(hosts)]), flush=True)
    while await loop.run_in_executor(
        None, sys.stdin.readline
    ):  # each line asks for the counts since the last
        print(json.dumps(counts), flush=True)
        counts.clear()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--hosts", type=int, default=100)
    parser.add_argument("--pages", type=int, default=30, help="per host")
    arguments = parser.parse_args()
    asyncio.run(_serve(arguments.hosts, arguments.pages))


if __name__ == "__main__":
    main()
