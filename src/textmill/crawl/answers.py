"""What an answer amounts to: a page to archive, a way on, a refusal or a failure; and the links that follow from it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from time import time

from textmill.crawl.contents import unpack
from textmill.crawl.fetching import Fetched, joined_headers
from textmill.crawl.frontier_rows import PAGE, SITEMAP, Job, Link
from textmill.crawl.opt_outs import judge as judge_wishes
from textmill.crawl.opt_outs import robots_tag
from textmill.crawl.outcomes import ARCHIVED, FAILED, REDIRECTED, REFUSED, Fault
from textmill.crawl.previous import read_response
from textmill.crawl.scope import MAX_LENGTH, Scope, trap
from textmill.crawl.settings import CrawlSettings
from textmill.crawl.sitemaps import read_sitemap
from textmill.web.charset import decode_page
from textmill.web.encodings import codec_of
from textmill.web.links import Link as WrittenLink
from textmill.web.links import PageLinks, find_links
from textmill.web.urls import canonical_url, split_url
from textmill.web.warc_writing import payload_digest

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_TRY_AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504, 520, 521, 522, 523, 524})
_HTML = frozenset({"text/html", "application/xhtml+xml"})
_LINKS_KEPT = 32_768
_SITEMAP_LEVELS = 3
_SITEMAPS_ELSEWHERE = 10


@dataclass(slots=True)
class Answer:
    """The outcome of one leased address.

    Attributes:
        job: the address.
        outcome: what came, or why nothing did.
        site_reservation: what the site's ``tdmrep.json`` says of it.
    """

    job: Job
    outcome: Fetched | Fault
    site_reservation: str | None = None


@dataclass(slots=True)
class Verdict:
    """What is made of an answer.

    Attributes:
        state, reason, detail: as :mod:`textmill.crawl.outcomes` has them.
        fault: the fault behind it, if there is one.
        links: addresses in scope that it names.
        skipped: links that were passed over, by reason.
        digest: of the payload.
        notes: for the metadata record.
        withhold: whether the body must not be kept.
    """

    state: int
    reason: str
    detail: str | None = None
    fault: Fault | None = None
    links: list[Link] = field(default_factory=list)
    skipped: dict[str, int] = field(default_factory=dict)
    digest: str | None = None
    notes: list[tuple[str, str]] = field(default_factory=list)
    withhold: bool = False


class Judge:
    """Judges answers.

    Args:
        settings: of the crawl.
        scope: which addresses it is about.
    """

    def __init__(self, settings: CrawlSettings, scope: Scope) -> None:
        self._settings = settings
        self._scope = scope
        self._young: set[tuple[str, str]] = set()
        self._old: set[tuple[str, str]] = set()

    def judge(self, answer: Answer) -> Verdict:
        """What an answer amounts to. Never raises: what cannot be processed is a failed address."""
        try:
            if isinstance(answer.outcome, Fault):
                return _of(answer.outcome)
            return self._fetched(answer, answer.outcome)
        except Exception as error:  # a page must not stop a crawl
            return _of(Fault(FAILED, "crash", f"{type(error).__name__}: {error}"[:200]))

    def sitemaps(self, written: Iterable[str]) -> list[Link]:
        """The sitemaps that a robots.txt names, to be added; a few of them may be on hosts that are not crawled."""
        found = []
        elsewhere = 0
        for one in written:
            url = canonical_url(one)
            if url is None or len(url) > MAX_LENGTH:
                continue
            parts = split_url(url)
            if not self._scope.has_host(parts.host):
                elsewhere += 1
                if elsewhere > _SITEMAPS_ELSEWHERE:
                    continue
            found.append(Link(url, parts.origin, 0, kind=SITEMAP))
        return found

    def _fetched(self, answer: Answer, fetched: Fetched) -> Verdict:
        job, status = answer.job, fetched.status
        if status in _REDIRECTS and "location" in fetched.headers:
            return self._redirect(job, fetched)
        if status == 304 and job.earlier is not None:
            return self._unchanged(answer, fetched)
        if status != 200:
            wait = retry_after(fetched.headers.get("retry-after")) if status in (429, 503) else None
            return _of(Fault(FAILED, "http", f"HTTP {status}", status in _TRY_AGAIN, wait))
        content = unpack(
            fetched.body,
            fetched.headers.get("content-encoding", ""),
            self._settings.max_unpacked_bytes,
            self._settings.max_ratio,
        )
        if isinstance(content, Fault):
            return _of(content)
        if job.kind == SITEMAP:
            return self._sitemap(job, content)
        return self._page(answer, fetched, fetched.media_type, content, fetched.headers)

    def _page(
        self, answer: Answer, fetched: Fetched, media_type: str, content: bytes, headers: dict[str, str]
    ) -> Verdict:
        job = answer.job
        if not media_type:
            if b"\0" in content[:1024]:
                return _of(Fault(REFUSED, "content_type", "none is named, and it is no text"))
            media_type = "text/html" if content.lstrip()[:1] == b"<" else "text/plain"
        encoding = _encoding(content, headers.get("content-type"))
        page = find_links(content, encoding, self._settings.agent) if media_type in _HTML else _NO_LINKS
        directives = set(page.robots)
        if "x-robots-tag" in headers:
            directives |= robots_tag(headers["x-robots-tag"].split("\n"), self._settings.agent)
        in_page = None if page.tdm_reservation is None else str(int(page.tdm_reservation))
        wishes = judge_wishes(
            directives,
            media_type=media_type,
            respect=self._settings.respect_opt_outs,
            reservations=(
                ("the page", in_page),
                ("the header", headers.get("tdm-reservation")),
                ("the site's tdmrep.json", answer.site_reservation),
            ),
        )
        verdict = Verdict(ARCHIVED, "page") if wishes.refusal is None else _of(wishes.refusal)
        verdict.withhold = wishes.refusal is not None
        if wishes.nofollow:
            verdict.skipped["nofollow"] = len(page.links)
        else:
            self._follow(job, page, encoding, verdict)
        if verdict.state == ARCHIVED:
            digest = payload_digest(fetched.body)
            verdict.digest = digest
            if job.earlier is not None and job.earlier.digest == digest and fetched.status == 200:
                verdict.reason = "unchanged"
            if directives:
                verdict.notes.append(("robots", ",".join(sorted(directives))))
            policy = page.tdm_policy or headers.get("tdm-policy")
            if policy:
                verdict.notes.append(("tdm-policy", " ".join(policy.split())[:500]))
        return verdict

    def _unchanged(self, answer: Answer, fetched: Fetched) -> Verdict:
        """304: the earlier crawl's copy stands for the page, and its links for the page's."""
        earlier = answer.job.earlier
        assert earlier is not None
        try:
            head, body = read_response(earlier.place)
        except (OSError, ValueError) as error:
            return _of(Fault(FAILED, "crash", f"the earlier copy is lost: {error}"[:200]))
        headers = headers_of(head)
        # The newer headers of a 304 replace the older ones (RFC 9111, 3.2), and may forbid what was allowed.
        headers |= {name: value for name, value in fetched.headers.items() if not name.startswith("content-")}
        content = unpack(
            body,
            headers.get("content-encoding", ""),
            self._settings.max_unpacked_bytes,
            self._settings.max_ratio,
        )
        if isinstance(content, Fault):
            return _of(content)
        media_type = headers.get("content-type", "").partition(";")[0].strip().lower()
        verdict = self._page(answer, fetched, media_type, content, headers)
        if verdict.state == ARCHIVED:
            verdict.reason = "unchanged"
        return verdict

    def _redirect(self, job: Job, fetched: Fetched) -> Verdict:
        written = fetched.headers["location"]
        target = canonical_url(_as_address(written), fetched.url)
        if target is None:
            return _of(Fault(FAILED, "redirect_target", f"HTTP {fetched.status} to {written[:200]!r}"))
        if target == fetched.url:
            return _of(Fault(FAILED, "redirect_loop", f"HTTP {fetched.status} to itself"))
        if job.redirects >= self._settings.max_redirects:
            return _of(Fault(FAILED, "redirect_limit", f"more than {self._settings.max_redirects} in a row"))
        verdict = Verdict(REDIRECTED, "redirect", f"HTTP {fetched.status} to {target}"[:2_200])
        self._offer(target, job.depth, verdict, via=job.id, redirects=job.redirects + 1, kind=job.kind)
        return verdict

    def _sitemap(self, job: Job, content: bytes) -> Verdict:
        if content[:2] == b"\x1f\x8b":  # a .xml.gz that is served as what it is
            unpacked = unpack(content, "gzip", self._settings.max_unpacked_bytes, self._settings.max_ratio)
            if isinstance(unpacked, Fault):
                return _of(unpacked)
            content = unpacked
        found = read_sitemap(content)
        named = f"{len(found.pages):,} pages, {len(found.sitemaps):,} sitemaps"
        verdict = Verdict(ARCHIVED, "sitemap", f"{named}; {found.fault}" if found.fault else named)
        if self._settings.max_depth >= 1:
            for url in found.pages:
                target = canonical_url(url)
                if target is not None:
                    self._offer(target, 1, verdict, via=job.id)
        if job.depth < _SITEMAP_LEVELS:
            # One host may not send the crawler to others, fifty thousand times.
            own = split_url(job.url).host
            for url in found.sitemaps:
                target = canonical_url(url)
                if target is None or len(target) > MAX_LENGTH:
                    continue
                parts = split_url(target)
                if parts.host != own and not self._scope.has_host(parts.host):
                    verdict.skipped["domain"] = verdict.skipped.get("domain", 0) + 1
                    continue
                verdict.links.append(Link(target, parts.origin, job.depth + 1, job.id, kind=SITEMAP))
        return verdict

    def _follow(self, job: Job, page: PageLinks, encoding: str, verdict: Verdict) -> None:
        if job.depth >= self._settings.max_depth:
            if page.links:
                verdict.skipped["depth"] = len(page.links)
            return
        base = job.url
        if page.base:
            base = canonical_url(page.base, base, encoding) or base
        # The same links stand on page after page of a site: what was offered lately is not looked at again.
        folder = base[: base.partition("?")[0].rindex("/") + 1]
        origin = folder[: folder.index("/", 8)]
        seen, old = self._young, self._old
        nofollow = 0
        depth, via = job.depth + 1, job.id
        for url, _, skip in (*page.links, *_further_links(page)):
            if skip:
                nofollow += 1
                continue
            head = url[:1]
            key = (origin if head == "/" else base if head == "?" or head == "#" else folder, url)
            if key in seen:
                continue
            seen.add(key)
            if key in old:
                continue
            target = canonical_url(url, base, encoding)
            if target is not None:
                self._offer(target, depth, verdict, via=via)
        if nofollow:
            verdict.skipped["nofollow"] = nofollow
        if len(seen) > _LINKS_KEPT:
            self._old, self._young = seen, set()

    def _offer(
        self, url: str, depth: int, verdict: Verdict, *, via: int, redirects: int = 0, kind: int = PAGE
    ) -> None:
        """Add an address to the links of a verdict if it is in scope."""
        parts = split_url(url)
        if kind == PAGE:
            outside = self._scope.outside(url, parts.host, parts.path)
            if outside is not None:
                verdict.skipped[outside] = verdict.skipped.get(outside, 0) + 1
                return
        found = trap(url, parts.path)
        if found is None:
            verdict.links.append(Link(url, parts.origin, depth, via, redirects, kind))
        else:
            verdict.links.append(Link(url, parts.origin, depth, via, redirects, kind, *found))


def _further_links(page: PageLinks) -> list[WrittenLink]:
    further = [page.canonical] if page.canonical else []
    if page.refresh and page.refresh.url:
        further.append(page.refresh.url)
    return [WrittenLink(url, "link", False) for url in further]


def retry_after(value: str | None) -> float | None:
    """Seconds that a ``Retry-After`` header asks to wait (RFC 9110, 10.2.3); None if it says nothing."""
    if value is None:
        return None
    value = value.strip()
    if value.isascii() and value.isdigit():
        return float(value[:9])
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time())
    except (ValueError, TypeError, OverflowError):
        return None


def _of(fault: Fault) -> Verdict:
    return Verdict(fault.state, fault.reason, fault.detail or None, fault)


def _encoding(content: bytes, content_type: str | None) -> str:
    """The codec that a page's links are written in."""
    if content_type and "utf-8" in content_type.lower() and content[:2] not in (b"\xff\xfe", b"\xfe\xff"):
        return "utf-8"  # what else it may be makes no difference to links
    if content.isascii() and b"\x1b" not in content and b"\0" not in content[:1024]:
        return "utf-8"
    return codec_of(decode_page(content, content_type).encoding)


def _as_address(written: str) -> str:
    """A header's bytes as an address: UTF-8 where they are, Latin-1 otherwise."""
    raw = written.encode("utf-8", "surrogateescape")
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def headers_of(head: bytes) -> dict[str, str]:
    """The headers of an archived answer: names in small letters to values."""
    lines = [line.partition(b":") for line in head.split(b"\r\n")[1:]]
    return joined_headers((name, value) for name, colon, value in lines if colon)


_NO_LINKS = PageLinks()
