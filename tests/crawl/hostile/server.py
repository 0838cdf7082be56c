"""A server on loopback whose sites misbehave: one address (127.9.0.n) for each fault, one port for all of them.

    server = Server([fault, …])
    server.start()
    server.url("gzip_bomb")            # 'http://127.9.0.7:40123/'
    server.site("gzip_bomb").requests  # what was asked, when
    server.stop()

Plain asyncio streams, because a library that speaks HTTP would not let its answers be wrong.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import struct
import threading
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field

from tests.crawl.hostile.outcomes import Outcome

Handler = Callable[["Exchange"], Awaitable[None]]


@dataclass(frozen=True)
class Fault:
    """A site that does one thing wrong, and what a right crawler records about each of its addresses.

    Attributes:
        pages: what answers a path; "*" answers all others, without it they are 404.
        expected: path → what must be in the ledger.
        seeds: paths that the crawl begins with.
        robots: what answers /robots.txt; 404 if None.
        certificate: None for plain HTTP, else a name of `certificates.contexts`.
        scheme: of the addresses that the crawler is given, if it is not what the site speaks.
        limits: path prefix → the most requests that may reach it.
    """

    name: str
    pages: Mapping[str, Handler]
    expected: Mapping[str, Outcome]
    seeds: tuple[str, ...] = ("/",)
    robots: Handler | None = None
    certificate: str | None = None
    scheme: str | None = None
    limits: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Request:
    """What a crawler asked, and when (seconds of the monotonic clock)."""

    at: float
    method: str
    target: str
    headers: Mapping[str, str]


@dataclass
class Site:
    """A fault while it is served."""

    fault: Fault
    address: str
    port: int
    server: Server
    requests: list[Request] = field(default_factory=list)
    open_connections: int = 0
    most_connections: int = 0

    def url(self, path: str = "/") -> str:
        scheme = self.fault.scheme or ("https" if self.fault.certificate else "http")
        return f"{scheme}://{self.address}:{self.port}{path}"

    def count(self, prefix: str) -> int:
        """How many requests reached paths that begin so."""
        return sum(1 for request in self.requests if request.target.startswith(prefix))

    def counts(self) -> Counter[str]:
        return Counter(request.target for request in self.requests)


class Exchange:
    """One request, and the connection to answer it wrongly."""

    def __init__(
        self, site: Site, request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.site = site
        self.request = request
        self.reader = reader
        self.writer = writer
        self.keep = False
        self.number = sum(1 for each in site.requests if each.target == request.target)
        """1 for the first request of this target."""

    async def send(self, *parts: bytes) -> None:
        for part in parts:
            self.writer.write(part)
        await self.writer.drain()

    async def wait(self, seconds: float) -> None:
        """Waits, or until the other side hangs up."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while await self.reader.read(65536):
                    pass

    def reset(self) -> None:
        """Ends the connection with RST instead of FIN."""
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


class Server:
    """Serves faults from a thread of its own."""

    def __init__(
        self,
        faults: Iterable[Fault],
        contexts: Callable[[str, str], ssl.SSLContext] | None = None,
        network: str = "127.9",
    ) -> None:
        """`contexts` makes the TLS context of a certificate's name and an address."""
        self._contexts = contexts
        self._sockets: dict[str, socket.socket] = {}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="hostile server", daemon=True)
        self._ready = threading.Event()
        self._port = 0
        self.sites: dict[str, Site] = {}
        for number, fault in enumerate(faults, 1):
            address = f"{network}.{number // 250}.{number % 250 + 1}"
            listening = self._listen(address)
            assert fault.name not in self.sites, f"two faults named {fault.name}"
            self._sockets[fault.name] = listening
            self.sites[fault.name] = Site(fault, address, self._port, self)

    def site(self, name: str) -> Site:
        return self.sites[name]

    def url(self, name: str, path: str = "/") -> str:
        return self.sites[name].url(path)

    def start(self) -> None:
        self._thread.start()
        assert self._ready.wait(20), "the server did not start"

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    def _listen(self, address: str) -> socket.socket:
        listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((address, self._port))
        self._port = self._port or listening.getsockname()[1]
        listening.listen(128)
        return listening

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.set_exception_handler(lambda loop, context: None)  # broken connections are its business
        self._loop.run_until_complete(self._serve())
        self._ready.set()
        self._loop.run_forever()
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        self._loop.run_until_complete(asyncio.sleep(0))
        for listening in self._sockets.values():
            listening.close()
        self._loop.close()

    async def _serve(self) -> None:
        for name, site in self.sites.items():
            context = None
            if site.fault.certificate:
                assert self._contexts, "a fault of TLS needs certificates"
                context = self._contexts(site.fault.certificate, site.address)
            await asyncio.start_server(
                lambda reader, writer, site=site: _connection(site, reader, writer),
                sock=self._sockets[name],
                ssl=context,
                limit=2**20,
            )


async def _connection(site: Site, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    site.open_connections += 1
    site.most_connections = max(site.most_connections, site.open_connections)
    try:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            while await _answer(site, reader, writer):
                pass
    finally:
        site.open_connections -= 1
        with contextlib.suppress(Exception):
            writer.close()


async def _answer(site: Site, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *lines = head.split("\r\n")
    method, target, _ = (first + "  ").split(" ", 2)
    headers = {
        name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)
    }
    request = Request(time.monotonic(), method, target, headers)
    site.requests.append(request)
    exchange = Exchange(site, request, reader, writer)
    await _handler(site.fault, target)(exchange)
    return exchange.keep


def _handler(fault: Fault, target: str) -> Handler:
    from tests.crawl.hostile.answers import not_found

    path = target.partition("?")[0]
    if path == "/robots.txt" and path not in fault.pages:
        return fault.robots or not_found
    for each in (target, path):
        if each in fault.pages:
            return fault.pages[each]
    if path.startswith("/.well-known/") or path.startswith("/sitemap"):
        return not_found
    return fault.pages.get("*", not_found)
