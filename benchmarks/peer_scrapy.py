"""Scrapy as its documentation tunes it for broad crawls; run in the peers' environment by `benchmarks.crawling`.

    python peer_scrapy.py SEEDS.json OUT [--archive] [--remember] [--jobdir]

Links by LxmlLinkExtractor, robots.txt obeyed (Protego), every response archived by warcio as it comes. Its settings are
those of https://docs.scrapy.org/en/latest/topics/broad-crawls.html, and what costs it time for nothing is off.
"""

from __future__ import annotations

import argparse
import io
import json
import sys
from collections.abc import AsyncIterator, Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Any

import scrapy
from scrapy.crawler import CrawlerProcess
from scrapy.http import HtmlResponse, Response
from scrapy.linkextractors.lxmlhtml import LxmlLinkExtractor
from warcio.statusandheaders import StatusAndHeaders
from warcio.warcwriter import WARCWriter

SETTINGS = {
    "SCHEDULER_PRIORITY_QUEUE": "scrapy.pqueues.DownloaderAwarePriorityQueue",
    "CONCURRENT_REQUESTS": 100,
    "CONCURRENT_REQUESTS_PER_DOMAIN": 1,
    "DOWNLOAD_DELAY": 0,
    "AUTOTHROTTLE_ENABLED": False,
    "REACTOR_THREADPOOL_MAXSIZE": 20,
    "LOG_LEVEL": "WARNING",
    "COOKIES_ENABLED": False,
    "RETRY_ENABLED": False,
    "DOWNLOAD_TIMEOUT": 15,
    "REDIRECT_ENABLED": False,
    "METAREFRESH_ENABLED": False,
    "ROBOTSTXT_OBEY": True,
    "TELNETCONSOLE_ENABLED": False,
    "HTTPCACHE_ENABLED": False,
    "HTTPERROR_ALLOW_ALL": True,
    "REFERER_ENABLED": False,
    "USER_AGENT": "benchmark (+https://example.com/)",
}


class Everywhere(scrapy.Spider):
    """Follows every link inside the given hosts, and archives what it gets."""

    name = "everywhere"

    def __init__(
        self, seeds: list[str], archive: WARCWriter | None, remember: bool = False, **more: Any
    ) -> None:
        super().__init__(**more)
        self.start_urls = seeds
        self._archive = archive
        self._links = LxmlLinkExtractor(allow_domains=sorted({seed.split("/")[2] for seed in seeds}))
        self._seen: set[str] | None = set(seeds) if remember else None
        self.pages = 0

    async def start(self) -> AsyncIterator[scrapy.Request]:
        for url in self.start_urls:
            yield scrapy.Request(url)

    def parse(self, response: Response, **more: Any) -> Iterator[scrapy.Request]:
        self.pages += 1
        if self._archive:
            self._write(self._archive, response)
        if isinstance(response, HtmlResponse):
            for link in self._links.extract_links(response):
                if self._seen is None:
                    yield scrapy.Request(link.url)
                elif link.url not in self._seen:
                    self._seen.add(link.url)
                    yield scrapy.Request(link.url)

    def _write(self, archive: WARCWriter, response: Response) -> None:
        asked = response.request
        assert asked
        path = response.url.split("/", 3)[3]
        request = archive.create_warc_record(
            response.url,
            "request",
            payload=io.BytesIO(),
            http_headers=StatusAndHeaders(
                f"GET /{path} HTTP/1.1", _fields(asked.headers), is_http_request=True
            ),
        )
        status = f"{response.status} {HTTPStatus(response.status).phrase}"
        answer = archive.create_warc_record(
            response.url,
            "response",
            payload=io.BytesIO(response.body),
            http_headers=StatusAndHeaders(status, _fields(response.headers), protocol="HTTP/1.1"),
        )
        archive.write_request_response_pair(request, answer)


def _fields(headers: Any) -> list[tuple[str, str]]:
    return [(name.decode(), value.decode("latin-1")) for name, values in headers.items() for value in values]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("seeds", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--archive", action="store_true", help="write every response to a WARC file")
    parser.add_argument(
        "--remember", action="store_true", help="the spider makes no request of a link it has seen"
    )
    parser.add_argument("--level", type=int, default=9, help="of gzip; 9 is warcio's own")
    parser.add_argument("--jobdir", action="store_true", help="keep queue and seen requests on disk")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    settings = SETTINGS | ({"JOBDIR": str(arguments.out / "job")} if arguments.jobdir else {})
    if arguments.level != 9:
        import zlib

        made = zlib.compressobj
        import warcio.warcwriter

        class Zlib:
            DEFLATED, MAX_WBITS = zlib.DEFLATED, zlib.MAX_WBITS

            @staticmethod
            def compressobj(level: int, *more: int) -> Any:
                return made(arguments.level, *more)

        warcio.warcwriter.zlib = Zlib
    with (arguments.out / "scrapy.warc.gz").open("wb") as file:
        process = CrawlerProcess(settings)
        crawler = process.create_crawler(Everywhere)
        archive = WARCWriter(file, gzip=True) if arguments.archive else None
        process.crawl(
            crawler,
            seeds=json.loads(arguments.seeds.read_text()),
            archive=archive,
            remember=arguments.remember,
        )
        process.start()
    print(crawler.spider.pages if crawler.spider else 0)


if __name__ == "__main__":
    sys.exit(main())
