"""The site: every article a page, with what surrounds a page on the web.

Layout: ``/`` and an index per section and per package; ``/module/…``, ``/readme/…``, ``/licence/…``; modules whose
name begins with an underscore below ``/private/``, which robots.txt closes; every eighth article once more below
``/print/``, without navigation, as a near-duplicate; one moved page and one dead link, as sites have them.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from urllib.parse import quote

from textmill.quickstart.articles import Article
from textmill.quickstart.markup import to_html

MOVED = {"/docs/": "/module/index.html"}
"""Addresses that answer with a permanent redirect, and where to."""

_SECTIONS = {"module": "Modules", "readme": "Packages", "licence": "Licences"}
_PRINTED = 8  # one article in so many has a page for printing
_PER_INDEX = 150  # links on an index page
_NEIGHBOURS = 12  # links to pages of the same package, on either side

ROBOTS = b"""User-agent: *
Disallow: /private/
Disallow: /search
"""

STYLE = b"""body { margin: 0; font: 16px/1.5 sans-serif; color: #222 }
.site-header, .site-footer, .breadcrumbs, .cookie-notice { padding: .5rem 1rem; background: #f2f2f0 }
.site-header ul, .site-footer ul { display: inline-flex; gap: 1rem; list-style: none; margin: 0; padding: 0 1rem }
.site-header form { float: right }
.layout { display: flex }
.sidebar { width: 16rem; padding: 1rem; font-size: .85rem; overflow-wrap: anywhere }
main { max-width: 50rem; padding: 1rem; min-width: 0 }
pre { background: #f7f7f5; padding: .5rem; overflow-x: auto }
"""


def render_site(articles: Sequence[Article]) -> dict[str, bytes]:
    """Path below the root (``module/json.html``) to the bytes of the page.

    The same articles give the same bytes.
    """
    paths = {article.locator: _path(article) for article in articles}
    by_package: dict[str, list[Article]] = defaultdict(list)
    for article in articles:
        by_package[article.package].append(article)
    site: dict[str, bytes] = {"robots.txt": ROBOTS, "style.css": STYLE}
    for package, members in by_package.items():
        for number, article in enumerate(members):
            near = members[max(0, number - _NEIGHBOURS) : number + _NEIGHBOURS + 1]
            site[paths[article.locator]] = _article_page(article, package, near, paths)
            if _is_printed(article):
                site[f"print/{paths[article.locator]}"] = _print_page(article)
    for section in _SECTIONS:
        members = [article for article in articles if article.locator.startswith(f"{section}/")]
        site.update(_index_pages(section, members, paths))
    site["index.html"] = _home(articles, by_package)
    site["about.html"] = _page("About", _ABOUT, [("Home", "/")])
    return site


def write_site(site: Mapping[str, bytes], folder: Path) -> None:
    """Write the pages below ``folder``, for a server or a browser.

    Raises:
        OSError: there is no room, or the folder may not be written.
    """
    made: set[Path] = set()
    for path, page in site.items():
        target = folder / path
        if target.parent not in made:
            target.parent.mkdir(parents=True, exist_ok=True)
            made.add(target.parent)
        target.write_bytes(page)


def _path(article: Article) -> str:
    section, _, name = article.locator.partition("/")
    if section == "module" and name.rpartition(".")[2].startswith("_"):
        section = "private"
    return f"{section}/{name}.html"


def _is_printed(article: Article) -> bool:
    return hashlib.sha256(article.locator.encode()).digest()[0] % _PRINTED == 0


def _address(path: str) -> str:
    return "/" + quote(path, safe="/")


def _article_page(article: Article, package: str, near: Sequence[Article], paths: Mapping[str, str]) -> bytes:
    section, _, name = article.locator.partition("/")
    here = paths[article.locator]
    siblings = "\n".join(
        f'<li><a href="{_address(paths[one.locator])}">{escape(one.locator.partition("/")[2])}</a></li>'
        for one in near
        if one is not article
    )
    tools = [f'<a href="/{section}/index.html">All {_SECTIONS[section].lower()}</a>']
    if _is_printed(article):
        tools.append(f'<a href="{_address(f"print/{here}")}">Printable version</a>')
    if name == "abc":
        tools.append('<a href="/module/abc_tutorial.html">Tutorial</a>')  # the dead link
    body = f"""<div class="layout">
<aside class="sidebar">
<h2>More of {escape(package)}</h2>
<ul>
{siblings}
</ul>
</aside>
<main id="content">
<article>
{to_html(article.text)}
</article>
<p class="page-tools">{" · ".join(tools)}</p>
</main>
</div>"""
    crumbs = [("Home", "/"), (_SECTIONS[section], f"/{section}/index.html"), (name, "")]
    return _page(f"{name} — {package} {article.version}".rstrip(), body, crumbs)


def _print_page(article: Article) -> bytes:
    name = article.locator.partition("/")[2]
    return _html(
        f"{name} (printable version)",
        f'<article class="printable">\n{to_html(article.text)}\n</article>\n'
        f"<p>Printable version of the page about {escape(name)}.</p>",
    )


def _index_pages(section: str, members: Sequence[Article], paths: Mapping[str, str]) -> dict[str, bytes]:
    title = _SECTIONS[section]
    pages = {}
    chunks = [members[start : start + _PER_INDEX] for start in range(0, len(members), _PER_INDEX)] or [[]]
    for number, chunk in enumerate(chunks):
        links = "\n".join(
            f'<li><a href="{_address(paths[one.locator])}">{escape(one.locator.partition("/")[2])}</a> '
            f"<small>{escape(one.package)} {escape(one.version)}</small></li>"
            for one in chunk
        )
        turns = []
        if number:
            turns.append(f'<a rel="prev" href="/{section}/{_index_name(number - 1)}">Previous page</a>')
        if number + 1 < len(chunks):
            turns.append(f'<a rel="next" href="/{section}/{_index_name(number + 1)}">Next page</a>')
        body = (
            f'<main id="content">\n<h1>{title}</h1>\n<ul class="index">\n{links}\n</ul>\n'
            f'<p class="pagination">{" ".join(turns)}</p>\n</main>'
        )
        crumbs = [("Home", "/"), (title, "")]
        pages[f"{section}/{_index_name(number)}"] = _page(
            title if not number else f"{title}, page {number + 1}", body, crumbs
        )
    return pages


def _index_name(number: int) -> str:
    return "index.html" if not number else f"index-{number + 1}.html"


def _home(articles: Sequence[Article], by_package: Mapping[str, Sequence[Article]]) -> bytes:
    packages = ", ".join(sorted(by_package)[:200])
    sections = "\n".join(
        f'<li><a href="/{name}/index.html">{title}</a></li>' for name, title in _SECTIONS.items()
    )
    body = f"""<main id="content">
<h1>What is installed here</h1>
<p>{len(articles):,} texts about the Python on this machine and the packages beside it: {escape(packages)}.</p>
<ul>
{sections}
<li><a href="/docs/">The old address of the modules</a></li>
</ul>
</main>"""
    return _page("Installed documentation", body, [("Home", "")])


_ABOUT = """<main id="content">
<h1>About these pages</h1>
<p>Docstrings, READMEs and licences of the Python on this machine, as pages of a small web site, so that a crawler
has something to crawl without a network. They are made anew whenever the quickstart needs them.</p>
</main>"""


def _page(title: str, body: str, crumbs: Sequence[tuple[str, str]]) -> bytes:
    """A page with everything that surrounds its body."""
    menu = "\n".join(f'<li><a href="/{name}/index.html">{text}</a></li>' for name, text in _SECTIONS.items())
    trail = " › ".join(
        f'<a href="{address}">{escape(text)}</a>' if address else f"<span>{escape(text)}</span>"
        for text, address in crumbs
    )
    return _html(
        title,
        f"""<div class="cookie-notice" role="dialog"><p>We use cookies to improve your experience on this site.</p>
<button>Accept all</button> <button>Settings</button></div>
<header class="site-header"><a class="logo" href="/">Installed documentation</a>
<nav class="main-menu"><ul>
<li><a href="/">Home</a></li>
{menu}
<li><a href="/about.html">About</a></li>
</ul></nav>
<form class="search" action="/search"><input name="q" placeholder="Search"><button>Go</button></form>
</header>
<div class="breadcrumbs">{trail}</div>
{body}
<footer class="site-footer"><p>Licences as stated by the packages. Read more
<a href="/about.html">about this site</a>.</p>
<ul><li><a href="/">Home</a></li>{menu}</ul></footer>""",
    )


def _html(title: str, body: str) -> bytes:
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>{escape(title)}</title>
<link rel="stylesheet" href="/style.css">
</head>
<body>
{body}
</body>
</html>
""".encode()
