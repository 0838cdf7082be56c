"""robots.txt as RFC 9309 has it: may this agent fetch this address?

The group that speaks to an agent is chosen here, octet by octet as the standard says; its rules are matched by
Protego. Where the two would differ, this module decides: a group is for the product token that it names, not for one
that begins with it; lines that are no rules (``Crawl-delay``, ``Sitemap``) end no group; a byte-order mark is no
part of the first line; what stands behind 500 KiB does not count, except that no line is cut in its middle.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from protego import Protego

MAX_BYTES = 500 * 1024
"""How much of a file is read: the least that RFC 9309, 2.5, allows a crawler to stop at."""

_BYTE_ORDER_MARKS = (b"\xef\xbb\xbf", b"\xfe\xff", b"\xff\xfe")
_LINE_END = re.compile(rb"\r\n|\r|\n")
_AGENT_LINE = re.compile(rb"\s*user[- ]?agent(?:\s*:|\s+(?!:))\s*([^#]*)", re.IGNORECASE)
_RULES = re.compile(
    rb"\s*(?:allow|disallow|dissallow|dissalow|disalow|diasllow|disallaw)(?:\s*:|\s)", re.IGNORECASE
)
_SITEMAP_LINE = re.compile(rb"\s*site-?maps?\s*:\s*(\S+)", re.IGNORECASE)
_USAGE_LINE = re.compile(rb"\s*content-(signal|usage)\s*:\s*([^#]*)", re.IGNORECASE)
_TRAINING = re.compile(rb"(?:^|[\s,;])(?:ai-train|train-ai)\s*=\s*([A-Za-z]+)", re.IGNORECASE)
_TOKEN = re.compile(rb"[A-Za-z_-]+")


@dataclass(frozen=True, slots=True)
class Permission:
    """The answer for one address.

    Attributes:
        allowed: whether it may be fetched.
        reason: why not, or why it may: in words, for the ledger.
    """

    allowed: bool
    reason: str

    def __bool__(self) -> bool:
        return self.allowed


class Robots:
    """A robots.txt as it speaks to one agent.

    Args:
        robots_txt: the file's bytes; empty where there is none.
        agent: product token, or a whole user agent that begins with it.
        also_obey: product tokens of other agents whose rules must allow an address too.

    Attributes:
        crawl_delay: seconds between two requests that the file asks for, or None.
        sitemaps: addresses of its ``Sitemap`` lines, as written.
    """

    def __init__(self, robots_txt: bytes, agent: str, also_obey: tuple[str, ...] = ()) -> None:
        lines = _lines(robots_txt)
        self._rules: list[tuple[str, Protego]] = []
        self._usage: list[tuple[str, bool]] = []
        delays = []
        for name in (agent, *also_obey):
            token = _TOKEN.match(name.encode())
            addressed, group = _group_of(lines, token[0].lower() if token else b"")
            if group:
                parsed = Protego.parse("\n".join(["User-agent: *", *map(_text, group)]))
                self._rules.append((addressed, parsed))
                delay = parsed.crawl_delay("*")
                delays += [delay] if delay is not None else []
                self._usage += [usage for line in group if (usage := _usage_of(line)) is not None]
        self.crawl_delay: float | None = max(delays, default=None)
        self.sitemaps = [
            match[1].decode("utf-8", "replace") for line in lines if (match := _SITEMAP_LINE.match(line))
        ]

    def may_fetch(self, url: str) -> Permission:
        """Whether the agent may fetch ``url`` (absolute)."""
        for addressed, rules in self._rules:
            if not rules.can_fetch(url, "*"):
                return Permission(False, f"robots.txt forbids it to {addressed}")
        return _ALLOWED

    def may_train(self, path: str) -> bool:
        """Whether what stands at ``path`` (with its query) may be collected to train models on.

        Said by ``Content-Signal: ai-train=no`` (contentsignals.org) and ``Content-Usage: train-ai=n`` (IETF's
        aipref, which may name a path) in the agent's group. The longest path that fits holds, a refusal in a tie;
        where nothing is said, nothing is reserved.
        """
        fitting = [(len(prefix), not allowed) for prefix, allowed in self._usage if path.startswith(prefix)]
        return not max(fitting, default=(0, False))[1]


def may_fetch(robots_txt: bytes, agent: str, url: str) -> Permission:
    """May this agent fetch this address under this robots.txt?

    Implements RFC 9309: the group that names the agent's product token, in any case, holds, several such groups
    together, and the group for ``*`` only if there is none (2.2.1); of the rules that match, the one with the
    longest path decides, ``Allow`` in a tie, and without a match the address is allowed (2.2.2); ``*`` stands for any
    octets, ``$`` for the end (2.2.3); paths are compared percent-encoded; ``/robots.txt`` itself is always allowed.
    What answers other than 200 mean is decided where the file is fetched (2.3.1).

    Args:
        robots_txt: the file's bytes; at most the first 500 KiB count.
        agent: product token (``textmill``), or a whole user agent that begins with it.
        url: absolute address.

    >>> rules = b"User-agent: *\\nDisallow: /private/\\nAllow: /private/open\\n"
    >>> bool(may_fetch(rules, "textmill", "https://example.com/private/open.html"))
    True
    >>> may_fetch(rules, "textmill/1.0", "https://example.com/private/x").reason
    'robots.txt forbids it to *'
    """
    return _parsed(robots_txt, agent).may_fetch(url)


@lru_cache(64)
def _parsed(robots_txt: bytes, agent: str) -> Robots:
    return Robots(robots_txt, agent)


def _lines(robots_txt: bytes) -> list[bytes]:
    for mark in _BYTE_ORDER_MARKS:
        robots_txt = robots_txt.removeprefix(mark)
    if len(robots_txt) > MAX_BYTES:
        whole = max(robots_txt.rfind(b"\n", 0, MAX_BYTES), robots_txt.rfind(b"\r", 0, MAX_BYTES))
        robots_txt = robots_txt[: whole + 1 or MAX_BYTES]
    return _LINE_END.split(robots_txt)


def _group_of(lines: list[bytes], token: bytes) -> tuple[str, list[bytes]]:
    """The lines of all groups for ``token``, or of all groups for ``*``; and for whom they are written."""
    mine: list[bytes] = []
    everyone: list[bytes] = []
    named = False
    for_me = for_all = rules_seen = False
    for line in lines:
        match = _AGENT_LINE.match(line)
        if match:
            if rules_seen:
                for_me = for_all = rules_seen = False
            value = match[1].strip()
            found = _TOKEN.match(value)
            if value == b"*" or value[:2] in (b"* ", b"*\t"):
                for_all = True
            elif found and token and found[0].lower() == token:
                for_me = named = True
            continue
        rules_seen = rules_seen or bool(_RULES.match(line))
        if for_me:
            mine.append(line)
        if for_all:
            everyone.append(line)
    return (token.decode(), mine) if named else ("*", everyone)


def _usage_of(line: bytes) -> tuple[str, bool] | None:
    """Path and permission of a line about training; None if it is about something else."""
    match = _USAGE_LINE.match(line)
    if match is None:
        return None
    path, _, preferences = match[2].partition(b" ") if match[2][:1] == b"/" else (b"", b"", match[2])
    found = _TRAINING.findall(preferences)
    return (path.decode("latin-1"), found[-1].lower() not in (b"n", b"no")) if found else None


def _text(line: bytes) -> str:
    """A line for Protego, which compares percent-encoded text and ends lines at more than CR and LF."""
    return "".join(chr(byte) if 0x20 <= byte < 0x7F or byte == 0x09 else f"%{byte:02X}" for byte in line)


_ALLOWED = Permission(True, "allowed")
