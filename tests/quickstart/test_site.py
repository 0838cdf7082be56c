"""The site: every article reachable, private ones closed, copies for printing, the same bytes every time."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.error import HTTPError
from urllib.parse import unquote, urljoin
from urllib.request import urlopen

import pytest

from textmill.quickstart import MOVED, Article, installed_articles, render_site, serve, write_site

ARTICLES = sorted(
    [
        *(Article(f"module/pack.part{n}", f"# pack.part{n}\n\nText {n}.", "pack", "1.0") for n in range(200)),
        Article("module/pack._hidden", "# pack._hidden\n\nNot for you.", "pack", "1.0"),
        Article("module/abc", "# abc\n\nAbstract base classes.", "python", "3.13"),
        Article("readme/größer pack", "# Größer\n\nEin <Paket>.", "größer pack", "2"),
        Article("licence/pack/LICENSE.txt", "Do what you like.", "pack", "1.0"),
    ],
    key=lambda article: article.locator.encode(),
)


def reachable(site: dict[str, bytes]) -> set[str]:
    """Paths that following links from the front page meets, and those that it cannot find."""
    seen, waiting = set(), ["http://h/"]
    while waiting:
        address = waiting.pop()
        path = unquote(address.removeprefix("http://h/")) or "index.html"
        if not address.startswith("http://h/") or path in seen or "search" in path:
            continue
        seen.add(path)
        if path in site:
            links = re.findall(rb'href="([^"]+)"', site[path])
            waiting += [urljoin(address, link.decode()) for link in links]
    return seen


def test_links_reach_every_page_and_one_that_is_not_there() -> None:
    site = render_site(ARTICLES)
    found = reachable(site)
    assert {path for path in site if path.endswith(".html")} <= found
    dead = {path for path in found if path not in site}
    assert dead == {"module/abc_tutorial.html", "docs/"}


def test_private_modules_lie_where_robots_may_not_go() -> None:
    site = render_site(ARTICLES)
    assert "private/pack._hidden.html" in site
    assert b"Disallow: /private/" in site["robots.txt"]


def test_a_page_for_printing_has_the_text_and_no_navigation() -> None:
    site = render_site(ARTICLES)
    printed = [path for path in site if path.startswith("print/")]
    assert 5 <= len(printed) <= 60
    for path in printed:
        assert b"<nav" not in site[path]
        text = re.search(rb"<article[^>]*>(.*?)</article>", site[path.removeprefix("print/")], re.S)
        assert text is not None
        assert text[1] in site[path]


def test_the_same_articles_give_the_same_bytes() -> None:
    assert render_site(ARTICLES) == render_site(ARTICLES)


def test_names_are_escaped() -> None:
    page = render_site(ARTICLES)["readme/größer pack.html"].decode()
    assert "Ein &lt;Paket&gt;." in page
    assert "<Paket>" not in page


def test_articles_are_what_is_installed() -> None:
    articles = installed_articles(0)
    names = [article.locator for article in articles]
    assert "module/json" in names
    assert "readme/numpy" in names
    assert names == sorted(names, key=str.encode)


def test_the_server_serves_and_ends(tmp_path: Path) -> None:
    write_site(render_site(ARTICLES), tmp_path)
    with serve(tmp_path, moved=MOVED) as root:
        assert urlopen(root + "module/abc.html").read().startswith(b"<!DOCTYPE html>")
        assert urlopen(root + "docs/").geturl() == root + "module/index.html"
        with pytest.raises(HTTPError, match="404"):
            urlopen(root + "module/abc_tutorial.html")
        with serve(tmp_path, port=int(root.rpartition(":")[2].strip("/"))) as other:
            assert other != root
    with pytest.raises(OSError):
        urlopen(root)
