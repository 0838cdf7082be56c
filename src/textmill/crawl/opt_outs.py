"""What a site wants done with a page: indexed, followed, mined, fed to a model.

Sources are headers (``X-Robots-Tag``, ``TDM-Reservation``), the page's own meta tags, and the site's
``/.well-known/tdmrep.json`` (TDM Reservation Protocol, W3C community group, 2024). Of statements about
mining the nearest holds: the page's before the header's, the header's before the site's file.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from textmill.crawl.outcomes import REFUSED, Fault

TDM_FILE = "/.well-known/tdmrep.json"
_WITH_VALUE = frozenset({"unavailable_after", "max-snippet", "max-image-preview", "max-video-preview"})


@dataclass(frozen=True, slots=True)
class Wishes:
    """What a page and its headers ask for.

    Attributes:
        refusal: why the page may not be archived, or None.
        nofollow: whether its links may not be followed.
    """

    refusal: Fault | None
    nofollow: bool


def robots_tag(values: Iterable[str], agent: str) -> set[str]:
    """The directives of ``X-Robots-Tag`` headers that bind ``agent``, in lower case, without their values.

    A directive without a name binds everyone; ``otherbot: noindex`` binds that robot, and what follows it in the same
    header too.
    """
    found: set[str] = set()
    for value in values:
        bound = True
        for part in value.split(","):
            name, colon, rest = part.strip().lower().partition(":")
            if colon and name.strip() not in _WITH_VALUE:
                bound = name.strip() in (agent.lower(), "*")
                name = rest
            if bound and name.strip():
                found.add(name.strip())
    return found


def judge(
    directives: set[str],
    *,
    media_type: str,
    respect: bool,
    reservations: Sequence[tuple[str, str | None]],
) -> Wishes:
    """What the wishes that were found amount to.

    Args:
        directives: of robots meta tags and headers together.
        media_type: of the content; ``noimageai`` is about images.
        respect: whether opt-outs from mining and AI count.
        reservations: where and with which value mining was spoken of, the nearest first.
    """
    nofollow = bool(directives & {"nofollow", "none"})
    if directives & {"noindex", "none"}:
        return Wishes(Fault(REFUSED, "noindex"), nofollow)
    if respect:
        if "noai" in directives:
            return Wishes(Fault(REFUSED, "noai"), nofollow)
        if "noimageai" in directives and media_type.startswith("image/"):
            return Wishes(Fault(REFUSED, "noai", "noimageai, and this is an image"), nofollow)
        for where, value in reservations:
            if value is not None:
                if value.strip() == "1":
                    return Wishes(Fault(REFUSED, "tdm", f"reserved in {where}"), nofollow)
                break
    return Wishes(None, nofollow)


class TdmFile:
    """A ``tdmrep.json``: which paths of a site are reserved.

    The first rule whose ``location`` matches holds; ``*`` and ``$`` mean what they mean in robots.txt, and a location
    without them covers everything that begins with it. What is no rule is passed over: a file with a fault in it must
    not turn a reservation elsewhere in it into permission.
    """

    def __init__(self, contents: bytes) -> None:
        self._rules: list[tuple[re.Pattern[str], str]] = []
        try:
            rules: Any = json.loads(contents.decode("utf-8-sig", "replace"))
        except (ValueError, RecursionError):
            rules = []
        for rule in rules if isinstance(rules, list) else [rules]:
            if isinstance(rule, dict) and isinstance(rule.get("location"), str):
                value = rule.get("tdm-reservation")
                if value is not None and not isinstance(value, list | dict):
                    self._rules.append(
                        (_pattern(rule["location"]), str(int(value) if value in (0, 1) else value))
                    )

    def reservation(self, path: str) -> str | None:
        """The value for a path with its query, or None if the file says nothing of it."""
        for pattern, value in self._rules:
            if pattern.match(path):
                return value
        return None


@lru_cache(256)
def _pattern(location: str) -> re.Pattern[str]:
    location = location if location.startswith(("/", "*")) else "/" + location
    anchored = location.endswith("$")
    parts = [re.escape(part) for part in re.sub(r"\*+", "*", location.removesuffix("$")).split("*")]
    return re.compile(".*?".join(parts[:16]) + (r"\Z" if anchored else ""), re.DOTALL)
