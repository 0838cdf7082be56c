"""What goes into the frontier and comes out of it, a row each."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b

PAGE, SITEMAP = 0, 1


@dataclass(slots=True)
class Link:
    """An address to add. (Not frozen: a crawl makes millions, and freezing triples what one costs.)

    Attributes:
        url: canonical.
        origin: of its host.
        depth: links from a seed.
        via: id of the page that links to it, if any.
        redirects: redirects that led to it in a row.
        kind: PAGE or SITEMAP.
        trap: a reason of :data:`textmill.crawl.outcomes.REASONS` if it is refused at once.
        detail: what exactly.
    """

    url: str
    origin: str
    depth: int
    via: int | None = None
    redirects: int = 0
    kind: int = PAGE
    trap: str | None = None
    detail: str | None = None


@dataclass(frozen=True, slots=True)
class Earlier:
    """What an earlier crawl has of an address.

    Attributes:
        etag, modified: its validators.
        digest: of its payload.
        fetched: when, in seconds since 1970.
        place: JSON list of folder, file, offset and length of the record that holds it whole.
    """

    etag: str | None
    modified: str | None
    digest: str | None
    fetched: float
    place: str


@dataclass(slots=True)
class Job:
    """A leased address."""

    id: int
    url: str
    depth: int
    redirects: int
    attempts: int
    kind: int
    rank: int
    host: int
    via: str | None
    earlier: Earlier | None = None


@dataclass(slots=True)
class HostRecord:
    """What the frontier keeps of a host."""

    id: int
    origin: str
    archived: int
    pause_until: float
    failures: int
    given_up: str | None
    robots: bytes | None
    robots_state: str | None
    robots_time: float | None
    tdm: bytes | None


@dataclass(slots=True)
class Settled:
    """What became of a leased address: the columns of its row."""

    job: Job
    state: int
    reason: str
    detail: str | None = None
    status: int | None = None
    fetched: float | None = None
    file: str | None = None
    offset: int | None = None
    length: int | None = None
    digest: str | None = None
    etag: str | None = None
    modified: str | None = None
    refers: str | None = None


def url_key(url: str) -> bytes:
    """The 128-bit key of a canonical address: two of a billion share one with probability 1e-21."""
    return blake2b(url.encode("utf-8", "surrogatepass"), digest_size=16).digest()
