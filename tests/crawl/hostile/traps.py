"""Sites without end: calendars, session ids, paths that grow, pages of pages, cookies that must come back."""

from __future__ import annotations

import itertools
from collections.abc import Callable

from tests.crawl.hostile.answers import page, redirect, text, whole
from tests.crawl.hostile.outcomes import archived, failed
from tests.crawl.hostile.server import Exchange, Fault, Handler

BUDGET = 30
"""Pages of one host that the crawl of the traps allows."""

_numbers = itertools.count()


def _growing(links: Callable[[str], list[str]]) -> Handler:
    async def handle(exchange: Exchange) -> None:
        await exchange.send(whole(text(exchange.request.target[-60:], *links(exchange.request.target))))
        exchange.keep = True

    return handle


def _month_after(target: str) -> list[str]:
    year, month = (int(part) for part in (target.strip("/") or "calendar/2026/1").split("/")[1:3])
    later, earlier = (year + month // 12, month % 12 + 1), (year - (month == 1), (month - 2) % 12 + 1)
    return [f"/calendar/{y}/{m}" for y, m in (later, earlier)]


async def _cookie_wall(exchange: Exchange) -> None:
    """Sends everybody without its cookie round again."""
    if "seen=1" in exchange.request.headers.get("cookie", ""):
        await exchange.send(whole(text("behind the wall")))
    else:
        await exchange.send(
            b"HTTP/1.1 302 Found\r\nSet-Cookie: seen=1\r\nLocation: /\r\nContent-Length: 0\r\n\r\n"
        )
    exchange.keep = True


def _trap(name: str, handler: Handler, **more: Handler) -> Fault:
    return Fault(name, {"*": handler, **more}, {"/": archived()}, limits={"/": BUDGET + 2})


FAULTS = [
    _trap("calendar", _growing(_month_after)),
    _trap(
        "session_ids",
        _growing(lambda target: [f"/?sid={next(_numbers):08x}", f"/page?PHPSESSID={next(_numbers):032x}"]),
    ),
    _trap(
        "paths_that_grow",
        _growing(lambda target: [f"{target.rstrip('/')}/again", f"{target.rstrip('/')}/more"]),
    ),
    _trap(
        "pages_of_pages",
        _growing(lambda target: [f"/list?page={int((target + '=0').split('=')[1] or 0) + 1}"]),
    ),
    _trap("hundreds_of_links", _growing(lambda target: [f"/{next(_numbers)}" for _ in range(300)])),
    _trap(
        "redirects_to_new_places",
        lambda exchange: (
            redirect(f"/{next(_numbers)}")(exchange)
            if exchange.request.target != "/"
            else page("front", "/go")(exchange)
        ),
    ),
    Fault("cookie_wall", {"/": _cookie_wall}, {"/": failed("redirect_loop")}, limits={"/": 10}),
]
