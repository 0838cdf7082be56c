"""What can become of an address, in the words that the ledger uses.

Every address that a crawl has seen ends in one of five ways, and

    seen = archived + redirected + refused + failed + left

holds whenever a crawl is sealed. *Left* are those that a budget kept from being fetched.
"""

from __future__ import annotations

from dataclasses import dataclass

QUEUED, ARCHIVED, REDIRECTED, REFUSED, FAILED = range(5)
OUTCOMES = ("left", "archived", "redirected", "refused", "failed")

# Reasons, with the sentence that explains each one.
REASONS = {
    "page": "archived",
    "unchanged": "archived: not changed since the earlier crawl",
    "sitemap": "a sitemap, read for its addresses",
    "redirect": "the server sends on to another address",
    # refused by the site
    "robots": "robots.txt forbids it",
    "robots_unreachable": "robots.txt cannot be reached, which means that everything is forbidden (RFC 9309, 2.3.1.4)",
    "noindex": "the page asks not to be indexed",
    "tdm": "rights of text and data mining are reserved (TDM-Reservation)",
    "noai": "the page asks not to be used for AI (noai)",
    "ai_signal": "robots.txt asks not to train models on it (Content-Signal, Content-Usage)",
    # refused by the crawl's own rules
    "address": "the address may not be connected to",
    "content_type": "it is of another type of content",
    "prefix_budget": "too many addresses below this directory",
    "path_budget": "too many addresses that differ in their query alone",
    "trap": "the address looks like a trap",
    "too_large": "the body is longer than allowed",
    "bomb": "the body grows beyond all bounds when its content coding is undone",
    # failed
    "http": "the server answered with an error",
    "timeout": "no answer in time",
    "slow": "the body came too slowly",
    "connection": "the connection failed",
    "dns": "the host's name has no address",
    "tls": "the host's certificate is not valid",
    "protocol": "the answer is no HTTP",
    "truncated": "the body ended too early",
    "coding": "the content coding cannot be undone",
    "redirect_limit": "too many redirects in a row",
    "redirect_loop": "it redirects to itself",
    "redirect_target": "it redirects to something that is no web address",
    "host": "the host was given up",
    "crash": "it could not be processed",
}

PASSING = ("timeout", "slow", "connection", "dns", "truncated", "http", "host", "robots_unreachable")
"""Reasons that may not hold another day: what ``textmill crawl --retry-failed`` tries again."""


@dataclass(frozen=True, slots=True)
class Fault:
    """Why an address was not fetched.

    Attributes:
        state: REFUSED or FAILED.
        reason: a key of REASONS.
        detail: what exactly, if there is more to say.
        again: whether another attempt may help.
        wait: seconds that the server asks to wait, if it does.
    """

    state: int
    reason: str
    detail: str = ""
    again: bool = False
    wait: float | None = None


def explained(reason: str, detail: str | None) -> str:
    """The sentence for people: ``robots: robots.txt forbids it to *``."""
    text = REASONS.get(reason, reason)
    return f"{reason}: {detail}" if detail else f"{reason}: {text}"
