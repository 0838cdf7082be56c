"""A disk that fills up stops a crawl with a word about the disk; with room again it goes on where it was."""

from __future__ import annotations

import errno
import sqlite3
from pathlib import Path

import pytest

from tests.crawl.crawls import account, crawled
from tests.crawl.server import Site, page
from textmill.crawl.archive import Archive
from textmill.crawl.frontier import Frontier

PAGES = {"/": page(*(f"p{number}" for number in range(40)))} | {
    f"/p{number}": page("/") for number in range(40)
}


@pytest.mark.parametrize("where", ["archive", "frontier", "spool"])
def test_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    with Site(PAGES) as site:
        with monkeypatch.context() as patched:
            _fill_disk(patched, where)
            if where == "spool":  # what only saves work may fail
                crawled(tmp_path / "out", site.url())
            else:
                with pytest.raises(OSError) as caught:
                    crawled(tmp_path / "out", site.url())
                assert caught.value.errno == errno.ENOSPC
        sealed = crawled(tmp_path / "out", site.url())
        assert len(account(sealed)) == 41
        assert sealed.totals["archived"] == 41


def _fill_disk(patched: pytest.MonkeyPatch, where: str) -> None:
    full = OSError(errno.ENOSPC, "No space left on device")
    calls = []

    def fail(error: Exception, right):  # type: ignore[no-untyped-def]
        def third_time(*arguments: object) -> object:
            calls.append(1)
            if len(calls) > 2:
                raise error
            return right(*arguments)

        return third_time

    if where == "archive":
        patched.setattr(Archive, "sync", fail(full, Archive.sync))
    elif where == "frontier":
        error = sqlite3.OperationalError("database or disk is full")
        patched.setattr(Frontier, "settle", fail(error, Frontier.settle))
    else:
        import os

        patched.setattr(os, "writev", fail(full, os.writev))
