"""The site made and served, for as long as somebody crawls it."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from textmill.quickstart.articles import installed_articles
from textmill.quickstart.server import serve
from textmill.quickstart.site import MOVED, render_site, write_site
from textmill.steps.progress import Progress

PORT = 8707
"""Of loopback, where it is free: addresses, and with them the ids of documents, are then the same in every run."""


@contextmanager
def hosted_site(
    progress: Progress, max_source_bytes: int, processes: int = 1, port: int = PORT
) -> Iterator[str]:
    """Make the site in a temporary folder and serve it on loopback.

    Args:
        progress: told how it goes.
        max_source_bytes: source code whose documentation becomes pages, in bytes.
        processes: how many read it at a time.
        port: where to serve; another one if it is taken.

    Yields:
        The address of its front page.

    Raises:
        UserError: the standard library's source is not installed, or the server does not start.
        OSError: there is no room for some 30 MB of pages.
    """
    with tempfile.TemporaryDirectory(prefix="textmill-site-") as folder:
        progress.start("site: installed documentation as web pages", max_source_bytes, "bytes")
        articles = installed_articles(max_source_bytes, processes, progress.advance)
        site = render_site(articles)
        write_site(site, Path(folder))
        with serve(Path(folder), port, MOVED) as address:
            progress.finish("site", f"{len(site):,} pages at {address}")
            yield address
