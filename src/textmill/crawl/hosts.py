"""A host while it is worked on: its addresses, its rules, its pace."""

from __future__ import annotations

import zlib
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from textmill.crawl.opt_outs import TdmFile
from textmill.crawl.robots import Robots

if TYPE_CHECKING:
    from textmill.crawl.frontier import HostRecord, Job
    from textmill.crawl.settings import CrawlSettings

ROBOTS_SECONDS = 24 * 3600.0
"""How long a robots.txt may be kept (RFC 9309, 2.4)."""

MAX_FAILURES = 10
"""A host that fails so often in a row, whatever is asked for, is given up."""

_SMOOTHING = 0.3  # weight of the newest answer's time


@dataclass(slots=True)
class Host:
    """A host that is worked on.

    Attributes:
        id: in the frontier.
        origin: scheme, name and port.
        jobs: leased addresses that wait.
        held: ids of all leased addresses, waiting, being fetched or not settled yet.
        busy: connections in use.
        listed: whether it stands in the queue of hosts that may be asked now.
        ready_at: when it may be asked next, by the loop's clock.
        robots: its rules, once they are known.
        robots_time: when they were fetched, in seconds since 1970.
        robots_tries: how often they could not be reached.
        tdm: its reservations, if it has a file of them.
        failures: in a row.
        archived: pages archived, and those that may still become so.
        given_up: why nothing more is asked of it, as (state, reason, detail).
        drained: whether the frontier had nothing more for it when asked last.
        latency: smoothed seconds of an answer.
    """

    id: int
    origin: str
    jobs: deque[Job] = field(default_factory=deque)
    held: set[int] = field(default_factory=set)
    busy: int = 0
    listed: bool = False
    ready_at: float = 0.0
    robots: Robots | None = None
    robots_time: float = 0.0
    robots_tries: int = 0
    tdm: TdmFile | None = None
    failures: int = 0
    archived: int = 0
    given_up: tuple[int, str, str] | None = None
    drained: bool = False
    latency: float = 0.0

    @classmethod
    def from_record(cls, record: HostRecord, settings: CrawlSettings, now: float, clock: float) -> Host:
        """The host as the frontier remembers it.

        Args:
            record: what the frontier has.
            settings: of the crawl.
            now: seconds since 1970.
            clock: the loop's time.
        """
        host = cls(record.id, record.origin, archived=record.archived, failures=record.failures)
        host.ready_at = clock + max(0.0, record.pause_until - now)
        if record.given_up:
            state, _, rest = record.given_up.partition(" ")
            reason, _, detail = rest.partition(" ")
            host.given_up = (int(state), reason, detail)
        if record.robots_time and now - record.robots_time < ROBOTS_SECONDS:
            host.set_rules(
                zlib.decompress(record.robots) if record.robots else b"",
                zlib.decompress(record.tdm) if record.tdm else None,
                record.robots_time,
                settings,
            )
        return host

    def set_rules(self, robots_txt: bytes, tdm: bytes | None, moment: float, settings: CrawlSettings) -> None:
        """Set what the site allows."""
        self.robots = Robots(robots_txt, settings.agent, tuple(settings.also_obey))
        self.robots_time = moment
        self.tdm = TdmFile(tdm) if tdm is not None else None

    def rest(self, settings: CrawlSettings) -> float:
        """Seconds between the end of an answer and the next request."""
        asked = self.robots.crawl_delay if self.robots and self.robots.crawl_delay is not None else 0.0
        adapted = min(self.latency * settings.delay_factor, settings.max_delay) if settings.delay else 0.0
        return max(settings.delay, asked, adapted)

    def answered(self, seconds: float) -> None:
        """Take note of how long an answer took."""
        self.latency = seconds if not self.latency else self.latency + _SMOOTHING * (seconds - self.latency)
