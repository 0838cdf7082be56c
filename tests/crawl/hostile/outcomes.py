"""What a crawler may record about an address."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Outcome:
    """How an address must end, and the reasons that are right for it.

    Attributes:
        ends: any of "archived", "redirected", "refused", "failed"; empty: each of them, as long as it is one.
        reasons: any of these; empty: every reason.
        status: of the response, where there must be one.
    """

    ends: tuple[str, ...]
    reasons: tuple[str, ...] = ()
    status: int | None = None

    def agrees(self, end: str, reason: str, status: int | None) -> bool:
        return (
            end in (self.ends or ("archived", "redirected", "refused", "failed"))
            and reason in (self.reasons or (reason,))
            and (self.status is None or status == self.status)
        )


def archived() -> Outcome:
    return Outcome(("archived",), (), 200)


def redirected() -> Outcome:
    return Outcome(("redirected",))


def failed(*reasons: str) -> Outcome:
    """The server's fault."""
    return Outcome(("failed",), reasons)


def http(status: int) -> Outcome:
    """An answer, but no page."""
    return Outcome(("failed",), ("http",), status)


def refused(*reasons: str) -> Outcome:
    """Not wanted by the site, or by the crawl's own rules."""
    return Outcome(("refused",), reasons)


def lost(*reasons: str) -> Outcome:
    """Failed or refused: where both words are right."""
    return Outcome(("failed", "refused"), reasons)
