"""What a site may expect of whoever crawls it, in whole crawls."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

from tests.crawl.crawls import account, crawled, details
from tests.crawl.server import Request, Site, page

TEXT = {"Content-Type": "text/plain"}


def ends(site: Site, found: dict[str, tuple[str, str | None]]) -> dict[str, str | None]:
    """Reason by path, for addresses of the site itself."""
    return {url.removeprefix(site.url("")): reason for url, (_, reason) in found.items()}


def test_sitemaps_lead_to_pages_that_nothing_links_to(tmp_path: Path) -> None:
    def index(request: Request) -> object:
        found = "<sitemapindex><sitemap><loc>/more.txt</loc></sitemap></sitemapindex>"
        return 200, {"Content-Type": "text/xml"}, found.replace("/more", site.url("/more")).encode()

    pages: dict[str, object] = {
        "/": page(),
        "/alone": page(),
        "/index.xml": index,
        "/more.txt": lambda _: (200, TEXT, f"{site.url('/alone')}\nhttps://elsewhere.example/\n".encode()),
        "/robots.txt": lambda _: (200, TEXT, f"Sitemap: {site.url('/index.xml')}".encode()),
    }
    with Site(pages) as site:  # type: ignore[arg-type]
        sealed = crawled(tmp_path / "1", site.url())
        without = crawled(tmp_path / "2", site.url(), sitemaps=False)
    assert ends(site, account(sealed)) == {
        "/": "page",
        "/alone": "page",
        "/index.xml": "sitemap",
        "/more.txt": "sitemap",
    }
    assert (sealed.totals["seen"], sealed.totals["sitemaps"], sealed.skipped) == (2, 2, {"domain": 1})
    assert without.totals["seen"] == 1


def test_a_site_whose_rules_cannot_be_reached_is_left_alone_until_they_can(tmp_path: Path) -> None:
    heals = {"/": page(), "/robots.txt": lambda r: (503, {}, b"") if r.count < 3 else (404, {}, b"")}
    never = {"/": page(), "/robots.txt": (500, {}, b"")}
    with Site(heals) as first, Site(never) as second:
        sealed = crawled(tmp_path, [first.url(), second.url()], robots_retries=2)
    assert account(sealed) == {
        first.url(): ("archived", "page"),
        second.url(): ("refused", "robots_unreachable"),
    }
    assert second.hits == {"/robots.txt": 3}
    assert "HTTP 500" in str(details(sealed)[second.url()])


def test_retry_after_is_waited_for_and_a_day_is_too_long(tmp_path: Path) -> None:
    busy = {"/": lambda r: (429, {"Retry-After": "1"}, b"") if r.count == 1 else page()}
    closed = {"/": (503, {"Retry-After": "86400"}, b"")}
    with Site(busy) as first, Site(closed) as second:
        sealed = crawled(tmp_path, [first.url(), second.url()])
    times = [at for request, at in zip(first.requests, first.times, strict=True) if request.path == "/"]
    assert times[1] - times[0] >= 0.99
    assert account(sealed)[first.url()] == ("archived", "page")
    assert account(sealed)[second.url()] == ("failed", "host")
    assert second.hits["/"] == 1


def test_rests_between_requests(tmp_path: Path) -> None:
    pages = {"/": page("a", "b"), "/a": page(), "/b": page()}
    with Site(pages) as site:
        crawled(tmp_path / "1", site.url(), delay=0.15)
        assert min(later - earlier for earlier, later in pairwise(site.times[2:])) >= 0.14
        site.requests.clear()
        site.times.clear()
        site.pages["/robots.txt"] = (200, TEXT, b"User-agent: *\nCrawl-delay: 0.3")
        crawled(tmp_path / "2", site.url())
        assert min(later - earlier for earlier, later in pairwise(site.times[2:])) >= 0.29


def test_no_way_leads_inside(tmp_path: Path) -> None:
    with Site({"/": page()}, host="127.0.0.2") as inner:
        pages = {
            "/": page("hop", f"http://[::ffff:127.0.0.2]:{inner.port}/", f"http://0x7f.2:{inner.port}/"),
            "/hop": (302, {"Location": inner.url("/secret")}, b""),
        }
        with Site(pages) as site:
            sealed = crawled(
                tmp_path,
                site.url(),
                domains=["127.0.0.1", "127.0.0.2", "[::ffff:127.0.0.2]"],
                allow_addresses=["127.0.0.1/32"],
            )
    assert not inner.requests
    found = account(sealed)
    assert found.pop(site.url()) == ("archived", "page")
    assert found.pop(site.url("/hop")) == ("redirected", "redirect")
    assert len(found) == 3
    assert set(found.values()) == {("refused", "address")}


def test_nofollow_on_links_pages_and_in_headers(tmp_path: Path) -> None:
    pages = {
        "/": b'<a href=/a>a</a><a href=/sponsored rel="nofollow">x</a><a href=/header>h</a><a href=/meta>m</a>',
        "/a": page(),
        "/header": (200, {"X-Robots-Tag": "textmill: nofollow"}, page("hidden")),
        "/meta": page("hidden", head='<meta name="textmill" content="nofollow, noindex">'),
        "/hidden": page(),
        "/sponsored": page(),
    }
    with Site(pages) as site:  # type: ignore[arg-type]
        sealed = crawled(tmp_path, site.url())
    assert ends(site, account(sealed)) == {"/": "page", "/a": "page", "/header": "page", "/meta": "noindex"}
    assert sealed.skipped == {"nofollow": 3}


def test_what_is_refused_is_not_kept(tmp_path: Path) -> None:
    import gzip

    pages = {
        "/": page("reserved", "open"),
        "/reserved": (200, {"TDM-Reservation": "1"}, page(text="NOT FOR MINING")),
        "/open": page(text="FOR ALL", head='<meta name="tdm-reservation" content="0">'),
        "/.well-known/tdmrep.json": (200, {}, b'[{"location": "/open", "tdm-reservation": 1}]'),
    }
    with Site(pages) as site:  # type: ignore[arg-type]
        sealed = crawled(tmp_path / "1", site.url())
        careless = crawled(tmp_path / "2", site.url(), respect_opt_outs=False)
    assert ends(site, account(sealed)) == {"/": "page", "/reserved": "tdm", "/open": "page"}
    assert careless.totals["archived"] == 3
    kept = b"".join(gzip.decompress(path.read_bytes()) for path in (tmp_path / "1" / "warc").iterdir())
    assert b"FOR ALL" in kept
    assert b"NOT FOR MINING" not in kept


def test_budgets_per_host(tmp_path: Path) -> None:
    pages = {"/": page(*(f"/{n}" for n in range(9)))} | {f"/{n}": page() for n in range(9)}
    with Site(pages) as site:
        hosts = [f"127.0.0.{n}" for n in range(1, 4)]
        seeds = [site.url(host=host) for host in hosts]
        sealed = crawled(tmp_path, seeds, domains=hosts, max_per_host=4)
        assert sealed.totals["archived"] == 12
        assert sealed.totals["left"] == 3 * 10 - 12
        assert crawled(tmp_path, seeds, domains=hosts, max_per_host=6).totals["archived"] == 18


def test_signals_against_training_keep_the_crawl_away(tmp_path: Path) -> None:
    robots = b"User-agent: *\nContent-Usage: /art/ train-ai=n\nAllow: /"
    pages = {"/": page("art/a", "b"), "/art/a": page(), "/b": page(), "/robots.txt": (200, TEXT, robots)}
    with Site(pages) as site:
        sealed = crawled(tmp_path, site.url())
    assert ends(site, account(sealed)) == {"/": "page", "/art/a": "ai_signal", "/b": "page"}
    assert site.hits["/art/a"] == 0


def test_what_failed_can_be_tried_again(tmp_path: Path) -> None:
    from textmill.crawl.crawling import crawl
    from textmill.crawl.sealing import verify_seal
    from textmill.crawl.settings import CrawlSettings

    pages = {"/": page("a", "gone"), "/a": (500, {}, b""), "/gone": (410, {}, b"")}
    down = {"/": page(), "/robots.txt": (503, {}, b"")}
    with Site(pages) as site, Site(down) as second:
        seeds = [site.url(), second.url()]
        sealed = crawled(tmp_path, seeds, retries=0, robots_retries=0)
        assert (sealed.totals["archived"], sealed.totals["failed"], sealed.totals["refused"]) == (1, 2, 1)
        site.pages["/a"] = page("b")
        site.pages["/b"] = page()
        second.pages["/robots.txt"] = (404, {}, b"")
        settings = CrawlSettings(seeds=seeds, allow_addresses=["127.0.0.0/8"], delay=0, retries=0)
        again = crawl(settings, tmp_path, retry_failed=True)
    assert ends(site, account(again)) == {
        "/": "page",
        "/a": "page",
        "/b": "page",
        "/gone": "http",
        second.url(): "page",
    }
    assert site.hits["/"] == 1
    assert verify_seal(again) == []
