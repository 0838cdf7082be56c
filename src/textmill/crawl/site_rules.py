"""Fetches what a site allows: its robots.txt (RFC 9309, 2.3) and its ``tdmrep.json``."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field
from typing import Any

from textmill.crawl.answers import retry_after
from textmill.crawl.contents import unpack
from textmill.crawl.fetching import Fetched, Fetcher
from textmill.crawl.opt_outs import TDM_FILE
from textmill.crawl.outcomes import FAILED, Fault
from textmill.crawl.robots import MAX_BYTES
from textmill.crawl.settings import CrawlSettings
from textmill.web.urls import canonical_url

MAX_REDIRECTS = 5
"""RFC 9309, 2.3.1.2: at least five redirects, also to other hosts."""

_MAX_TDM_BYTES = 2**20
# Enough for what is read of a robots.txt, and no file without end is an excuse to forbid or allow everything.
_CUT_AT = 2**20


@dataclass
class SiteRules:
    """What a site said.

    Attributes:
        robots: the robots.txt, empty where there is none; None if it cannot be reached.
        tdm: the tdmrep.json, or None.
        fault: why the robots.txt cannot be reached.
        evidence: all answers.
        asked: whether any request was made.
    """

    robots: bytes | None = None
    tdm: bytes | None = None
    fault: Fault | None = None
    evidence: list[Fetched] = field(default_factory=list)
    asked: bool = True

    def columns(self, moment: float) -> dict[str, Any]:
        """The columns of the frontier's host."""
        return {
            "robots": zlib.compress(self.robots or b""),
            "robots_state": "rules" if self.robots else "none",
            "robots_time": moment,
            "tdm": zlib.compress(self.tdm) if self.tdm is not None else None,
        }


async def fetch_rules(fetcher: Fetcher, origin: str, settings: CrawlSettings) -> SiteRules:
    """Ask a site for its rules.

    2xx: the rules are read. Redirects are followed, five of them, wherever they lead; what is found holds for this
    site. Other 4xx, and more redirects: there are none, everything is allowed. 429, 5xx and no answer: everything is
    forbidden until an answer comes (2.3.1.4).
    """
    rules = SiteRules()
    answer = await _follow(fetcher, f"{origin}/robots.txt", rules)
    if isinstance(answer, Fault):
        rules.fault = answer
        return rules
    if answer is not None and (answer.status == 429 or answer.status >= 500):
        wait = retry_after(answer.headers.get("retry-after"))
        rules.fault = Fault(FAILED, "http", f"HTTP {answer.status}", again=True, wait=wait)
        return rules
    rules.robots = b""
    if answer is not None and 200 <= answer.status < 300:
        contents = _contents(answer, settings)
        if isinstance(contents, Fault):
            rules.robots, rules.fault = None, Fault(FAILED, "http", contents.detail, again=True)
            return rules
        rules.robots = contents[: MAX_BYTES + 2**16]
    if settings.respect_opt_outs:
        answer = await _follow(fetcher, origin + TDM_FILE, rules)
        if isinstance(answer, Fetched) and answer.status == 200:
            contents = _contents(answer, settings)
            if isinstance(contents, bytes) and len(contents) <= _MAX_TDM_BYTES:
                rules.tdm = contents
    return rules


async def _follow(fetcher: Fetcher, url: str, rules: SiteRules) -> Fetched | Fault | None:
    """The answer at the end of the redirects; None if there are too many."""
    for _ in range(MAX_REDIRECTS + 1):
        answer = await fetcher.fetch(url, any_type=True, cut_at=_CUT_AT)
        if isinstance(answer, Fault):
            return answer
        rules.evidence.append(answer)
        target = (
            canonical_url(answer.headers.get("location", ""), url) if 300 <= answer.status < 400 else None
        )
        if target is None:
            return answer
        url = target
    return None


def _contents(answer: Fetched, settings: CrawlSettings) -> bytes | Fault:
    coding = answer.headers.get("content-encoding", "")
    return unpack(answer.body, coding, settings.max_unpacked_bytes, settings.max_ratio)
