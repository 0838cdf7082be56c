"""A finished crawl is sealed: nothing in it changes any more, and everything after it is deterministic.

``crawl.json`` holds the SHA-256 of every WARC file and of the account, the totals, and the settings;
``addresses.parquet`` is the account: a row for every address that was seen, with what became of it and why.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from textmill.crawl.archive import FOLDER, PAGES
from textmill.crawl.frontier import Frontier
from textmill.crawl.frontier_rows import PAGE
from textmill.crawl.outcomes import ARCHIVED, OUTCOMES
from textmill.crawl.settings import CrawlSettings
from textmill.errors import ConservationError, UserError

SEAL_FILE = "crawl.json"
ACCOUNT_FILE = "addresses.parquet"
FORMAT = 1
_ROWS = 65_536


@dataclass(frozen=True)
class Sealed:
    """A sealed crawl.

    Attributes:
        folder: where it lies.
        totals: seen, archived, redirected, refused, failed, left; hosts, bytes.
        reasons: addresses by outcome and reason: ``{"refused": {"robots": 12}}``.
        skipped: links that were out of scope and not kept, by reason.
        files: name, series, bytes, records and sha256 of every WARC file.
        account: name, bytes, rows and sha256 of the account.
        settings: of the crawl.
    """

    folder: Path
    totals: dict[str, int]
    reasons: dict[str, dict[str, int]]
    skipped: dict[str, int]
    files: list[dict[str, Any]]
    account: dict[str, Any]
    settings: dict[str, Any]

    def pages(self) -> list[dict[str, Any]]:
        """The WARC files that hold pages."""
        return [file for file in self.files if file["series"] == PAGES]

    @property
    def digest(self) -> str:
        """One identity for everything that is sealed."""
        parts = [file["sha256"] for file in self.files] + [self.account["sha256"]]
        return hashlib.sha256("".join(parts).encode()).hexdigest()


def seal(folder: Path, frontier: Frontier, settings: CrawlSettings, tell: Callable[[str], None]) -> Sealed:
    """Seal a crawl whose archive is closed.

    Args:
        folder: of the crawl.
        frontier: open, with no transaction.
        settings: of the crawl.
        tell: told what is done, for it may take minutes.

    Raises:
        ConservationError: addresses are unaccounted for.
    """
    totals, reasons = count(frontier)
    _check(frontier, totals)
    files: list[dict[str, Any]] = []
    for name, series, _, length, records, _ in frontier.files():
        if length > 2**30:
            tell(f"checksum of {name} …")
        path = folder / FOLDER / name
        if path.stat().st_size != length:
            raise ConservationError(f"{path} holds {path.stat().st_size:,} bytes; {length:,} were committed")
        files.append(
            {"name": name, "series": series, "bytes": length, "records": records, "sha256": _sha256(path)}
        )
    rows = _write_account(frontier, folder / ACCOUNT_FILE)
    account = {
        "name": ACCOUNT_FILE,
        "rows": rows,
        "bytes": (folder / ACCOUNT_FILE).stat().st_size,
        "sha256": _sha256(folder / ACCOUNT_FILE),
    }
    totals["hosts"] = frontier.host_count()
    totals["bytes"] = sum(file["bytes"] for file in files)
    sealed = Sealed(
        folder, totals, reasons, frontier.skipped(), files, account, settings.model_dump(mode="json")
    )
    contents = {
        "format": FORMAT,
        "totals": totals,
        "reasons": reasons,
        "skipped_links": sealed.skipped,
        "files": files,
        "account": account,
        "settings": sealed.settings,
    }
    _write(folder / SEAL_FILE, json.dumps(contents, indent=1, ensure_ascii=False).encode())
    return sealed


def read_seal(folder: Path) -> Sealed | None:
    """The sealed crawl in a folder; None if there is none, or it is not finished."""
    try:
        contents = json.loads((folder / SEAL_FILE).read_text("utf-8"))
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise UserError(
            "the seal of a crawl is damaged", where=str(folder / SEAL_FILE), found=str(error)
        ) from error
    if contents.get("format") != FORMAT:
        raise UserError(
            "the crawl was sealed by another version",
            expected=f"format {FORMAT}",
            found=f"format {contents.get('format')}",
            where=str(folder / SEAL_FILE),
        )
    return Sealed(
        folder,
        contents["totals"],
        contents["reasons"],
        contents["skipped_links"],
        contents["files"],
        contents["account"],
        contents["settings"],
    )


def break_seal(folder: Path) -> None:
    """The crawl goes on: it is not sealed any more."""
    (folder / SEAL_FILE).unlink(missing_ok=True)


def verify_seal(sealed: Sealed) -> list[str]:
    """What is not as it was sealed, in words; nothing if all is well. Reads every file."""
    faults = []
    for file in [*sealed.files, sealed.account]:
        path = sealed.folder / (FOLDER if "series" in file else "") / file["name"]
        if not path.exists():
            faults.append(f"{path} is missing")
        elif path.stat().st_size != file["bytes"]:
            faults.append(f"{path} holds {path.stat().st_size:,} bytes, {file['bytes']:,} were sealed")
        elif _sha256(path) != file["sha256"]:
            faults.append(f"{path} is not what was sealed: its SHA-256 differs")
    return faults


def count(frontier: Frontier) -> tuple[dict[str, int], dict[str, dict[str, int]]]:
    """Pages by outcome, and by outcome and reason."""
    totals = {"seen": 0, **dict.fromkeys(OUTCOMES, 0), "sitemaps": 0}
    reasons: dict[str, dict[str, int]] = {}
    for (kind, state, reason), addresses in sorted(frontier.totals().items()):
        if kind != PAGE:
            totals["sitemaps"] += addresses
            continue
        totals["seen"] += addresses
        totals[OUTCOMES[state]] += addresses
        if reason:
            reasons.setdefault(OUTCOMES[state], {})[reason] = addresses
    return totals, reasons


def _check(frontier: Frontier, totals: dict[str, int]) -> None:
    rows = frontier.db.execute("SELECT kind = 0, count(*) FROM urls GROUP BY 1").fetchall()
    seen = dict(rows).get(1, 0)
    known = frontier.db.execute("SELECT count(*) FROM known").fetchone()[0]
    parts = sum(totals[name] for name in OUTCOMES)
    if not (seen == totals["seen"] == parts and known == sum(int(number) for _, number in rows)):
        raise ConservationError(
            f"the crawl has seen {seen:,} addresses ({known:,} keys with sitemaps), but accounts for {parts:,}: "
            + ", ".join(f"{totals[name]:,} {name}" for name in OUTCOMES)
        )


def _write_account(frontier: Frontier, path: Path) -> int:
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pa.schema(
        [
            pa.field("url", pa.string(), nullable=False),
            pa.field("outcome", pa.string(), nullable=False),
            pa.field("reason", pa.string()),
            pa.field("detail", pa.string()),
            pa.field("kind", pa.string(), nullable=False),
            pa.field("status", pa.int16()),
            pa.field("depth", pa.int32(), nullable=False),
            pa.field("via", pa.string()),
            pa.field("attempts", pa.int32(), nullable=False),
            pa.field("fetched", pa.float64()),
            pa.field("digest", pa.string()),
            pa.field("file", pa.string()),
            pa.field("offset", pa.int64()),
            pa.field("length", pa.int64()),
            pa.field("refers", pa.string()),
        ]
    )
    select = (
        "SELECT u.url, u.state, u.reason, u.detail, u.kind, u.status, u.depth, v.url, u.attempts, u.fetched, "
        "u.digest, u.file, u.offset, u.length, u.refers FROM urls u LEFT JOIN urls v ON v.id = u.via "
    )
    # Pages as they stand in their files, so that a reader of a stretch of them reads a stretch of this.
    pages = f"u.kind = {PAGE} AND u.state = {ARCHIVED}"
    parts = (f"WHERE {pages} ORDER BY u.file, u.offset", f"WHERE NOT ({pages}) ORDER BY u.id")
    rows = 0
    part = path.with_name(path.name + ".part")
    with pq.ParquetWriter(part, schema, compression="zstd") as writer:
        for which in parts:
            cursor = frontier.db.execute(select + which)
            while found := cursor.fetchmany(_ROWS):
                columns = [list(column) for column in zip(*found, strict=True)]
                columns[1] = [OUTCOMES[state] for state in columns[1]]
                columns[4] = ["sitemap" if kind else "page" for kind in columns[4]]
                writer.write_table(pa.table(columns, schema=schema))
                rows += len(found)
    part.replace(path)
    return rows


def _write(path: Path, contents: bytes) -> None:
    part = path.with_name(path.name + ".part")
    with part.open("wb") as stream:
        stream.write(contents)
        stream.flush()
        os.fsync(stream.fileno())
    part.replace(path)


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
