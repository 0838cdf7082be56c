"""A web server on loopback whose every answer a test decides."""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections import Counter
from collections.abc import Callable
from types import TracebackType

Answer = bytes | tuple[int, dict[str, str], bytes] | Callable[["Request"], object]


class Request:
    """A request: method, path with query, headers in small letters, and its head as it came."""

    def __init__(self, head: bytes, count: int) -> None:
        self.head = head
        self.count = count
        first, *lines = head.decode("latin-1").split("\r\n")
        self.method, self.path, _ = first.split(" ")
        self.headers = {
            name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)
        }


class Site:
    """Serves ``pages`` (path to answer) until the block ends.

    An answer is HTML, or status, headers and body; or a function of the request that returns such, or raw bytes in
    a :class:`Raw`. Paths without one are answered with 404, ``/robots.txt`` too.
    """

    def __init__(
        self, pages: dict[str, Answer], host: str = "127.0.0.1", tls: ssl.SSLContext | None = None
    ) -> None:
        self.pages = pages
        self.host = host
        self.tls = tls
        self.requests: list[Request] = []
        self.times: list[float] = []
        self._started = threading.Event()

    @property
    def hits(self) -> Counter[str]:
        return Counter(request.path for request in self.requests)

    def url(self, path: str = "/", host: str | None = None) -> str:
        return f"{'https' if self.tls else 'http'}://{host or self.host}:{self.port}{path}"

    def __enter__(self) -> Site:
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)
        self._thread.start()
        assert self._started.wait(10)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join(10)

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._end = asyncio.Event()
        server = await asyncio.start_server(self._answer, "0.0.0.0", 0, ssl=self.tls)
        self.port = server.sockets[0].getsockname()[1]
        self._started.set()
        await self._end.wait()
        server.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                request = Request(head[:-4], 0)
                request.count = self.hits[request.path] + 1
                self.requests.append(request)
                self.times.append(self._loop.time())
                answer: object = self.pages.get(request.path, (404, {}, b"nothing here"))
                if callable(answer):
                    answer = answer(request)
                if isinstance(answer, Raw):
                    for part in answer.parts:
                        if isinstance(part, float):
                            await asyncio.sleep(part)
                        else:
                            writer.write(part)
                            await writer.drain()
                    break
                writer.write(response(answer))
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError, ssl.SSLError):
            pass
        finally:
            writer.close()


class Raw:
    """Bytes to send as they are, seconds to wait between them, and then the connection is closed."""

    def __init__(self, *parts: bytes | float) -> None:
        self.parts = parts


def response(answer: object) -> bytes:
    status, headers, body = answer if isinstance(answer, tuple) else (200, {}, answer)
    assert isinstance(body, bytes)
    fields = {"Content-Type": "text/html; charset=utf-8", "Content-Length": str(len(body))} | headers
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items() if value)
    return f"HTTP/1.1 {status} Said so\r\n{head}\r\n".encode() + body


def page(*links: str, text: str = "Some words.", head: str = "") -> bytes:
    listed = "".join(f'<li><a href="{link}">link</a></li>' for link in links)
    return (
        f"<!doctype html><html><head>{head}</head><body><ul>{listed}</ul><p>{text}</p></body></html>".encode()
    )
