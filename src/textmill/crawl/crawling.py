"""A crawl from its settings to its seal: begun, gone on with, stopped, finished."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import signal
import sqlite3
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from textmill.crawl.answers import Judge
from textmill.crawl.archive import Archive
from textmill.crawl.engine import Engine
from textmill.crawl.frontier import Frontier
from textmill.crawl.frontier_rows import Link
from textmill.crawl.keeping import Keeper
from textmill.crawl.outcomes import ARCHIVED, PASSING
from textmill.crawl.previous import FRONTIER_FILE, Previous
from textmill.crawl.scope import Scope, allowed_domains, seed_addresses
from textmill.crawl.sealing import Sealed, break_seal, read_seal, seal
from textmill.crawl.settings import CrawlSettings
from textmill.crawl.spool import Spool
from textmill.errors import UserError
from textmill.steps.progress import Progress, Silence
from textmill.web.urls import split_url
from textmill.workspace.lock import RunLock
from textmill.workspace.storage import Storage, user_errors

_SHOW_SECONDS = 0.5


def crawl(
    settings: CrawlSettings,
    folder: Path | str,
    progress: Progress | None = None,
    *,
    retry_failed: bool = False,
) -> Sealed:
    """Crawl into ``folder`` until the crawl is finished, and seal it.

    What a former call has done is not done again: an unfinished crawl goes on, a sealed one is returned as it is, and
    one that stopped at a budget goes on when the budget has been raised.

    Args:
        settings: what to crawl, and how.
        folder: a local folder, made if need be.
        progress: told how it stands.
        retry_failed: whether what failed for a reason that may have passed (:data:`PASSING`) is tried again.

    Raises:
        UserError: seeds or domains cannot be read, the folder cannot be written, or holds another crawl.
        KeyboardInterrupt: it was stopped by SIGINT or SIGTERM, everything that had come being kept.
    """
    progress = progress or Silence()
    folder = Path(folder)
    seeds, domains = seed_addresses(settings), allowed_domains(settings)
    with user_errors(str(folder), making=True):
        folder.mkdir(parents=True, exist_ok=True)
    with RunLock(Storage(str(folder))):
        goal = _goal(settings, seeds, domains)
        sealed = read_seal(folder)
        if sealed is not None and not retry_failed and _known_goal(folder) == goal:
            return sealed
        _check_goal(folder, goal)
        break_seal(folder)
        return _Crawl(settings, folder, seeds, domains, goal, progress, retry_failed).run()


@dataclass
class _Crawl:
    settings: CrawlSettings
    folder: Path
    seeds: list[str]
    domains: list[str]
    goal: dict[str, Any]
    progress: Progress
    retry_failed: bool

    def run(self) -> Sealed:
        settings = self.settings
        scope = Scope(settings, self.seeds, self.domains)
        previous = Previous(Path(settings.previous)) if settings.previous else None
        frontier = Frontier(self.folder / FRONTIER_FILE, settings.max_per_prefix, settings.max_per_path)
        try:
            self._begin(frontier)
            archive = Archive(self.folder, frontier, settings.warc_bytes, _about(settings))
            if archive.taken_back:
                self.progress.say(f"{archive.taken_back:,} pages were lost by the disk and are fetched again")
            keeper = Keeper(frontier, archive, Judge(settings, scope), previous, settings.retries)
            spool = Spool(self.folder)
            keeper.take_up(spool.answers())
            spool.clear()
            self._engine(keeper, spool)
            archive.close()
            sealed = seal(self.folder, frontier, settings, self.progress.say)
            self.progress.finish("crawl", f"{sealed.totals['archived']:,} pages")
            return sealed
        except sqlite3.OperationalError as error:
            if "disk is full" not in str(error):
                raise
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.folder)) from error
        finally:
            frontier.close()

    def _begin(self, frontier: Frontier) -> None:
        frontier.begin()
        frontier.set_meta("goal", json.dumps(self.goal))
        frontier.db.execute("UPDATE hosts SET is_full = 0 WHERE is_full")
        frontier.add([Link(url, split_url(url).origin, 0) for url in self.seeds])
        if self.retry_failed:
            self.progress.say(f"{frontier.try_again(PASSING):,} addresses are tried again")
        frontier.commit()

    def _engine(self, keeper: Keeper, spool: Spool) -> None:
        totals = keeper.frontier.totals()
        archived = sum(count for (kind, state, _), count in totals.items() if kind == 0 and state == ARCHIVED)
        engine = Engine(self.settings, keeper, spool, archived)
        self.progress.start("crawl", self.settings.max_pages or 0, "pages")
        if not self.settings.contact and not self.settings.allow_addresses:
            self.progress.say("no contact is given: --contact tells webmasters who crawls and whom to tell")
        self._begun, self._archived_before = time.monotonic(), archived
        stopped = _run(engine, lambda: self._show(engine))
        spool.close()
        if stopped:
            keeper.archive.close()
            raise KeyboardInterrupt

    def _show(self, engine: Engine) -> None:
        standing = engine.standing
        numbers: dict[str, float] = {"queued": standing.queued, "hosts": standing.hosts}
        seconds = time.monotonic() - self._begun
        if seconds > 1:
            numbers["pages_per_second"] = (standing.archived - self._archived_before) / seconds
        numbers |= dict(standing.errors.most_common(4))
        self.progress.update("crawl", standing.archived, self.settings.max_pages or 0, **numbers)


def _run(engine: Engine, show: Callable[[], None]) -> bool:
    """Run the engine to its end; True if it was stopped."""
    stopped = False

    async def watched() -> None:
        nonlocal stopped
        loop = asyncio.get_running_loop()

        def stop() -> None:
            nonlocal stopped
            if stopped:
                raise KeyboardInterrupt  # asked for twice: at once, then
            stopped = True
            engine.stop()

        caught = []
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.add_signal_handler(number, stop)
                caught.append(number)
        shower = loop.create_task(_every(_SHOW_SECONDS, show))
        try:
            await engine.run()
        finally:
            shower.cancel()
            for number in caught:
                loop.remove_signal_handler(number)

    asyncio.run(watched())
    return stopped


async def _every(seconds: float, show: Callable[[], None]) -> None:
    while True:
        show()
        await asyncio.sleep(seconds)


def _goal(settings: CrawlSettings, seeds: list[str], domains: list[str]) -> dict[str, Any]:
    """What the crawl is about and how far it goes: what makes a finished crawl finished."""
    values = settings.model_dump(mode="json")
    goal = {name: values[name] for name in (*settings.IDENTITY, *settings.BUDGETS)}
    return goal | {"seeds": seeds, "domains": domains}


def _known_goal(folder: Path) -> dict[str, Any] | None:
    path = folder / FRONTIER_FILE
    if not path.exists():
        return None
    frontier = Frontier(path)
    try:
        written = frontier.meta("goal")
    finally:
        frontier.close()
    return json.loads(written) if written else None


def _check_goal(folder: Path, goal: dict[str, Any]) -> None:
    known = _known_goal(folder)
    if known is None:
        return
    differing = [name for name in CrawlSettings.IDENTITY if known.get(name) != goal[name]]
    if differing:
        raise UserError(
            "this folder holds another crawl",
            where=str(folder),
            expected="the same " + ", ".join(differing),
            found="; ".join(f"{name}: {str(known.get(name))[:80]}" for name in differing),
            hint="crawl into another folder, or delete this one",
        )


def _about(settings: CrawlSettings) -> list[tuple[str, str]]:
    from importlib.metadata import version

    return [
        ("software", f"textmill/{version('textmill')}"),
        ("format", "WARC File Format 1.1"),
        ("conformsTo", "http://iipc.github.io/warc-specifications/specifications/warc-format/warc-1.1/"),
        ("robots", "RFC 9309"),
        ("http-header-user-agent", settings.user_agent),
    ]
