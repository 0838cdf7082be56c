"""One request and its answer, within bounds of size and time, kept byte by byte for the archive."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import aiohttp
from aiohttp.connector import Connection
from yarl import URL

from textmill.crawl.addresses import AddressGuard, ForbiddenAddressError, GuardedResolver
from textmill.crawl.contents import ACCEPTED
from textmill.crawl.outcomes import FAILED, REFUSED, Fault
from textmill.crawl.settings import CrawlSettings
from textmill.errors import UserError

_GRACE = 10.0  # seconds before a slow body is judged
_ACCEPT = "text/html,application/xhtml+xml,text/plain;q=0.9,*/*;q=0.1"
_MAX_HEADER = 32_768


@dataclass(slots=True)
class Fetched:
    """An answer.

    Attributes:
        url: canonical address that was asked for.
        moment: when, in seconds since 1970.
        seconds: from the request to the end of the body.
        request: the request's head, as sent.
        status: status code.
        head: status line and headers, ending in an empty line, as received, but for the transfer coding that the body
            no longer has.
        headers: names in lower case to values; of several with one name, joined by commas (X-Robots-Tag: lines).
        body: without transfer coding, with its content coding.
        address: IP address of the server, where it is known.
    """

    url: str
    moment: float
    seconds: float
    request: bytes
    status: int
    head: bytes
    headers: dict[str, str]
    body: bytes
    address: str | None

    @property
    def media_type(self) -> str:
        """``text/html``; empty if the server does not say."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()


class Fetcher:
    """Fetches; to be used as an asynchronous context manager.

    Args:
        settings: limits, user agent, allowed addresses.
    """

    def __init__(self, settings: CrawlSettings) -> None:
        self._settings = settings
        self._types = frozenset(one.lower() for one in settings.content_types)
        self._headers = {
            "User-Agent": settings.user_agent,
            "Accept": _ACCEPT,
            "Accept-Encoding": ACCEPTED,
        }
        self._common = "".join(f"{name}: {value}\r\n" for name, value in self._headers.items())
        self._session: aiohttp.ClientSession

    async def __aenter__(self) -> Fetcher:
        settings = self._settings
        guard = AddressGuard(settings.allow_addresses)
        connector = aiohttp.TCPConnector(
            resolver=GuardedResolver(guard),
            socket_factory=guard.socket,
            ssl=_tls(settings.ca_file),
            limit=0,
            ttl_dns_cache=300,
            keepalive_timeout=max(15.0, 2 * settings.delay),
        )
        self._session = aiohttp.ClientSession(
            connector=connector,
            response_class=_Response,
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            trust_env=False,
            timeout=aiohttp.ClientTimeout(
                total=None, sock_connect=settings.connect_timeout, sock_read=settings.first_byte_timeout
            ),
            max_line_size=_MAX_HEADER,
            max_field_size=_MAX_HEADER,
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._session.close()

    async def fetch(
        self,
        url: str,
        *,
        any_type: bool = False,
        conditions: Mapping[str, str] | None = None,
        cut_at: int | None = None,
    ) -> Fetched | Fault:
        """Ask for ``url`` (canonical) once; redirects are answers like others.

        Args:
            url: canonical address.
            any_type: whether every content type will do (robots.txt, sitemaps).
            conditions: headers such as If-None-Match.
            cut_at: a longer body is cut off here instead of being refused.
        """
        try:
            async with asyncio.timeout(self._settings.total_timeout):
                return await self._fetch(url, any_type, conditions, cut_at)
        except Exception as error:
            return _fault_of(error, self._settings)

    async def _fetch(
        self, url: str, any_type: bool, conditions: Mapping[str, str] | None, cut_at: int | None
    ) -> Fetched | Fault:
        settings = self._settings
        moment, begun = time.time(), time.monotonic()
        address = URL(url, encoded=True)
        headers = {**self._headers, **conditions} if conditions else self._headers
        async with self._session.get(address, headers=headers, allow_redirects=False) as response:
            status = response.status
            peer = response.peer if isinstance(response, _Response) else None
            found = joined_headers(response.raw_headers)
            if status == 200 and not any_type:
                media_type = found.get("content-type", "").partition(";")[0].strip().lower()
                if media_type and media_type not in self._types:
                    response.close()
                    return Fault(REFUSED, "content_type", media_type[:80])
            length = found.get("content-length", "")
            if length.isdigit() and int(length) > settings.max_bytes and cut_at is None:
                response.close()
                return Fault(REFUSED, "too_large", f"{int(length):,} bytes announced")
            body = await self._body(response, begun, cut_at)
            if isinstance(body, Fault):
                response.close()
                return body
            if not length and "transfer-encoding" not in found and _was_reset(response):
                return Fault(
                    FAILED, "truncated", f"the connection broke after {len(body):,} bytes", again=True
                )
            request = f"GET {address.raw_path_qs} HTTP/1.1\r\nHost: {address.raw_authority}\r\n{self._common}"
            if conditions:
                request += "".join(f"{name}: {value}\r\n" for name, value in conditions.items())
            return Fetched(
                url,
                moment,
                time.monotonic() - begun,
                (request + "\r\n").encode(),
                status,
                _head(response, len(body)),
                found,
                body,
                str(peer[0]) if peer else None,
            )

    async def _body(
        self, response: aiohttp.ClientResponse, begun: float, cut_at: int | None
    ) -> bytes | Fault:
        settings = self._settings
        stream = response.content
        parts: list[bytes] = []
        size = 0
        while part := await stream.readany():
            parts.append(part)
            size += len(part)
            if cut_at is not None and size >= cut_at:
                response.close()
                return b"".join(parts)[:cut_at]
            if size > settings.max_bytes:
                return Fault(REFUSED, "too_large", f"more than {settings.max_bytes:,} bytes")
            elapsed = time.monotonic() - begun
            if elapsed > _GRACE and size < settings.min_rate * elapsed:
                return Fault(FAILED, "slow", f"{size:,} bytes in {elapsed:.0f} s", again=True)
        return parts[0] if len(parts) == 1 else b"".join(parts)


class _Response(aiohttp.ClientResponse):
    """A response that knows its server; a short one has let its connection go when it is first seen."""

    peer: Any = None
    protocol: Any = None

    async def start(self, connection: Connection) -> aiohttp.ClientResponse:
        """Read the head."""
        self.protocol = connection.protocol
        transport = connection.transport
        self.peer = transport.get_extra_info("peername") if transport is not None else None
        return await super().start(connection)


def _was_reset(response: aiohttp.ClientResponse) -> bool:
    """Whether a body that only the end of the connection ends was ended by a reset."""
    protocol = response.protocol if isinstance(response, _Response) else None
    return protocol is not None and isinstance(protocol.exception(), aiohttp.ClientOSError)


def joined_headers(raw: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """Names in small letters to values; of several with one name, joined by commas (X-Robots-Tag: lines)."""
    found: dict[str, str] = {}
    for raw_name, raw_value in raw:
        name = raw_name.decode("latin-1").lower()
        value = raw_value.decode("utf-8", "surrogateescape").strip()
        # What a directive is bound to ends with its header: X-Robots-Tag keeps them apart.
        comma = "\n" if name == "x-robots-tag" else ", "
        found[name] = f"{found[name]}{comma}{value}" if name in found else value
    return found


def _head(response: aiohttp.ClientResponse, length: int) -> bytes:
    """The head as a WARC record holds it: a body without chunks must not be announced as chunked."""
    version = response.version
    number = f"{version.major}.{version.minor}" if version else "1.1"
    lines = [f"HTTP/{number} {response.status} {response.reason or ''}".encode("latin-1", "replace")]
    chunked = False
    for name, value in response.raw_headers:
        if name.lower() == b"transfer-encoding":
            chunked = True
            name = b"X-Crawler-Transfer-Encoding"
        lines.append(name + b": " + value)
    if chunked:
        lines.append(b"Content-Length: %d" % length)
    return b"\r\n".join(lines) + b"\r\n\r\n"


def _fault_of(error: Exception, settings: CrawlSettings) -> Fault:
    """What an exception means for an address."""
    cause = getattr(error, "os_error", None) or error
    if isinstance(cause, ForbiddenAddressError):
        return Fault(REFUSED, "address", str(cause))
    if isinstance(error, aiohttp.ConnectionTimeoutError):
        return Fault(FAILED, "timeout", f"no connection in {settings.connect_timeout:g} s", again=True)
    if isinstance(error, aiohttp.SocketTimeoutError):
        return Fault(FAILED, "timeout", f"nothing came for {settings.first_byte_timeout:g} s", again=True)
    if isinstance(error, TimeoutError):
        return Fault(FAILED, "timeout", f"not finished in {settings.total_timeout:g} s", again=True)
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return Fault(FAILED, "dns", _words(cause), again=True)
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return Fault(FAILED, "tls", _words(error.certificate_error))
    if isinstance(error, aiohttp.ClientSSLError | ssl.SSLError):
        return Fault(FAILED, "tls", _words(cause))
    if isinstance(error, aiohttp.ClientPayloadError):
        return Fault(FAILED, "truncated", _words(error), again=True)
    if isinstance(error, aiohttp.ServerDisconnectedError):
        return Fault(FAILED, "connection", "the server hung up without an answer", again=True)
    if isinstance(error, aiohttp.ClientResponseError | aiohttp.InvalidURL | ValueError):
        return Fault(FAILED, "protocol", _words(error))
    if isinstance(error, OSError):
        return Fault(FAILED, "connection", _words(cause), again=True)
    return Fault(FAILED, "crash", f"{type(error).__name__}: {_words(error)}")


def _words(error: BaseException) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text[:200]


def _tls(ca_file: str | None) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if ca_file:
        try:
            context.load_verify_locations(ca_file)
        except (OSError, ssl.SSLError) as error:
            raise UserError(
                "the certificates cannot be read", expected="a PEM file", found=str(error), where=ca_file
            ) from error
    return context
