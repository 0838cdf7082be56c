"""What a crawl may be told: where it begins, how far it goes, how gently, and what it refuses.

Shared by the command ``textmill crawl`` and the source ``crawl`` of a recipe.
"""

from __future__ import annotations

import ipaddress
import re
from typing import ClassVar

from pydantic import Field, field_validator

from textmill.steps.settings import ByteSize, Count, InputPath, Settings

PRODUCT = "textmill"


class CrawlSettings(Settings):
    """Settings of a crawl. Those of the first group decide which pages it is about."""

    # --- what is crawled: a finished crawl holds for these ---------------------------------------------------
    seeds: InputPath | list[str] = Field(
        default=[],
        description="Where to begin: a file with one address per line (``#`` begins a comment), or a list of "
        "addresses.",
    )
    domains: InputPath | list[str] = Field(
        default=[],
        description="Domains that may be crawled, with everything below them: a file with one per line, or a "
        "list. Left out, the hosts of the seeds, exactly.",
    )
    prefixes: list[str] = Field(
        default=[],
        description="Addresses must begin with one of these, if there are any: ``https://example.com/docs/``.",
    )
    exclude: list[str] = Field(
        default=[],
        description="Regular expressions (RE2); an address in which one is found is left out.",
    )
    max_depth: int = Field(default=20, ge=0, description="Links to follow from a seed, at most.")
    content_types: list[str] = Field(
        default=["text/html", "application/xhtml+xml", "text/plain"],
        description="Types of content that are pages; others are refused as soon as their header is seen.",
    )
    sitemaps: bool = Field(
        default=True, description="Whether to read the sitemaps that the robots.txt files name."
    )
    agent: str = Field(
        default=PRODUCT,
        pattern=r"^[A-Za-z_-]+$",
        description="Product token: the name that robots.txt files address and the user agent begins with.",
    )
    contact: str | None = Field(
        default=None,
        pattern=r"^[^\s()]+$",
        description="Address in the user agent under which a webmaster learns who crawls and whom to tell: "
        "a page of yours. Without one the crawl says that it is missing.",
    )
    also_obey: list[str] = Field(
        default=[],
        description="Product tokens of other robots whose rules in robots.txt bind this crawl too: ``GPTBot``.",
    )
    respect_opt_outs: bool = Field(
        default=True,
        description="Whether reservations against text and data mining (TDM-Reservation in header, page and "
        "``/.well-known/tdmrep.json``), ``noai`` and ``Content-Signal: ai-train=no`` in robots.txt are respected.",
    )

    # --- how much: may be raised to go on --------------------------------------------------------------------
    max_pages: Count | None = Field(
        default=None, ge=1, description="Pages to archive, at most; all if left out."
    )
    max_per_host: Count | None = Field(default=None, ge=1, description="Pages to archive per host, at most.")
    max_per_prefix: Count = Field(
        default=20_000,
        ge=1,
        description="Addresses per host and first directory of the path, at most: against endless calendars.",
    )
    max_per_path: Count = Field(
        default=500,
        ge=1,
        description="Addresses that differ in their query alone, at most: against session ids and sort orders.",
    )

    # --- how gently ------------------------------------------------------------------------------------------
    concurrency: int = Field(default=64, ge=1, description="Hosts that are fetched from at the same time.")
    per_host: int = Field(default=1, ge=1, description="Connections to one host at the same time.")
    delay: float = Field(
        default=1.0,
        ge=0,
        description="Seconds between two requests to a host, at least; robots.txt may ask more.",
    )
    delay_factor: float = Field(
        default=1.0,
        ge=0,
        description="A host rests this many times as long as it needs to answer (smoothed), where that is longer "
        "than ``delay``; 0 turns it off.",
    )
    max_delay: float = Field(
        default=60.0,
        ge=0,
        description="Longest rest that slow answers lead to; robots.txt may ask more (seconds).",
    )
    retries: int = Field(
        default=2,
        ge=0,
        description="How often to try again after a time-out, a broken connection, 429 or 5xx.",
    )
    retry_wait: float = Field(
        default=10.0,
        ge=0,
        description="Seconds that a host rests after such a failure, doubled with each further one in a row; "
        "Retry-After goes before it.",
    )
    max_retry_after: float = Field(
        default=3600.0,
        ge=0,
        description="Longest Retry-After that is waited for; a host that asks for more is given up (seconds).",
    )
    robots_retries: int = Field(
        default=3,
        ge=0,
        description="How often to ask again for a robots.txt that cannot be reached before the host is given up.",
    )

    # --- what is refused for safety --------------------------------------------------------------------------
    allow_addresses: list[str] = Field(
        default=[],
        description="Networks that may be reached although they are private, loopback, link-local or reserved: "
        "``127.0.0.0/8``.",
    )
    max_bytes: ByteSize = Field(
        default=10 * 2**20, ge=1, description="Longest body, as it is transferred (bytes)."
    )
    max_unpacked_bytes: ByteSize = Field(
        default=32 * 2**20, ge=1, description="Longest body after its content coding is undone (bytes)."
    )
    max_ratio: float = Field(
        default=200.0,
        gt=1,
        description="How many times longer a body over 1 MiB may get by undoing its content coding.",
    )
    max_redirects: int = Field(default=10, ge=0, description="Redirects in a row, at most.")
    connect_timeout: float = Field(default=15.0, gt=0, description="Seconds until a connection stands.")
    first_byte_timeout: float = Field(default=30.0, gt=0, description="Seconds until an answer begins.")
    total_timeout: float = Field(default=120.0, gt=0, description="Seconds for a whole answer.")
    min_rate: ByteSize = Field(
        default=256,
        ge=0,
        description="Bytes per second that a body must arrive with, after its first ten seconds.",
    )
    ca_file: InputPath | None = Field(
        default=None, description="Certificates (PEM) to trust besides the system's, for an internal site."
    )

    # --- what is written -------------------------------------------------------------------------------------
    warc_bytes: ByteSize = Field(
        default=2**30, ge=2**16, description="A WARC file ends after so many compressed bytes."
    )
    previous: InputPath | None = Field(
        default=None,
        description="Folder of an earlier finished crawl: pages are asked for only if they have changed since "
        "(ETag, Last-Modified), and an unchanged one is a ``revisit`` record.",
    )

    IDENTITY: ClassVar[tuple[str, ...]] = (
        "seeds", "domains", "prefixes", "exclude", "max_depth", "content_types", "sitemaps", "agent", "also_obey",
        "respect_opt_outs", "previous",
    )  # fmt: skip
    """Fields that say what a crawl is about: with others in an old folder it would be another crawl."""

    BUDGETS: ClassVar[tuple[str, ...]] = ("max_pages", "max_per_host")
    """Fields that may grow: the crawl then goes on where it stopped."""

    @field_validator("allow_addresses")
    @classmethod
    def _networks(cls, written: list[str]) -> list[str]:
        for network in written:
            try:
                ipaddress.ip_network(network, strict=False)
            except ValueError as error:
                raise ValueError(f"{network!r} is no network such as 127.0.0.0/8") from error
        return written

    @field_validator("exclude")
    @classmethod
    def _expressions(cls, written: list[str]) -> list[str]:
        import re2

        for pattern in written:
            try:
                re2.compile(pattern)
            except re2.error as error:
                raise ValueError(f"{pattern!r} is no regular expression of RE2: {error}") from error
        return written

    @property
    def user_agent(self) -> str:
        """``textmill/1.0 (+https://…)``: who asks, in which version, and where to learn more."""
        from importlib.metadata import PackageNotFoundError, version

        try:
            number = version(PRODUCT)
        except PackageNotFoundError:
            number = "0"
        return f"{self.agent}/{number}" + (f" (+{self.contact})" if self.contact else "")


def product_token(user_agent: str) -> str:
    """The product token at the beginning of a user agent (RFC 9309, 2.2.1)."""
    match = re.match(r"[A-Za-z_-]*", user_agent)
    return match[0] if match else ""
