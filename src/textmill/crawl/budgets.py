"""Budgets against traps: how many addresses a directory may have, and how many queries a path.

A calendar that goes on for ever, or a shop whose filters combine, makes addresses without end. Their number is what
gives them away, so they are counted as they are found; how many were used stands in the frontier's file.
"""

from __future__ import annotations

import sqlite3

from textmill.crawl.frontier_rows import PAGE, Link, url_key
from textmill.crawl.recent import Recent

SCHEMA = "CREATE TABLE budgets (key BLOB PRIMARY KEY, used INTEGER NOT NULL) WITHOUT ROWID;"


class Budgets:
    """What is used of the budgets of a crawl.

    Args:
        db: the frontier's file.
        per_prefix: addresses per host and first directory.
        per_path: addresses that differ in their query alone.
    """

    def __init__(self, db: sqlite3.Connection, per_prefix: int, per_path: int) -> None:
        self._db = db
        self._per_prefix = per_prefix
        self._per_path = per_path
        self._used: Recent[str, int] = Recent()
        self._dirty: dict[str, int] = {}

    def use(self, link: Link) -> tuple[str | None, str | None]:
        """Use one of the budgets of an address; why it is refused, as reason and detail, if one is used up."""
        if link.kind != PAGE:
            return None, None
        path, mark, _ = link.url[len(link.origin) :].partition("?")
        end = path.find("/", 1)
        prefix = link.origin + (path[: end + 1] if end > 0 else "/")
        if self._is_used_up(prefix, self._per_prefix):
            return "prefix_budget", f"more than {self._per_prefix:,} addresses below {prefix}"
        if mark and self._is_used_up(f"{link.origin}{path}?", self._per_path):
            return "path_budget", f"more than {self._per_path:,} queries of {link.origin}{path}"
        return None, None

    def _is_used_up(self, name: str, most: int) -> bool:
        """Use one of a budget; True if there is none left."""
        used = self._used.get(name)
        if used is None:
            used = self._dirty.get(name)
        if used is None:
            row = self._db.execute("SELECT used FROM budgets WHERE key = ?", (url_key(name),)).fetchone()
            used = int(row[0]) if row else 0
        if used >= most:
            self._used.put(name, used)
            return True
        self._used.put(name, used + 1)
        self._dirty[name] = used + 1
        return False

    def write(self) -> None:
        """Write what was used since the last call, in the transaction that is open."""
        self._db.executemany(
            "INSERT INTO budgets VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET used = excluded.used",
            [(url_key(name), used) for name, used in self._dirty.items()],
        )
        self._dirty.clear()
