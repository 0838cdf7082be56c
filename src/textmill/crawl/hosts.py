"""A host while it is worked on: its addresses, its rules, its pace."""

from __future__ import annotations

import zlib
from collections import OrderedDict, deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from textmill.crawl.opt_outs import TdmFile
from textmill.crawl.robots import Robots

if TYPE_CHECKING:
    from textmill.crawl.frontier_rows import HostRecord, Job
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
        rules: what it allows, packed, once that is known: robots.txt, and ``tdmrep.json`` if it has one.
        robots_time: when they were fetched, in seconds since 1970.
        robots_tries: how often they could not be reached.
        crawl_delay: seconds that its robots.txt asks for.
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
    rules: tuple[bytes, bytes | None] | None = None
    robots_time: float = 0.0
    robots_tries: int = 0
    crawl_delay: float = 0.0
    failures: int = 0
    archived: int = 0
    given_up: tuple[int, str, str] | None = None
    drained: bool = False
    latency: float = 0.0

    @classmethod
    def from_record(cls, record: HostRecord, now: float, clock: float) -> Host:
        """The host as the frontier remembers it.

        Args:
            record: what the frontier has.
            now: seconds since 1970.
            clock: the loop's time.
        """
        host = cls(record.id, record.origin, archived=record.archived, failures=record.failures)
        host.ready_at = clock + max(0.0, record.pause_until - now)
        if record.given_up:
            state, _, rest = record.given_up.partition(" ")
            reason, _, detail = rest.partition(" ")
            host.given_up = (int(state), reason, detail)
        if record.robots_time and record.robots and now - record.robots_time < ROBOTS_SECONDS:
            host.rules, host.robots_time = (record.robots, record.tdm), record.robots_time
        return host

    def rest(self, settings: CrawlSettings) -> float:
        """Seconds between the end of an answer and the next request."""
        adapted = min(self.latency * settings.delay_factor, settings.max_delay) if settings.delay else 0.0
        return max(settings.delay, self.crawl_delay, adapted)

    def answered(self, seconds: float) -> None:
        """Take note of how long an answer took."""
        self.latency = seconds if not self.latency else self.latency + _SMOOTHING * (seconds - self.latency)


@dataclass(slots=True)
class Rules:
    """What a host allows.

    Attributes:
        robots: its robots.txt, as it speaks to this crawl.
        tdm: its reservations, if it has a file of them.
        size: bytes of the two files.
    """

    robots: Robots
    tdm: TdmFile | None
    size: int


class RulesRead:
    """Rules of the hosts that are worked on, parsed; of many large files those that were used last.

    Two thousand hosts may each have half a megabyte of rules, which take several times as much parsed.

    Args:
        settings: of the crawl.
        most: bytes of files whose rules are kept.
    """

    def __init__(self, settings: CrawlSettings, most: int = 2**24) -> None:
        self._agent = settings.agent
        self._also_obey = tuple(settings.also_obey)
        self._most = most
        self._size = 0
        self._kept: OrderedDict[int, Rules] = OrderedDict()

    def of(self, host: Host) -> Rules:
        """The rules of a host that has some."""
        rules = self._kept.get(host.id)
        if rules is None:
            assert host.rules is not None
            robots_txt, tdm = (None if packed is None else zlib.decompress(packed) for packed in host.rules)
            assert robots_txt is not None
            robots = Robots(robots_txt, self._agent, self._also_obey)
            host.crawl_delay = robots.crawl_delay or 0.0
            size = len(robots_txt) + len(tdm or b"") + 1024
            rules = Rules(robots, TdmFile(tdm) if tdm is not None else None, size)
            self._kept[host.id] = rules
            self._size += size
            while self._size > self._most and len(self._kept) > 1:
                self._size -= self._kept.popitem(last=False)[1].size
        else:
            self._kept.move_to_end(host.id)
        return rules

    def forget(self, host: int) -> None:
        """The rules of a host have changed, or are not needed any more."""
        rules = self._kept.pop(host, None)
        if rules is not None:
            self._size -= rules.size
