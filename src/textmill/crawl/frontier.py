"""The frontier: every address that was ever seen, on disk, and what became of it.

::

    add(links) ──► known (128-bit key) ── new? ──► urls (the row) + queue (host, rank) ──► lease(host) ──► a job
                                                       ▲                                      │
                                                       └────── settle: outcome, queue row goes ◄┘

One SQLite file in WAL mode. An address stays in the queue until the transaction that settles it, so that a lease is a
thing of the process that holds it: when that dies, its leases die, and nothing is lost. The transaction also says
how far the WARC files count; they are on the disk before it is committed (:mod:`textmill.crawl.keeping`).

Nothing here grows in memory with the number of addresses: caches have fixed sizes, SQLite's too.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from textmill.crawl.budgets import SCHEMA as BUDGETS
from textmill.crawl.budgets import Budgets
from textmill.crawl.frontier_rows import PAGE, SITEMAP, HostRecord, Job, Link, Settled, url_key
from textmill.crawl.outcomes import ARCHIVED, FAILED, QUEUED, REFUSED
from textmill.crawl.recent import Recent
from textmill.errors import UserError

FORMAT = 1
_CACHE_KIB = 48 * 1024

_SCHEMA = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE known (key BLOB PRIMARY KEY, id INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE urls (
    id INTEGER PRIMARY KEY, url TEXT NOT NULL, host INTEGER NOT NULL, kind INTEGER NOT NULL, depth INTEGER NOT NULL,
    via INTEGER, redirects INTEGER NOT NULL, state INTEGER NOT NULL, attempts INTEGER NOT NULL DEFAULT 0,
    reason TEXT, detail TEXT, status INTEGER, fetched REAL, file TEXT, offset INTEGER, length INTEGER,
    digest TEXT, etag TEXT, modified TEXT, refers TEXT
);
CREATE TABLE queue (host INTEGER, rank INTEGER, id INTEGER, PRIMARY KEY (host, rank, id)) WITHOUT ROWID;
CREATE TABLE hosts (
    id INTEGER PRIMARY KEY, origin TEXT NOT NULL UNIQUE, waiting INTEGER NOT NULL DEFAULT 0,
    turn INTEGER NOT NULL DEFAULT 0, archived INTEGER NOT NULL DEFAULT 0, pause_until REAL NOT NULL DEFAULT 0,
    failures INTEGER NOT NULL DEFAULT 0, is_full INTEGER NOT NULL DEFAULT 0, given_up TEXT,
    robots BLOB, robots_state TEXT, robots_time REAL, tdm BLOB
);
CREATE INDEX hosts_by_turn ON hosts (turn) WHERE waiting > 0 AND is_full = 0;
CREATE TABLE totals (kind INTEGER, state INTEGER, reason TEXT, addresses INTEGER NOT NULL,
    PRIMARY KEY (kind, state, reason)) WITHOUT ROWID;
CREATE TABLE skipped (reason TEXT PRIMARY KEY, links INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE files (name TEXT PRIMARY KEY, series TEXT NOT NULL, number INTEGER NOT NULL, length INTEGER NOT NULL,
    records INTEGER NOT NULL, closed INTEGER NOT NULL DEFAULT 0) WITHOUT ROWID;
"""


class Frontier:
    """The frontier of a crawl; to be used by one thread at a time, inside ``begin`` and ``commit``.

    Args:
        path: the SQLite file; made if need be.
        max_per_prefix: addresses per host and first directory.
        max_per_path: addresses that differ in their query alone.

    Attributes:
        waiting: addresses in the queue, as of the last transaction.

    Raises:
        UserError: it was written by another version of the mill, or is no frontier.
    """

    def __init__(self, path: Path, max_per_prefix: int = 2**62, max_per_path: int = 2**62) -> None:
        self._path = path
        fresh = not path.exists()
        self.db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, cached_statements=256)
        try:
            self._open(fresh)
            self._budgets = Budgets(self.db, max_per_prefix, max_per_path)
        except sqlite3.DatabaseError as error:
            raise UserError(
                "the frontier of this crawl cannot be read", where=str(path), found=str(error)
            ) from error

    def _open(self, fresh: bool) -> None:
        run = self.db.execute
        run("PRAGMA journal_mode=WAL")
        # Nothing is lost by kill -9; what a power failure takes from the log is found by comparing files with it.
        run("PRAGMA synchronous=NORMAL")
        run(f"PRAGMA cache_size=-{_CACHE_KIB}")
        run("PRAGMA mmap_size=0")
        run("PRAGMA temp_store=FILE")  # sealing sorts all addresses
        run("PRAGMA wal_autocheckpoint=4000")
        run("PRAGMA journal_size_limit=67108864")
        if fresh or not run("SELECT count(*) FROM sqlite_master").fetchone()[0]:
            self.db.executescript("BEGIN;" + _SCHEMA + BUDGETS + "COMMIT;")
            self.set_meta("format", FORMAT)
        found = self.meta("format")
        if found != FORMAT:
            raise UserError(
                "the frontier was written by another version",
                expected=f"format {FORMAT}",
                found=f"format {found}",
                where=str(self._path),
            )
        self._next_id = int(run("SELECT coalesce(max(id), 0) + 1 FROM urls").fetchone()[0])
        self._turn = int(run("SELECT coalesce(max(turn), 0) + 1 FROM hosts").fetchone()[0])
        self.waiting = int(run("SELECT coalesce(sum(waiting), 0) FROM hosts WHERE waiting > 0").fetchone()[0])
        self._hosts: Recent[str, int] = Recent()
        self._waiting: dict[int, int] = {}
        self._totals: dict[tuple[int, int, str], int] = {}
        self._skipped: dict[str, int] = {}

    def close(self) -> None:
        """Close the file; its log is folded into it. A transaction that was not committed never was."""
        if self.db.in_transaction:
            self.db.rollback()
        with contextlib.suppress(sqlite3.OperationalError):  # no room for it: the log is as good where it is
            self.db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        self.db.close()

    # --- transactions ----------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Begin a transaction."""
        self.db.execute("BEGIN IMMEDIATE")

    def commit(self) -> None:
        """Make everything since ``begin`` hold."""
        self.write_counts()
        self.db.execute("COMMIT")

    def write_counts(self) -> None:
        """Write the counts that were gathered, among them which hosts have waiting addresses."""
        self.waiting += sum(self._waiting.values())
        many = self.db.executemany
        many(
            "UPDATE hosts SET waiting = waiting + ? WHERE id = ?",
            [(n, h) for h, n in self._waiting.items() if n],
        )
        self._budgets.write()
        many(
            "INSERT INTO totals VALUES (?, ?, ?, ?) "
            "ON CONFLICT DO UPDATE SET addresses = addresses + excluded.addresses",
            [(*key, count) for key, count in self._totals.items() if count],
        )
        many(
            "INSERT INTO skipped VALUES (?, ?) ON CONFLICT DO UPDATE SET links = links + excluded.links",
            self._skipped.items(),
        )
        for gathered in (self._waiting, self._totals, self._skipped):
            gathered.clear()

    # --- adding ----------------------------------------------------------------------------------------------

    def add(self, links: Sequence[Link]) -> int:
        """Add those of ``links`` that are new; returns how many were."""
        by_key = {url_key(link.url): link for link in reversed(links)}
        keys = sorted(by_key)  # neighbours in the tree are looked up and added together
        for start in range(0, len(keys), 500):
            part = keys[start : start + 500]
            marks = ",".join("?" * len(part))
            for (key,) in self.db.execute(f"SELECT key FROM known WHERE key IN ({marks})", part):
                del by_key[key]
        if not by_key:
            return 0
        known, urls, queue = [], [], []
        # Ids, and with them the order of fetching, follow the order of the links.
        for key, link in reversed(by_key.items()):
            number = self._next_id
            self._next_id += 1
            host = self._host(link.origin)
            known.append((key, number))
            trap, detail = (link.trap, link.detail) if link.trap else self._budgets.use(link)
            state = REFUSED if trap else QUEUED
            urls.append(
                (number, link.url, host, link.kind, link.depth, link.via, link.redirects, state, trap, detail)
            )
            self._count(link.kind, state, trap or "")
            if not trap:
                queue.append((host, -1 if link.kind == SITEMAP else link.depth, number))
                self._waiting[host] = self._waiting.get(host, 0) + 1
        known.sort()
        many = self.db.executemany
        many("INSERT INTO known VALUES (?, ?)", known)
        many(
            "INSERT INTO urls (id, url, host, kind, depth, via, redirects, state, reason, detail) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            urls,
        )
        many("INSERT INTO queue VALUES (?, ?, ?)", queue)
        return len(urls)

    def skip(self, reason: str, links: int = 1) -> None:
        """Count links that are none of this crawl's business: nothing is kept of them but their number."""
        self._skipped[reason] = self._skipped.get(reason, 0) + links

    def _host(self, origin: str) -> int:
        number = self._hosts.get(origin)
        if number is None:
            row = self.db.execute("SELECT id FROM hosts WHERE origin = ?", (origin,)).fetchone()
            if row is None:
                self._turn += 1
                row = self.db.execute(
                    "INSERT INTO hosts (origin, turn) VALUES (?, ?) RETURNING id", (origin, self._turn)
                ).fetchone()
            number = int(row[0])
            self._hosts.put(origin, number)
        return number

    # --- leasing and settling --------------------------------------------------------------------------------

    def hosts_in_turn(self, count: int, active: set[int]) -> list[HostRecord]:
        """Up to ``count`` hosts with waiting addresses that are not ``active``, those longest without a turn first."""
        rows = self.db.execute(
            "SELECT id, origin, archived, pause_until, failures, given_up, robots, robots_state, robots_time, tdm "
            "FROM hosts WHERE waiting > 0 AND is_full = 0 ORDER BY turn LIMIT ?",
            (count + len(active),),
        )
        found = []
        for row in rows:
            if row[0] not in active:
                found.append(HostRecord(*row))
                if len(found) == count:
                    break
        for host in found:
            self._turn += 1
            self.db.execute("UPDATE hosts SET turn = ? WHERE id = ?", (self._turn, host.id))
        return found

    def lease(self, host: int, count: int, held: set[int]) -> list[Job]:
        """The next ``count`` addresses of a host that are not ``held`` already: low ranks first, then by age."""
        rows = self.db.execute(
            "SELECT u.id, u.url, u.depth, u.redirects, u.attempts, u.kind, q.rank, q.host, v.url "
            "FROM queue q JOIN urls u ON u.id = q.id LEFT JOIN urls v ON v.id = u.via "
            "WHERE q.host = ? ORDER BY q.rank, q.id LIMIT ?",
            (host, count + len(held)),
        )
        return [Job(*row) for row in rows if row[0] not in held][:count]

    def is_waiting(self, job: Job) -> bool:
        """Whether an address is in the queue as it was when it was leased."""
        place = (job.host, job.rank, job.id)
        return bool(
            self.db.execute("SELECT 1 FROM queue WHERE host = ? AND rank = ? AND id = ?", place).fetchone()
        )

    def settle(self, settled: Iterable[Settled]) -> None:
        """Write what became of leased addresses, and take them out of the queue."""
        rows, gone, archived = [], [], []
        for one in settled:
            job = one.job
            rows.append(
                (one.state, one.reason, one.detail, one.status, one.fetched, one.file, one.offset, one.length,
                 one.digest, one.etag, one.modified, one.refers, job.id)
            )  # fmt: skip
            gone.append((job.host, job.rank, job.id))
            self._waiting[job.host] = self._waiting.get(job.host, 0) - 1
            self._count(job.kind, QUEUED, "", -1)
            self._count(job.kind, one.state, one.reason)
            if one.state == ARCHIVED and job.kind == PAGE:
                archived.append((job.host,))
        many = self.db.executemany
        many(
            "UPDATE urls SET state = ?, reason = ?, detail = ?, status = ?, fetched = ?, file = ?, offset = ?, "
            "length = ?, digest = ?, etag = ?, modified = ?, refers = ? WHERE id = ?",
            rows,
        )
        many("DELETE FROM queue WHERE host = ? AND rank = ? AND id = ?", gone)
        many("UPDATE hosts SET archived = archived + 1 WHERE id = ?", archived)

    def put_back(self, job: Job, reason: str, detail: str) -> None:
        """A leased address is to be tried again, behind the host's others."""
        self.db.execute(
            "UPDATE urls SET attempts = attempts + 1, reason = ?, detail = ? WHERE id = ?",
            (reason, detail, job.id),
        )
        self.db.execute(
            "UPDATE queue SET rank = ? WHERE host = ? AND rank = ? AND id = ?",
            (job.rank + 1000, job.host, job.rank, job.id),
        )

    def remember_host(self, host: int, **columns: Any) -> None:
        """Set columns of a host."""
        names = ", ".join(f"{name} = ?" for name in columns)
        self.db.execute(f"UPDATE hosts SET {names} WHERE id = ?", (*columns.values(), host))

    # --- WARC files ------------------------------------------------------------------------------------------

    def file_grew(self, series: str, number: int, name: str, length: int, records: int, closed: bool) -> None:
        """Note how much of a WARC file counts."""
        self.db.execute(
            "INSERT INTO files VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (name) DO UPDATE SET length = excluded.length, "
            "records = excluded.records, closed = excluded.closed",
            (name, series, number, length, records, closed),
        )

    def files(self) -> list[tuple[str, str, int, int, int, bool]]:
        """Name, series, number, length, records and closed of every WARC file, in order."""
        rows = self.db.execute(
            "SELECT name, series, number, length, records, closed FROM files ORDER BY series, number"
        )
        return [(*row[:5], bool(row[5])) for row in rows]

    def take_back(self, file: str, length: int) -> int:
        """Queue again what was archived in ``file`` at ``length`` or behind it: the disk has lost it."""
        rows = self.db.execute(
            "SELECT id, host, depth, kind, state, reason FROM urls WHERE file = ? AND offset + length > ?",
            (file, length),
        ).fetchall()
        for number, host, depth, kind, state, reason in rows:
            self.db.execute(
                "UPDATE urls SET state = ?, reason = NULL, detail = NULL, file = NULL, offset = NULL, length = NULL "
                "WHERE id = ?",
                (QUEUED, number),
            )
            self.db.execute("INSERT INTO queue VALUES (?, ?, ?)", (host, depth, number))
            self._waiting[host] = self._waiting.get(host, 0) + 1
            self._count(kind, state, reason, -1)
            self._count(kind, QUEUED, "")
            if state == ARCHIVED and kind == PAGE:
                self.db.execute("UPDATE hosts SET archived = archived - 1 WHERE id = ?", (host,))
        return len(rows)

    def try_again(self, reasons: Sequence[str]) -> int:
        """Queue again what was given up for one of ``reasons``, and give hosts that were given up another chance."""
        marks = ",".join("?" * len(reasons))
        chosen = f"state IN ({FAILED}, {REFUSED}) AND reason IN ({marks})"
        run = self.db.execute
        run(f"INSERT INTO queue SELECT host, depth, id FROM urls WHERE {chosen}", reasons)
        for host, count in run(
            f"SELECT host, count(*) FROM urls WHERE {chosen} GROUP BY host", reasons
        ).fetchall():
            self._waiting[host] = self._waiting.get(host, 0) + count
        groups = run(
            f"SELECT kind, state, reason, count(*) FROM urls WHERE {chosen} GROUP BY 1, 2, 3", reasons
        )
        queued = 0
        for kind, state, reason, count in groups.fetchall():
            self._count(kind, state, reason, -count)
            self._count(kind, QUEUED, "", count)
            queued += count
        run(
            f"UPDATE urls SET state = {QUEUED}, attempts = 0, reason = NULL, detail = NULL, status = NULL, "
            f"file = NULL, offset = NULL, length = NULL WHERE {chosen}",
            reasons,
        )
        run(
            "UPDATE hosts SET given_up = NULL, robots_time = NULL, failures = 0, pause_until = 0 WHERE given_up NOTNULL"
        )
        return queued

    # --- asking ----------------------------------------------------------------------------------------------

    def meta(self, name: str) -> Any:
        """A value set by :meth:`set_meta`, or None."""
        row = self.db.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
        return row[0] if row else None

    def set_meta(self, name: str, value: Any) -> None:
        """Keep a value."""
        self.db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (name, value))

    def totals(self) -> dict[tuple[int, int, str], int]:
        """Addresses by kind, state and reason."""
        rows = self.db.execute("SELECT kind, state, reason, addresses FROM totals WHERE addresses <> 0")
        return {(kind, state, reason): count for kind, state, reason, count in rows}

    def skipped(self) -> dict[str, int]:
        """Links that were not followed, by reason."""
        return dict(self.db.execute("SELECT reason, links FROM skipped ORDER BY reason"))

    def host_count(self) -> int:
        """Hosts that were seen."""
        return int(self.db.execute("SELECT count(*) FROM hosts").fetchone()[0])

    def find(self, url: str) -> int | None:
        """The id of a canonical address."""
        row = self.db.execute("SELECT id FROM known WHERE key = ?", (url_key(url),)).fetchone()
        return int(row[0]) if row else None

    def _count(self, kind: int, state: int, reason: str, by: int = 1) -> None:
        key = (kind, state, reason)
        self._totals[key] = self._totals.get(key, 0) + by
