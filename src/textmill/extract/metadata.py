"""What a page says of itself: title, author, date of publication, language, site.

::

    title       og:title · JSON-LD headline · <title> without the site's name
    author      JSON-LD author · meta author, article:author, dc.creator · itemprop author
    published   JSON-LD datePublished · meta article:published_time, date, dc.date ... · itemprop, <time>
    language    <html lang> · meta content-language · og:locale
    site        og:site_name · JSON-LD publisher, WebSite · meta application-name

The first that says something usable counts. Dates are ISO 8601 (``2024-05-17``), languages BCP 47 (``en-GB``). JSON-LD
is read with a limit on its bytes and on the values looked at; what is no JSON says nothing.
"""

from __future__ import annotations

import json
import re
from collections import deque
from collections.abc import Iterator, Mapping
from datetime import date
from email.utils import parsedate_to_datetime
from typing import Any

import numpy as np

from textmill.extract.html.references import decode_attribute, decode_text
from textmill.extract.layout import (
    END_ATTRIBUTE,
    END_BLOCK,
    FIRST_ATTRIBUTE,
    FIRST_BLOCK,
    NAME,
    TAG,
    VALUE_END,
    VALUE_START,
)
from textmill.extract.names import ATTRIBUTES, TAG_IDS
from textmill.extract.tree import Page

JSON_BYTES, JSON_VALUES = 500_000, 5_000
LONGEST = 500
"""Characters of a value; what is longer is no title and no name."""


def page_metadata(page: Page) -> dict[str, str]:
    """Those of title, author, published, language and site that the page states."""
    metas = _metas(page)
    linked = _json_ld(page)
    site = _first(metas.get("og:site_name"), linked.get("site"), metas.get("application-name"))
    found = {
        "title": _first(metas.get("og:title"), linked.get("headline"), _without_site(page.title, site)),
        "author": _author(page, metas, linked),
        "published": _published(page, metas, linked),
        "language": _language(page, metas),
        "site": site,
    }
    return {name: value for name, value in found.items() if value}


def _first(*values: str | None) -> str:
    for value in values:
        if value:
            cleaned = " ".join(value.split())
            if 0 < len(cleaned) <= LONGEST:
                return cleaned
    return ""


def _attributes(page: Page, element: int) -> dict[str, str]:
    row = page.elements[element]
    return {
        ATTRIBUTES[name]: decode_attribute(page.data[start:end].tobytes().decode("utf-8", "replace"))
        for name, start, end in page.attributes[row[FIRST_ATTRIBUTE] : row[END_ATTRIBUTE]].tolist()
    }


def _metas(page: Page) -> dict[str, str]:
    """Contents of `meta` elements by lower-case name or property; the first of equal ones."""
    found: dict[str, str] = {}
    for element in np.flatnonzero(page.elements[:, TAG] == _META)[:300].tolist():
        attributes = _attributes(page, element)
        content = attributes.get("content", "").strip()
        names = (attributes.get(key, "") for key in ("property", "name", "itemprop", "http-equiv"))
        name = next((name for name in names if name), "").strip().lower()
        if name and content:
            found.setdefault(name, content)
    return found


def _without_site(title: str, site: str) -> str:
    """`Title – Site` or `Site | Title` without the site, if its name is known."""
    for mark in (" | ", " - ", " – ", " — ", " · ", " :: ", " » ", ": "):
        head, found, tail = title.rpartition(mark)
        if found and site and tail.strip().casefold() == site.casefold() and head.strip():
            return head.strip()
        head, found, tail = title.partition(mark)
        if found and site and head.strip().casefold() == site.casefold() and tail.strip():
            return tail.strip()
    return title


def _author(page: Page, metas: Mapping[str, str], linked: Mapping[str, str]) -> str:
    candidates = [linked.get("author")]
    names = ("author", "article:author", "dc.creator", "dcterms.creator", "parsely-author", "sailthru.author")
    candidates += [metas.get(name) for name in names]
    candidates.append(_marked_text(page, "author"))
    return _first(
        *(value for value in candidates if value and "://" not in value and not value.startswith("@"))
    )


_DATES = (
    *("article:published_time", "og:published_time", "datepublished", "article:published", "publish-date"),
    *(
        "publishdate",
        "pubdate",
        "dc.date.issued",
        "dcterms.issued",
        "dc.date",
        "dcterms.date",
        "dcterms.created",
    ),
    *(
        "dc.date.created",
        "parsely-pub-date",
        "sailthru.date",
        "cxenseparse:recs:publishtime",
        "citation_date",
    ),
    *("citation_publication_date", "article_date_original", "date", "date.created", "created"),
)


def _published(page: Page, metas: Mapping[str, str], linked: Mapping[str, str]) -> str:
    stated = [linked.get("published"), *(metas.get(name) for name in _DATES)]
    for value in stated:
        if value and (day := iso_date(value)):
            return day
    for element in np.flatnonzero(page.elements[:, TAG] == _TIME)[:50].tolist():
        attributes = _attributes(page, element)
        if "datetime" in attributes and (day := iso_date(attributes["datetime"])):
            return day
    return ""


def iso_date(value: str) -> str:
    """The day in a date of ISO 8601 (with or without time) or of RFC 5322; empty if there is none.

    >>> iso_date("2024-05-17T08:30:00+02:00"), iso_date("Fri, 17 May 2024 08:30:00 GMT"), iso_date("yesterday")
    ('2024-05-17', '2024-05-17', '')
    """
    value = value.strip()[:60]
    match = _ISO_DATE.match(value)
    if match:
        year, month, day = (int(part) for part in match.groups())
    else:
        try:
            parsed = parsedate_to_datetime(value)
        except (TypeError, ValueError, IndexError, OverflowError):
            return ""
        year, month, day = parsed.year, parsed.month, parsed.day
    try:
        return date(year, month, day).isoformat() if 1900 <= year <= 2100 else ""
    except ValueError:
        return ""


def _language(page: Page, metas: Mapping[str, str]) -> str:
    roots = np.flatnonzero(page.elements[:3, TAG] == _HTML).tolist()
    stated = _attributes(page, roots[0]) if roots else {}
    candidates = (
        stated.get("lang"),
        stated.get("xml:lang"),
        metas.get("content-language"),
        metas.get("og:locale"),
    )
    for value in candidates:
        match = _LANGUAGE.match((value or "").strip().replace("_", "-"))
        if match:
            language, rest = match[1].lower(), match[2] or ""
            return language + (rest.upper() if len(rest) == 3 else rest.title())
    return ""


def _marked_text(page: Page, mark: str) -> str:
    """The text of the first element with an itemprop or rel of this name, if it is short."""
    first, end = page.elements[:, FIRST_ATTRIBUTE], page.elements[:, END_ATTRIBUTE]
    wanted = mark.encode()
    for row in np.flatnonzero(np.isin(page.attributes[:, NAME], _ITEMPROP_OR_REL))[:2000].tolist():
        start, stop = page.attributes[row, [VALUE_START, VALUE_END]].tolist()
        if page.data[start:stop].tobytes().strip().lower() != wanted:
            continue
        elements = np.flatnonzero((first <= row) & (row < end))
        if not len(elements):
            continue
        element = int(elements[0])
        content = _attributes(page, element).get("content")
        if content:
            return content
        blocks = page.elements[element, [FIRST_BLOCK, END_BLOCK]].tolist()
        if blocks[1] - blocks[0] == 1:
            text = page.block_text(blocks[0])
            return text.removeprefix("By ") if len(text) <= 80 else ""
    return ""


def _json_ld(page: Page) -> dict[str, str]:
    """headline, author, published and site, as the page's JSON-LD states them."""
    found: dict[str, str] = {}
    left = JSON_VALUES
    for start, end in page.json_ld[:20].tolist():
        if end - start > JSON_BYTES:
            continue
        try:
            content = json.loads(
                page.data[start:end].tobytes().decode("utf-8", "replace").strip().removesuffix(";"),
                strict=False,
            )
        except (ValueError, RecursionError):
            continue
        for item in _objects(content, left):
            left -= 1
            _note(item, found)
    return found


def _objects(content: Any, limit: int) -> Iterator[dict[str, Any]]:
    """The objects in a JSON value, outer ones first, no more than a limit."""
    waiting = deque([content])
    while waiting and limit > 0:
        value = waiting.popleft()
        limit -= 1
        if isinstance(value, dict):
            yield value
            waiting.extend(inner for inner in value.values() if isinstance(inner, (dict, list)))
        elif isinstance(value, list):
            waiting.extend(inner for inner in value[:1000] if isinstance(inner, (dict, list)))


def _note(item: dict[str, Any], found: dict[str, str]) -> None:
    kinds = item.get("@type")
    kinds = {kind for kind in (kinds if isinstance(kinds, list) else [kinds]) if isinstance(kind, str)}
    if not kinds & _COMMENTS:
        if isinstance(item.get("headline"), str):
            found.setdefault("headline", decode_text(item["headline"]))
        if isinstance(item.get("datePublished"), str) and iso_date(item["datePublished"]):
            found.setdefault("published", item["datePublished"])
        if "headline" in item or "datePublished" in item:
            names = _names(item.get("author"))
            if names:
                found.setdefault("author", decode_text(", ".join(names)))
    for name in _names(item.get("publisher")) or (_names(item) if "WebSite" in kinds else []):
        found.setdefault("site", decode_text(name))


def _names(value: Any) -> list[str]:
    """Names of persons or organisations: a string, an object with a name, or a list of these."""
    values = value if isinstance(value, list) else [value]
    names = []
    for one in values[:10]:
        name = one.get("name") if isinstance(one, dict) else one
        if isinstance(name, str) and 0 < len(name.strip()) <= 100:
            names.append(name.strip())
    return names


_META, _TIME, _HTML = TAG_IDS["meta"], TAG_IDS["time"], TAG_IDS["html"]
_ITEMPROP_OR_REL = [ATTRIBUTES.index(name) for name in ("itemprop", "rel")]
_COMMENTS = frozenset(("Comment", "Review", "Answer", "UserReview"))
_ISO_DATE = re.compile(r"(\d{4})[-/.]?(\d{2})[-/.]?(\d{2})(?!\d)")
_LANGUAGE = re.compile(r"([A-Za-z]{2,3})(?![A-Za-z])(-[A-Za-z]{2}(?![A-Za-z])|-[A-Za-z]{4}(?![A-Za-z]))?")
