"""A well-behaved site of many hosts for crawls that are interrupted: pages, redirects, errors, excluded directories."""

from __future__ import annotations

import random

from tests.crawl.hostile.answers import after, page, redirect, rules
from tests.crawl.hostile.outcomes import Outcome
from tests.crawl.hostile.server import Exchange, Fault, Handler, Server

SECONDS = 0.01  # that every answer takes


def good_site(hosts: int, pages: int, network: str = "127.10") -> Server:
    """A server of `hosts` hosts with so many pages each, all of which can be reached from the first page of any.

    Every tenth page is a redirect to the next one, every page links to one that is missing and to an excluded one.
    """
    rng = random.Random(3)
    names = [f"host{number}" for number in range(hosts)]
    faults = []
    for name in names:
        served: dict[str, Handler] = {}
        for place in range(pages):
            path = _path(place)
            if place % 10 == 9:
                served[path] = after(SECONDS, redirect(_path((place + 1) % pages), 301))
                continue
            near = [
                _path((place * 2 + 1) % pages),
                _path((place * 2 + 2) % pages),
                _path((place + 1) % pages),
            ]
            far = [f"{{{rng.choice(names)}}}{_path(rng.randrange(pages))}" for _ in range(3)]
            served[path] = _linking(
                f"{name} {place}", [*near, f"/private/{place}", f"/gone/{place % 5}"], far
            )
        excluding = rules("User-agent: *\nDisallow: /private/\n")
        faults.append(Fault(name, served, {"/": Outcome(())}, robots=excluding, limits={"/private": 0}))
    return Server(faults, network=network)


def _path(place: int) -> str:
    return f"/section-{place % 3}/page-{place}.html" if place else "/"


def _linking(title: str, near: list[str], far: list[str]) -> Handler:
    """A page whose links to other hosts are known only when the server runs."""

    async def handle(exchange: Exchange) -> None:
        links = [exchange.site.server.url(*link[1:].split("}", 1)) for link in far]
        await after(SECONDS, page(title, *near, *links))(exchange)

    return handle
