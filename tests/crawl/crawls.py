"""Crawls of test sites, and what they left."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from textmill.crawl.crawling import crawl
from textmill.crawl.sealing import ACCOUNT_FILE, Sealed
from textmill.crawl.settings import CrawlSettings

LOOPBACK = {"allow_addresses": ["127.0.0.0/8"], "delay": 0, "retry_wait": 0.01}


def crawled(folder: Path, seed: str | list[str], **settings: Any) -> Sealed:
    seeds = [seed] if isinstance(seed, str) else seed
    return crawl(CrawlSettings.model_validate({"seeds": seeds, **LOOPBACK, **settings}), folder)


def account(sealed: Sealed) -> dict[str, tuple[str, str | None]]:
    """Outcome and reason by address."""
    rows = pq.read_table(sealed.folder / ACCOUNT_FILE).to_pylist()
    assert len({row["url"] for row in rows}) == len(rows)
    return {row["url"]: (row["outcome"], row["reason"]) for row in rows}


def details(sealed: Sealed) -> dict[str, str | None]:
    return {row["url"]: row["detail"] for row in pq.read_table(sealed.folder / ACCOUNT_FILE).to_pylist()}
