"""Answers that faults are made of: plain ones that are right, and the pieces that wrong ones need."""

from __future__ import annotations

import asyncio
import functools
import zlib
from collections.abc import Mapping
from http import HTTPStatus

from tests.crawl.hostile.server import Exchange, Handler

_PHRASES = {status.value: status.phrase for status in HTTPStatus}


def head(status: int | str = 200, headers: Mapping[str, str] | None = None) -> bytes:
    """A status line and headers, and the empty line after them."""
    if isinstance(status, int):
        status = f"HTTP/1.1 {status} {_PHRASES.get(status, 'Unknown')}"
    lines = [status, *(f"{name}: {value}" for name, value in (headers or {}).items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def whole(
    body: bytes | str = b"",
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    kind: str = "text/html; charset=utf-8",
) -> bytes:
    """A complete answer with a true Content-Length; an empty `kind` leaves Content-Type out."""
    body = body.encode() if isinstance(body, str) else body
    fields = {"Content-Type": kind} if kind else {}
    fields |= {"Content-Length": str(len(body))} | dict(headers or {})
    return head(status, fields) + body


def text(title: str, *links: str, before: str = "", meta: str = "") -> str:
    """A page with some sentences, and links."""
    anchors = "\n".join(f'<li><a href="{link}">{link}</a></li>' for link in links)
    return (
        f"<!DOCTYPE html><html lang=en><head><title>{title}</title>{meta}</head><body>{before}<h1>{title}</h1>"
        f"<p>The mill turns with the water, and the water does not ask for {title}.</p><ul>{anchors}</ul></body></html>"
    )


def answer(
    body: bytes | str = b"",
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    kind: str = "text/html; charset=utf-8",
    keep: bool = True,
) -> Handler:
    """Answers rightly, and keeps the connection open."""
    data = whole(body, status, headers, kind)

    async def handle(exchange: Exchange) -> None:
        await exchange.send(data)
        exchange.keep = keep

    return handle


def page(title: str, *links: str, headers: Mapping[str, str] | None = None, meta: str = "") -> Handler:
    return answer(text(title, *links, meta=meta), headers=headers)


def rules(body: bytes | str, kind: str = "text/plain") -> Handler:
    """A robots.txt."""
    return answer(body, kind=kind)


def bytes_as_they_are(*parts: bytes, pause: float = 0.0, reset: bool = False) -> Handler:
    """Sends these bytes, whatever they are, and closes or resets."""

    async def handle(exchange: Exchange) -> None:
        for part in parts:
            await exchange.send(part)
            if pause:
                await asyncio.sleep(pause)
        if reset:
            exchange.reset()

    return handle


def endless(first: bytes, again: bytes, pause: float = 0.0) -> Handler:
    """Sends `first`, then `again` until the other side hangs up."""

    async def handle(exchange: Exchange) -> None:
        await exchange.send(first)
        while True:
            await exchange.send(again)
            await asyncio.sleep(pause)

    return handle


def stall(*parts: bytes, seconds: float = 60) -> Handler:
    """Sends these bytes and then nothing, with the connection open."""

    async def handle(exchange: Exchange) -> None:
        await exchange.send(*parts)
        await exchange.wait(seconds)

    return handle


def redirect(location: str | bytes, status: int = 302) -> Handler:
    """To a place; `{name}` in it is the address (http://127.9.0.n:port) of the site of that name."""

    async def handle(exchange: Exchange) -> None:
        where = location
        if isinstance(where, str) and where.startswith("{"):
            name, _, path = where[1:].partition("}")
            where = exchange.site.server.url(name, path)
        raw = where.encode() if isinstance(where, str) else where
        await exchange.send(
            f"HTTP/1.1 {status} Moved\r\nContent-Length: 0\r\nLocation: ".encode(), raw, b"\r\n\r\n"
        )
        exchange.keep = True

    return handle


def in_turn(*handlers: Handler) -> Handler:
    """The first request of a target gets the first answer, …; the last answer stays."""

    async def handle(exchange: Exchange) -> None:
        await handlers[min(exchange.number, len(handlers)) - 1](exchange)

    return handle


def after(seconds: float, handler: Handler) -> Handler:
    """Waits first."""

    async def handle(exchange: Exchange) -> None:
        await asyncio.sleep(seconds)
        await handler(exchange)

    return handle


async def not_found(exchange: Exchange) -> None:
    await exchange.send(whole(text("Nothing here"), 404))
    exchange.keep = True


async def reset_at_once(exchange: Exchange) -> None:
    exchange.reset()


async def hang_up(exchange: Exchange) -> None:
    """Closes without a word."""


def chunk(data: bytes) -> bytes:
    return f"{len(data):x}\r\n".encode() + data + b"\r\n"


@functools.cache
def gzip_of_zeros(megabytes: int) -> bytes:
    """A gzip member of so many megabytes of zeros; about a thousandth of that."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    block = bytes(2**20)
    return b"".join(packer.compress(block) for _ in range(megabytes)) + packer.flush()
