"""Sitemaps, right and wrong; each is named in its site's robots.txt."""

from __future__ import annotations

import gzip

from tests.crawl.hostile.answers import answer, gzip_of_zeros, page, rules, stall
from tests.crawl.hostile.outcomes import Outcome, archived
from tests.crawl.hostile.server import Exchange, Fault, Handler

_SPACE = 'xmlns="http://www.sitemaps.org/schemas/sitemap/0.9"'


def _urls(*paths: str, kind: str = "urlset", entry: str = "url") -> Handler:
    """A sitemap of the site that it is asked of, whose address only the server knows."""

    async def handle(exchange: Exchange) -> None:
        await answer(_xml(exchange, paths, kind, entry), kind="application/xml")(exchange)

    return handle


def _xml(exchange: Exchange, paths: tuple[str, ...], kind: str = "urlset", entry: str = "url") -> str:
    places = "".join(f"<{entry}><loc>{exchange.site.url(path)}</loc></{entry}>" for path in paths)
    return f'<?xml version="1.0" encoding="UTF-8"?><{kind} {_SPACE}>{places}</{kind}>'


async def _packed(exchange: Exchange) -> None:
    await answer(gzip.compress(_xml(exchange, ("/only-there",)).encode()), kind="application/gzip")(exchange)


async def _robots(exchange: Exchange) -> None:
    await rules(f"User-agent: *\nDisallow:\nSitemap: {exchange.site.url('/sitemap.xml')}\n")(exchange)


def _site(name: str, sitemap: Handler, found: bool = True, **more: Handler) -> Fault:
    """A front page without links; `/only-there` stands in the sitemap alone."""
    pages = {"/": page("front"), "/only-there": page("only there"), "/sitemap.xml": sitemap}
    pages |= {f"/{path.replace('_', '.')}": handler for path, handler in more.items()}
    expected: dict[str, Outcome] = {"/": archived()} | ({"/only-there": archived()} if found else {})
    return Fault(name, pages, expected, robots=_robots, limits={"/sitemap": 12})


async def _index_abroad(exchange: Exchange) -> None:
    """An index that would have the crawler ask somebody else a hundred times."""
    bystander = exchange.site.server.url("bystander")
    places = "".join(f"<sitemap><loc>{bystander}{number}.xml</loc></sitemap>" for number in range(100))
    await answer(f"<sitemapindex {_SPACE}>{places}</sitemapindex>", kind="application/xml")(exchange)


_BILLION_LAUGHS = (
    '<?xml version="1.0"?><!DOCTYPE z [<!ENTITY a "ha">'
    + "".join(f'<!ENTITY {b} "{f"&{a};" * 20}">' for a, b in zip("abcdefgh", "bcdefghi", strict=True))
    + f"]><urlset {_SPACE}><url><loc>&i;</loc></url></urlset>"
)

FAULTS = [
    _site("sitemap", _urls("/only-there")),
    _site("sitemap_packed", _packed),
    _site(
        "sitemap_index",
        _urls("/sitemap2.xml", kind="sitemapindex", entry="sitemap"),
        sitemap2_xml=_urls("/only-there"),
    ),
    _site("sitemap_of_itself", _urls("/sitemap.xml", kind="sitemapindex", entry="sitemap"), False),
    _site(
        "sitemap_cut_off",
        answer(b'<?xml version="1.0"?><urlset><url><loc>http://127', kind="application/xml"),
        False,
    ),
    _site("sitemap_is_a_page", page("not a sitemap", "/x"), False),
    _site("sitemap_bomb", answer(gzip_of_zeros(48), kind="application/gzip"), False),
    _site("sitemap_of_a_billion_laughs", answer(_BILLION_LAUGHS, kind="application/xml"), False),
    _site("sitemap_stalls", stall(), False),
    _site("sitemap_index_abroad", _index_abroad, False),
    # Nobody's seed, in nobody's domain: must not hear of the crawl.
    Fault("bystander", {"*": page("bystander")}, {}, seeds=(), limits={"/": 0}),
]
