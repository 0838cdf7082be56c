"""The web as bytes: addresses, links, charsets, and the archives that pages are kept in.

::

    page ──┬─ find_links ────► links, base, robots, TDM     "../a#b" + base ── canonical_url ──► "http://host/a"
           └─ decode_page ───► text, encoding, what was replaced

>>> from textmill.web import canonical_url, find_links
>>> page = b"<base href=/docs/><a href='../a.html?x=1&amp;y=2#top'>a</a><!-- <a href=b> -->"
>>> found = find_links(page)
>>> base = canonical_url(found.base or "", "http://example.com/docs/index.html")
>>> [canonical_url(link.url, base) for link in found.links]
['http://example.com/a.html?x=1&y=2']
"""

from textmill.web.charset import Decoded, decode_page
from textmill.web.links import Link, PageLinks, Refresh, find_links, robots_directives
from textmill.web.urls import (
    SplitUrl,
    ascii_host,
    canonical_url,
    host_of,
    is_below,
    registered_domain,
    split_url,
)

__all__ = [
    "Decoded",
    "Link",
    "PageLinks",
    "Refresh",
    "SplitUrl",
    "ascii_host",
    "canonical_url",
    "decode_page",
    "find_links",
    "host_of",
    "is_below",
    "registered_domain",
    "robots_directives",
    "split_url",
]
