"""The crawl itself: hosts in turn, addresses fetched, answers handed to the keeper.

::

              ┌──────────── addresses, hosts ─────────────┐
              ▼                                           │
    hosts ready ──► fetching tasks ──► answers ──► the keeper's thread (textmill.crawl.keeping)
      ▲    rest          │
      └──────────────────┘

One event loop fetches; one thread judges, archives and settles in batches. A host is asked over one connection at a
time (``per_host``) and rests between two requests. Hosts take turns; each is given a few addresses at a time, so that
neither a large host nor millions of hosts fill the memory.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from textmill.crawl.answers import Answer, retry_after
from textmill.crawl.fetching import Fetched, Fetcher
from textmill.crawl.frontier_rows import PAGE, Job
from textmill.crawl.hosts import MAX_FAILURES, ROBOTS_SECONDS, Host, RulesRead
from textmill.crawl.keeping import Batch, Keeper, Reply, Want
from textmill.crawl.outcomes import FAILED, REFUSED, Fault
from textmill.crawl.settings import CrawlSettings
from textmill.crawl.site_rules import SiteRules, fetch_rules
from textmill.crawl.spool import Spool

QUOTA, MAX_QUOTA = 8, 128
"""Addresses that a host is given at a time: the fewer, the more hosts there are."""
STOP_SECONDS = 5.0
"""How long an answer that is on the way may take when the crawl is stopped."""
MAX_ACTIVE = 2_048
"""Hosts that are worked on at the same time, each with its addresses in memory and a connection that is kept."""
RESOLVERS = 64
"""Names that are looked up at the same time: a slow name server must not hold up the others."""
BATCH = 128
"""Answers that are settled at a time."""
MAX_UNSETTLED = 2 * BATCH
BATCH_BYTES = 16 * 2**20
"""... or of so many bytes, whichever comes first: a hundred long pages are a lot of memory."""
MAX_UNSETTLED_BYTES = 2 * BATCH_BYTES
_BATCH_SECONDS = 0.5
_UNREACHABLE = frozenset({"http", "timeout", "slow", "connection", "truncated", "coding"})
_LEAST_SECONDS = 0.05  # between two batches, as long as anything is on its way


@dataclass
class Standing:
    """How a crawl stands, for those who watch.

    Attributes:
        archived: pages archived.
        queued: addresses that wait.
        hosts: hosts that are worked on.
        fetching: requests on the way.
        errors: addresses that failed or were refused since the crawl began or went on, by reason.
    """

    archived: int = 0
    queued: int = 0
    hosts: int = 0
    fetching: int = 0
    errors: Counter[str] = field(default_factory=Counter)


class Engine:
    """Crawls until there is nothing left to do, a budget is used up, or it is told to stop.

    Args:
        settings: of the crawl.
        keeper: frontier and archive; used by a thread of its own while the engine runs.
        spool: keeps answers until they are settled.
        archived: pages archived so far.
    """

    def __init__(self, settings: CrawlSettings, keeper: Keeper, spool: Spool, archived: int) -> None:
        self._settings = settings
        self._keeper = keeper
        self._spool = spool
        self._archived = archived
        self._most = settings.max_pages if settings.max_pages is not None else 2**62
        self._most_per_host = settings.max_per_host if settings.max_per_host is not None else 2**62
        self._hosts: dict[int, Host] = {}
        self._most_active = min(MAX_ACTIVE, max(settings.concurrency, open_files() // 2))
        self._rules = RulesRead(settings)
        self._batch = Batch()
        self._fetching = 0
        self._open = 0  # answers on the way or not settled, each of which may be a page
        self._unsettled = 0
        self._unsettled_bytes = 0
        self._batch_bytes = 0
        self._blocked: list[Host] = []
        self._stop = False
        self._stop_at = 0.0
        self._exhausted = False  # whether the frontier has no hosts besides those that are worked on
        self.standing = Standing(archived=archived)

    def stop(self) -> None:
        """Begin nothing new; what is on the way gets some seconds to end, and is settled."""
        if not self._stop:
            self._stop = True
            self._stop_at = self._loop.time() + STOP_SECONDS
            self._wake.set()

    async def run(self) -> None:
        """Crawl."""
        self._loop = asyncio.get_running_loop()
        self._loop.set_default_executor(ThreadPoolExecutor(RESOLVERS, thread_name_prefix="textmill-dns"))
        self._ready: asyncio.Queue[Host] = asyncio.Queue()
        self._wake = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        thread = ThreadPoolExecutor(1, thread_name_prefix="textmill-keeper")
        workers: list[asyncio.Task[None]] = []
        try:
            async with Fetcher(self._settings) as fetcher:
                workers = [
                    self._loop.create_task(self._work(fetcher)) for _ in range(self._settings.concurrency)
                ]
                try:
                    await self._settle_until_done(thread, workers)
                finally:  # before the connections go, whose end would look like the servers' fault
                    for worker in workers:
                        worker.cancel()
                    await asyncio.gather(*workers, return_exceptions=True)
        finally:
            thread.shutdown(wait=True)

    # --- settling --------------------------------------------------------------------------------------------

    async def _settle_until_done(self, thread: ThreadPoolExecutor, workers: list[asyncio.Task[None]]) -> None:
        settled = self._loop.time()
        while not self._is_done():
            now = self._loop.time()
            count, since = len(self._batch.answers), now - settled
            full = count >= BATCH or self._batch_bytes >= BATCH_BYTES
            due = full or (self._has_news() and since >= _BATCH_SECONDS)
            if due or since >= _LEAST_SECONDS or not self._fetching:
                wants = self._wants()
                # Somebody has nothing to do who could have.
                spare = self._ready.empty() and self._fetching < self._settings.concurrency
                starving = spare and wants and (count >= BATCH // 4 or any(not host.jobs for host in wants))
                idle = not self._fetching and self._ready.empty()
                if due or starving or (idle and (self._has_news() or self._looks_for_hosts())):
                    settled = now
                    await self._settle(thread, wants)
                    continue
            for worker in workers:
                if worker.done():
                    worker.result()  # a defect of the mill: raise it
            self._wake.clear()
            try:
                async with asyncio.timeout(0.1):
                    await self._wake.wait()
            except TimeoutError:
                pass
        while self._has_news():
            await self._settle(thread, [])

    async def _settle(self, thread: ThreadPoolExecutor, wants: list[Host]) -> None:
        batch, self._batch = self._batch, Batch()
        batch_bytes, self._batch_bytes = self._batch_bytes, 0
        quota = min(MAX_QUOTA, max(QUOTA, self._most_active // (4 * max(1, len(self._hosts)))))
        batch.wants = [Want(host.id, quota, host.held) for host in wants]
        if self._may_take_hosts():
            batch.new_hosts = min(self._most_active - len(self._hosts), 256)
            batch.quota = quota
            batch.active = set(self._hosts)
        self._spool.turn()
        reply = await self._loop.run_in_executor(thread, self._keeper.settle, batch)
        self._spool.settled()
        self._unsettled_bytes -= batch_bytes
        self._take(batch, reply)

    def _has_news(self) -> bool:
        batch = self._batch
        return bool(batch.answers or batch.evidence or batch.hosts or batch.sitemaps)

    def _wants(self) -> list[Host]:
        """Hosts that run out of addresses."""
        if self._stop or self._archived >= self._most:
            return []
        return [
            host
            for host in self._hosts.values()
            if len(host.jobs) <= QUOTA // 4 and not host.drained and not self._is_full(host)
        ]

    def _looks_for_hosts(self) -> bool:
        return not self._exhausted and self._may_take_hosts()

    def _may_take_hosts(self) -> bool:
        return not self._stop and self._archived < self._most and len(self._hosts) < self._most_active

    def _is_full(self, host: Host) -> bool:
        return host.archived >= self._most_per_host

    def _is_done(self) -> bool:
        if self._stop and self._loop.time() > self._stop_at:
            return True  # what is still on the way stays in the queue
        if self._fetching or self._has_news():
            return False
        if self._stop or self._archived >= self._most:
            return True
        return not self._hosts and self._exhausted

    def _take(self, batch: Batch, reply: Reply) -> None:
        """Go on with what the keeper has settled and leased."""
        self._unsettled -= len(batch.answers)
        self._open -= len(batch.answers)
        if self._unsettled < MAX_UNSETTLED and self._unsettled_bytes < MAX_UNSETTLED_BYTES:
            self._room.set()
        touched = set()
        for answer in batch.answers:
            host = self._hosts.get(answer.job.host)
            if host is not None:
                host.held.discard(answer.job.id)
                host.archived -= 1  # counted when it was begun
                host.drained = False  # its own links, or a second attempt, may be waiting now
                touched.add(host.id)
        for number, count in reply.archived.items():
            self._archived += count
            if number in self._hosts:
                self._hosts[number].archived += count
        for number, jobs in reply.leases.items():
            self._give(self._hosts[number], jobs)
        for record, jobs in reply.hosts:
            host = Host.from_record(record, time.time(), self._loop.time())
            self._hosts[host.id] = host
            self._give(host, jobs)
        if batch.new_hosts:
            self._exhausted = len(reply.hosts) < batch.new_hosts
        for host in [self._hosts[number] for number in touched | set(reply.leases) if number in self._hosts]:
            self._dismiss_if_idle(host)
            self._list(host)
        blocked, self._blocked = self._blocked, []
        for host in blocked:
            self._list(host)
        self.standing.archived = self._archived
        self.standing.queued = reply.queued
        self.standing.hosts = len(self._hosts)

    def _give(self, host: Host, jobs: list[Job]) -> None:
        host.jobs.extend(jobs)
        host.held.update(job.id for job in jobs)
        host.drained = not jobs
        self._list(host)

    def _dismiss_if_idle(self, host: Host) -> None:
        """Let go of a host that has nothing to do, and make room for another."""
        if self._is_full(host):
            if host.busy or len(host.held) > len(host.jobs):
                return
            self._batch.hosts.setdefault(host.id, {})["is_full"] = 1
        elif host.busy or host.held or not host.drained:
            return
        del self._hosts[host.id]
        self._rules.forget(host.id)
        self._exhausted = False  # links to it may have been found since it was drained
        self._wake.set()

    # --- fetching --------------------------------------------------------------------------------------------

    def _list(self, host: Host) -> None:
        """Put a host into the queue of those that may be asked, now or when it has rested."""
        if host.listed or not host.jobs or host.busy >= self._settings.per_host or self._stop:
            return
        host.listed = True
        wait = host.ready_at - self._loop.time()
        if wait <= 0:
            self._ready.put_nowait(host)
        else:
            self._loop.call_later(wait, self._ready.put_nowait, host)

    async def _work(self, fetcher: Fetcher) -> None:
        """One fetching task."""
        while True:
            host = await self._ready.get()
            await self._room.wait()
            host.listed = False
            if self._stop or not host.jobs or self._hosts.get(host.id) is not host:
                continue
            if self._archived + self._open >= self._most or host.archived >= self._most_per_host:
                # What is on the way may be all that the budget allows; settling it tells.
                self._blocked.append(host)
                self._wake.set()
                continue
            job = host.jobs.popleft()
            host.busy += 1
            host.archived += 1
            self._fetching += 1
            self._open += 1
            if host.rules is not None:
                self._list(host)  # a further connection, where per_host allows one
            answer = await self._ask(fetcher, host, job)
            host.busy -= 1
            self._fetching -= 1
            if answer is None:  # not the time yet
                self._open -= 1
                host.archived -= 1
                host.jobs.appendleft(job)
            else:
                if isinstance(answer.outcome, Fetched) or answer.outcome.state == REFUSED:
                    self._spool.append(answer)
                self._batch.answers.append(answer)
                self._unsettled += 1
                size = len(answer.outcome.body) if isinstance(answer.outcome, Fetched) else 0
                self._unsettled_bytes += size
                self._batch_bytes += size
                if self._unsettled >= MAX_UNSETTLED or self._unsettled_bytes >= MAX_UNSETTLED_BYTES:
                    self._room.clear()
                if len(self._batch.answers) >= BATCH or self._batch_bytes >= BATCH_BYTES or not host.jobs:
                    self._wake.set()
            self._list(host)
            if not self._fetching:
                self._wake.set()

    async def _ask(self, fetcher: Fetcher, host: Host, job: Job) -> Answer | None:
        if host.given_up is None and (host.rules is None or time.time() - host.robots_time > ROBOTS_SECONDS):
            rules = await fetch_rules(fetcher, host.origin, self._settings)
            self._batch.evidence += rules.evidence
            if not self._take_rules(host, rules):
                return None
            rest = host.rest(self._settings)
            if host.given_up is None and rest:
                host.ready_at = self._loop.time() + rest
                return None
        if host.given_up is not None:
            self._count(host.given_up[1])
            return Answer(job, Fault(*host.given_up))
        allows = self._rules.of(host)
        if job.kind == PAGE:
            permission = allows.robots.may_fetch(job.url)
            if not permission:
                self._count("robots")
                return Answer(job, Fault(REFUSED, "robots", permission.reason))
        path = job.url[len(host.origin) :]
        if job.kind == PAGE and self._settings.respect_opt_outs and not allows.robots.may_train(path):
            self._count("ai_signal")
            return Answer(job, Fault(REFUSED, "ai_signal"))
        reservation = allows.tdm.reservation(path) if allows.tdm is not None else None
        conditions = None
        if job.earlier is not None:
            conditions = {
                name: value
                for name, value in (
                    ("If-None-Match", job.earlier.etag),
                    ("If-Modified-Since", job.earlier.modified),
                )
                if value
            }
        outcome = await fetcher.fetch(job.url, any_type=job.kind != PAGE, conditions=conditions)
        self._pace(host, job, outcome)
        return Answer(job, outcome, reservation)

    def _take_rules(self, host: Host, rules: SiteRules) -> bool:
        """Take a host's rules over; False if they cannot be reached now and are to be asked for again."""
        now = time.time()
        if rules.robots is not None:
            host.robots_tries = 0
            columns = rules.columns(now)
            self._rules.forget(host.id)
            host.rules, host.robots_time = (columns["robots"], columns["tdm"]), now
            self._batch.hosts.setdefault(host.id, {}).update(columns)
            sitemaps = self._rules.of(host).robots.sitemaps
            if self._settings.sitemaps:
                self._batch.sitemaps.append(sitemaps[:1000])
            return True
        fault = rules.fault
        assert fault is not None
        host.robots_tries += 1
        if fault.again and host.robots_tries <= self._settings.robots_retries:
            self._pause(host, fault.wait, host.robots_tries)
            return host.given_up is not None
        state = REFUSED if fault.reason in _UNREACHABLE else fault.state
        reason = "robots_unreachable" if state == REFUSED and fault.reason != "address" else fault.reason
        self._give_up(host, state, reason, f"robots.txt: {fault.detail or fault.reason}")
        return True

    def _pace(self, host: Host, job: Job, outcome: Fetched | Fault) -> None:
        """Decide when the host may be asked again."""
        if isinstance(outcome, Fetched):
            host.answered(outcome.seconds)
            status = outcome.status
            wait = retry_after(outcome.headers.get("retry-after"))
            if status in (429, 503) or (status >= 500 and wait is not None):
                host.failures += 1
                self._pause(host, wait, host.failures)
                return
            host.failures = host.failures + 1 if status >= 500 else 0
            if status >= 400:
                self._count("http")
        else:
            self._count(outcome.reason)
            if outcome.again:
                host.failures += 1
                if host.failures >= MAX_FAILURES:
                    self._give_up(
                        host, FAILED, "host", f"{host.failures} failures in a row, the last: {outcome.detail}"
                    )
                else:
                    self._pause(host, None, host.failures)
                return
            if outcome.state == REFUSED:
                host.failures = 0
        host.ready_at = self._loop.time() + host.rest(self._settings)

    def _pause(self, host: Host, wait: float | None, failures: int) -> None:
        """Let a host rest after a failure, as long as it asks for, or longer each time."""
        settings = self._settings
        if wait is not None and wait > settings.max_retry_after:
            self._give_up(
                host, FAILED, "host", f"asks to wait {wait:,.0f} s, more than {settings.max_retry_after:g}"
            )
            return
        if failures >= MAX_FAILURES:
            self._give_up(host, FAILED, "host", f"{failures} failures in a row")
            return
        rest = wait if wait is not None else settings.retry_wait * 2 ** min(failures - 1, 10)
        rest = max(rest, host.rest(settings))
        host.ready_at = self._loop.time() + rest
        columns = self._batch.hosts.setdefault(host.id, {})
        columns.update(pause_until=time.time() + rest, failures=host.failures)

    def _give_up(self, host: Host, state: int, reason: str, detail: str) -> None:
        host.given_up = (state, reason, detail)
        host.ready_at = 0.0
        self._batch.hosts.setdefault(host.id, {})["given_up"] = f"{state} {reason} {detail}"

    def _count(self, reason: str) -> None:
        self.standing.errors[reason] += 1
        self.standing.fetching = self._fetching


def open_files() -> int:
    """How many files and connections this process may have open, after asking for as many as it may ask for."""
    try:
        import resource
    except ImportError:  # Windows: sockets are not counted among files there
        return 2**16
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 2**16 if hard == resource.RLIM_INFINITY else min(hard, 2**16)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return wanted
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    except (OSError, ValueError):
        return soft
    return wanted
