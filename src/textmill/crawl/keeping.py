"""What one thread does with the answers: judge them, archive them, find their links, and settle it all at once.

::

    answers ─► unpack ─► links and wishes ─► records ─► WARC file ─► on the disk ──┐
                              │                                                    ▼
                              └─► scope ─► new addresses ─────────────────► one transaction of the frontier

The order is the point. When a transaction is committed, the records that it speaks of are on the disk; when the
process dies before, the records that it wrote are cut off at the next start, and the addresses are still in the queue.
Answers that are whole and not settled stand in the spool (:mod:`textmill.crawl.spool`). So an address is archived
exactly once, and fetched twice only if its answer was on the way when the process died.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from textmill.crawl.answers import Answer, Judge, Verdict
from textmill.crawl.archive import DIAGNOSTICS, PAGES, Archive
from textmill.crawl.fetching import Fetched
from textmill.crawl.frontier import Frontier
from textmill.crawl.frontier_rows import PAGE, Earlier, HostRecord, Job, Settled
from textmill.crawl.outcomes import ARCHIVED, Fault
from textmill.crawl.previous import Previous
from textmill.crawl.records import diagnostic_records, page_records, revisit_records

_TAKEN_UP = 64


@dataclass(slots=True)
class Want:
    """A host that needs addresses: how many, and which are leased already."""

    host: int
    count: int
    held: set[int]


@dataclass(slots=True)
class Batch:
    """What the fetching side hands over.

    Attributes:
        answers: to leased addresses.
        evidence: answers that are no page's: robots.txt and the like.
        hosts: columns of hosts to remember.
        sitemaps: addresses that robots.txt files name, those of each file together.
        wants: hosts that need addresses.
        new_hosts: how many hosts more may be worked on.
        quota: addresses for each of them.
        active: hosts that are worked on.
    """

    answers: list[Answer] = field(default_factory=list)
    evidence: list[Fetched] = field(default_factory=list)
    hosts: dict[int, dict[str, Any]] = field(default_factory=dict)
    sitemaps: list[list[str]] = field(default_factory=list)
    wants: list[Want] = field(default_factory=list)
    new_hosts: int = 0
    quota: int = 8
    active: set[int] = field(default_factory=set)


@dataclass(slots=True)
class Reply:
    """What comes back, everything in the batch being settled.

    Attributes:
        leases: addresses for hosts that are worked on, by host.
        hosts: hosts to begin with, and their first addresses.
        archived: how many pages of each host were archived.
        queued: addresses that wait.
    """

    leases: dict[int, list[Job]]
    hosts: list[tuple[HostRecord, list[Job]]]
    archived: dict[int, int]
    queued: int


class Keeper:
    """Owns the frontier and the archive; all calls come from one thread at a time.

    Args:
        frontier: the frontier.
        archive: the WARC files.
        judge: decides about answers.
        previous: an earlier crawl, if pages are to be compared with it.
        retries: attempts after the first.
    """

    def __init__(
        self,
        frontier: Frontier,
        archive: Archive,
        judge: Judge,
        previous: Previous | None,
        retries: int,
    ) -> None:
        self.frontier = frontier
        self.archive = archive
        self._judge = judge
        self._previous = previous
        self._retries = retries
        self.retried = 0
        self.bytes = 0

    def settle(self, batch: Batch) -> Reply:
        """Settle a batch, and lease what is wanted."""
        frontier = self.frontier
        frontier.begin()
        settled: list[Settled] = []
        archived: dict[int, int] = {}
        for answer in batch.answers:
            one = self._answer(answer)
            if one is not None:
                settled.append(one)
                if one.state == ARCHIVED and one.job.kind == PAGE:
                    archived[one.job.host] = archived.get(one.job.host, 0) + 1
        for fetched in batch.evidence:
            self.archive.append(DIAGNOSTICS, diagnostic_records(fetched, None), fetched.moment)
        frontier.settle(settled)
        for named in batch.sitemaps:
            frontier.add(self._judge.sitemaps(named))
        for host, columns in batch.hosts.items():
            frontier.remember_host(host, **columns)
        frontier.write_counts()
        self.archive.sync()
        leases = {want.host: self._lease(want.host, want.count, want.held) for want in batch.wants}
        fresh = frontier.hosts_in_turn(batch.new_hosts, batch.active) if batch.new_hosts > 0 else []
        hosts = [(host, self._lease(host.id, batch.quota, set())) for host in fresh]
        frontier.commit()
        return Reply(leases, hosts, archived, frontier.waiting)

    def take_up(self, answers: Iterable[Answer]) -> int:
        """Settle answers that an earlier process had and did not come to settle; returns how many there were."""
        frontier = self.frontier
        waiting = (answer for answer in answers if frontier.is_waiting(answer.job))
        count = 0
        while part := list(itertools.islice(waiting, _TAKEN_UP)):
            if self._previous is not None:
                for answer in part:
                    answer.job.earlier = self._previous.find(answer.job.url)
            self.settle(Batch(answers=part))
            count += len(part)
        return count

    def close(self) -> None:
        """Close the files."""
        self.archive.close()
        self.frontier.close()

    def _lease(self, host: int, count: int, held: set[int]) -> list[Job]:
        jobs = self.frontier.lease(host, count, held)
        if self._previous is not None:
            for job in jobs:
                job.earlier = self._previous.find(job.url)
        return jobs

    def _answer(self, answer: Answer) -> Settled | None:
        """Archive an answer and add what it links to; None if the address is to be tried again."""
        job = answer.job
        verdict = self._judge.judge(answer)
        fault = verdict.fault
        fetched = answer.outcome if isinstance(answer.outcome, Fetched) else None
        if fault is not None and fault.again and job.attempts < self._retries:
            if fetched:
                self.archive.append(DIAGNOSTICS, diagnostic_records(fetched, job), fetched.moment)
            self.frontier.put_back(job, fault.reason, fault.detail)
            self.retried += 1
            return None
        if verdict.links:
            self.frontier.add(verdict.links)
        for reason, count in verdict.skipped.items():
            self.frontier.skip(reason, count)
        if fetched is None:
            assert fault is not None
            return Settled(job, fault.state, fault.reason, _after(fault, job))
        self.bytes += len(fetched.body)
        if verdict.state == ARCHIVED and job.kind == PAGE:
            return self._archived(job, fetched, verdict)
        place = self.archive.append(DIAGNOSTICS, diagnostic_records(fetched, job, verdict), fetched.moment)[0]
        detail = _after(fault, job) if fault else verdict.detail
        return Settled(
            job, verdict.state, verdict.reason, detail, fetched.status, fetched.moment,
            place.file, place.offset, place.length,
        )  # fmt: skip

    def _archived(self, job: Job, fetched: Fetched, verdict: Verdict) -> Settled:
        earlier: Earlier | None = job.earlier if verdict.reason == "unchanged" else None
        records = (
            page_records(job, fetched, verdict) if earlier is None else revisit_records(job, fetched, earlier)
        )
        place = self.archive.append(PAGES, records, fetched.moment)[0]
        headers = fetched.headers
        return Settled(
            job, ARCHIVED, verdict.reason, None, fetched.status, fetched.moment, place.file, place.offset, place.length,
            earlier.digest if earlier else verdict.digest,
            headers.get("etag") or (earlier.etag if earlier else None),
            headers.get("last-modified") or (earlier.modified if earlier else None),
            earlier.place if earlier else None,
        )  # fmt: skip


def _after(fault: Fault, job: Job) -> str | None:
    tries = f"; tried {job.attempts + 1} times" if job.attempts else ""
    return (fault.detail + tries) or None
