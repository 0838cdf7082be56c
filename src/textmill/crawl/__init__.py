"""From seeds to sealed WARC files: a crawler that loses nothing, harms nobody, and says what became of every address.

::

    seeds ─► frontier (SQLite) ─► robots.txt, opt-outs ─► fetch ─► WARC 1.1 ─► seal
                ▲                        │                  │         │          │
                └──── links in scope ◄───┼──────────────────┼─────────┘     crawl.json, addresses.parquet
                                         └── refused, failed: each with its reason

Kill it at any instant: the same call goes on, archives no page twice and loses none.

>>> from textmill.crawl import CrawlSettings, may_fetch
>>> settings = CrawlSettings(seeds=["https://example.com/"], max_pages="10k", contact="https://example.org/crawl")
>>> settings.user_agent
'textmill/... (+https://example.org/crawl)'
>>> bool(may_fetch(b"User-agent: textmill\\nDisallow: /private", "textmill", "https://example.com/private/a"))
False

:func:`textmill.crawl.crawling.crawl` does it; importing this package imports nothing heavy.
"""

from textmill.crawl.robots import Permission, may_fetch
from textmill.crawl.settings import CrawlSettings

__all__ = ["CrawlSettings", "Permission", "may_fetch"]
