"""What a page links to, and what it says to crawlers.

::

    page (bytes) ─► find_tags ─► attribute values ─► decoded, entities resolved ─► PageLinks
                                                                                     links, base, robots, TDM …

Addresses are given as they are written: :func:`textmill.web.urls.canonical_url` makes them whole, with the page's
address and ``base``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from html.entities import html5
from typing import NamedTuple

from textmill.web.tags import (
    AREA,
    BASE,
    CONTENT,
    FRAME,
    HTTP_EQUIV,
    IFRAME,
    LINK,
    META,
    NAME,
    REL,
    TARGET,
    A,
    find_tags,
)


class Link(NamedTuple):
    """A link as it is written.

    Attributes:
        url: the attribute's value, entities resolved; relative to the page's base.
        element: ``a``, ``area``, ``link`` (``rel=next`` and ``rel=prev`` alone), ``iframe`` or ``frame``.
        nofollow: the page asks not to follow it (``rel=nofollow``; not ``ugc`` or ``sponsored``).
    """

    url: str
    element: str
    nofollow: bool


class Refresh(NamedTuple):
    """``<meta http-equiv=refresh>``: seconds to wait, and where to go, as written; "" is the page itself."""

    seconds: int
    url: str


@dataclass(frozen=True)
class PageLinks:
    """What a page links to and what it says to crawlers.

    Attributes:
        links: in the order of the page, each address once per ``nofollow``.
        base: of the first ``<base href>``, as written; None where there is none.
        canonical: ``<link rel=canonical>``, as written.
        refresh: ``<meta http-equiv=refresh>``.
        robots: directives of ``<meta name=robots>`` and of the one that names the agent, small letters: ``noindex``,
            ``nofollow``, ``noai``, ``noimageai`` … ``none`` stands here as ``noindex`` and ``nofollow``.
        tdm_reservation: of ``<meta name=tdm-reservation>``: True reserves the rights of text and data mining, False
            does not (TDM Reservation Protocol, 7); None where nothing, or nothing of the two, is said.
        tdm_policy: address of ``<meta name=tdm-policy>``, as written.
    """

    links: tuple[Link, ...] = ()
    base: str | None = None
    canonical: str | None = None
    refresh: Refresh | None = None
    robots: frozenset[str] = frozenset()
    tdm_reservation: bool | None = None
    tdm_policy: str | None = None


def find_links(page: bytes, encoding: str = "utf-8", agent: str = "textmill") -> PageLinks:
    """The links of a page and what it says to crawlers.

    Args:
        page: an HTML document, whole or not; it may hold any bytes.
        encoding: a Python codec that decodes it (see :func:`textmill.web.charset.decode_page`).
        agent: name of the crawler, as robots.txt has it: ``<meta name=textmill>`` speaks to it alone.
    """
    page, encoding = _with_ascii(page, encoding)
    rows = find_tags(page)
    pick = _Picker(page, encoding)
    links: dict[tuple[bytes, bool], Link] = {}
    found: dict[str, str] = {}
    robots: set[str] = set()
    refresh: Refresh | None = None
    names = {"robots", agent.lower()}
    for row in rows.tolist():
        element = row[0]
        if element == META:
            content = pick.text(row, CONTENT)
            if content is None:
                continue
            name = (pick.text(row, NAME) or "").strip().lower()
            if name in names:
                robots |= robots_directives(content)
            elif name in _TDM:
                found.setdefault(name, content.strip())
            if refresh is None and (pick.text(row, HTTP_EQUIV) or "").lower() == "refresh":
                refresh = parse_refresh(content)
            continue
        start = row[TARGET]
        if start < 0:
            continue
        if element == BASE:
            found.setdefault("base", pick.decode(page[start : row[TARGET + 1]]))
            continue
        rel = frozenset(pick.text(row, REL).lower().split()) if row[REL] >= 0 else _NO_REL
        if element == LINK:
            if "canonical" in rel:
                found.setdefault("canonical", pick.decode(page[start : row[TARGET + 1]]))
            if rel.isdisjoint(_LINKS_TO_FOLLOW):
                continue
        raw, nofollow = page[start : row[TARGET + 1]], "nofollow" in rel
        if (raw, nofollow) not in links:
            links[raw, nofollow] = Link(pick.decode(raw), _NAMES[element], nofollow)
    reservation = found.get("tdm-reservation")
    return PageLinks(
        tuple(links.values()),
        found.get("base"),
        found.get("canonical"),
        refresh,
        frozenset(robots),
        {"1": True, "0": False}.get(reservation or ""),
        found.get("tdm-policy"),
    )


def robots_directives(content: str) -> frozenset[str]:
    """The directives of a robots meta tag, in small letters, without their values.

    Commas separate them; blanks do too where people wrote them instead.
    """
    directives = {word.partition(":")[0] for word in re.split(r"[\s,;]+", content.lower()) if word}
    if "none" in directives:
        directives = directives - {"none"} | {"noindex", "nofollow"}
    return frozenset(directives)


def parse_refresh(content: str) -> Refresh | None:
    """What ``<meta http-equiv=refresh content=…>`` says (HTML, "shared declarative refresh steps"); None if nothing."""
    match = _REFRESH.match(content)
    if match is None:
        return None
    digits, rest = match["seconds"], content[match.end() :]
    if not digits and not match["fraction"]:
        return None
    seconds = min(int(digits[:9] or 0), 10**9)
    if not rest:
        return Refresh(seconds, "")
    if not _REFRESH_SEPARATOR.match(rest):
        return None
    rest = _REFRESH_SEPARATOR.sub("", rest, count=1)
    url = _REFRESH_URL.sub("", rest, count=1)
    if url[:1] in ("'", '"'):
        url = url[1:].partition(url[0])[0]
    return Refresh(seconds, url)


def resolve_entities(value: str) -> str:
    """An attribute's value with its character references resolved (HTML, 13.2.5.72 to 80).

    Unlike in text, ``&copy=1`` and ``&copyright`` stay what they are: they are parts of addresses.
    """
    return _REFERENCE.sub(_character, value) if "&" in value else value


class _Picker:
    """Decodes values of a page."""

    def __init__(self, page: bytes, encoding: str) -> None:
        self.page, self.encoding = page, encoding

    def text(self, row: list[int], column: int) -> str:
        return self.decode(self.page[row[column] : row[column + 1]]) if row[column] >= 0 else ""

    def decode(self, raw: bytes) -> str:
        text = raw.decode(self.encoding, "replace")
        if "\0" in text:
            text = text.replace("\0", "\ufffd")
        return resolve_entities(text)


def _with_ascii(page: bytes, encoding: str) -> tuple[bytes, str]:
    """The page in an encoding whose ASCII bytes mean ASCII wherever they stand."""
    if (
        encoding.lower()
        .replace("_", "-")
        .startswith(("utf-16", "utf16", "utf-32", "iso-2022", "iso2022", "hz"))
    ):
        return page.decode(encoding, "replace").encode("utf-8", "replace"), "utf-8"
    return page, encoding


def _character(match: re.Match[str]) -> str:
    whole, digits, hexadecimal, name = match.group(0, 1, 2, 3)
    if name is not None:
        following = match.string[match.end() : match.end() + 1]
        if not name.endswith(";") and following == "=":
            return whole
        return html5.get(name, whole)
    # int() of many digits would take long: more than seven say no character anyway.
    text = (digits or hexadecimal).lstrip("0")
    number = int(text or "0", 10 if digits else 16) if len(text) <= 7 else 0
    if 0x80 <= number < 0xA0:
        return bytes([number]).decode("cp1252", "ignore") or chr(number)
    if number == 0 or number > 0x10FFFF or 0xD800 <= number < 0xE000:
        return "\ufffd"
    return chr(number)


_NAMES = {A: "a", AREA: "area", LINK: "link", IFRAME: "iframe", FRAME: "frame"}
_NO_REL: frozenset[str] = frozenset()
_LINKS_TO_FOLLOW = frozenset(("next", "prev"))
_TDM = frozenset(("tdm-reservation", "tdm-policy"))
_REFERENCE = re.compile(r"&(?:#([0-9]+);?|#[xX]([0-9A-Fa-f]+);?|([A-Za-z0-9]+;?))")
_REFRESH = re.compile(r"[ \t\n\f\r]*(?P<seconds>[0-9]*)(?P<fraction>[0-9.]*)")
_REFRESH_SEPARATOR = re.compile(r"[ \t\n\f\r]*[;,][ \t\n\f\r]*|[ \t\n\f\r]+")
_REFRESH_URL = re.compile(r"[uU][rR][lL][ \t\n\f\r]*=[ \t\n\f\r]*")
