"""Faults of status and place: errors that heal or stay, waits that servers ask for, redirects to everywhere."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

from tests.crawl.hostile.answers import answer, bytes_as_they_are, head, in_turn, page, redirect, text, whole
from tests.crawl.hostile.outcomes import Outcome, archived, failed, http, redirected, refused
from tests.crawl.hostile.server import Exchange, Fault, Handler


def _status(status: int, **headers: str) -> Handler:
    return answer(
        text(f"status {status}"), status, {name.replace("_", "-"): value for name, value in headers.items()}
    )


async def _later_by_date(exchange: Exchange) -> None:
    """429 with the date of two seconds from now: dates have whole seconds."""
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=2), usegmt=True)
    await exchange.send(whole(text("later"), 429, {"Retry-After": date}))


STATUSES = [
    Fault(
        "retry_after_one_second",
        {"/": in_turn(_status(429, Retry_After="1"), page("healed"))},
        {"/": archived()},
    ),
    Fault("retry_after_a_date", {"/": in_turn(_later_by_date, page("healed"))}, {"/": archived()}),
    Fault(
        "503_heals_after_one_second",
        {"/": in_turn(_status(503, Retry_After="1"), page("healed"))},
        {"/": archived()},
    ),
    Fault("503_heals", {"/": in_turn(_status(503), page("healed"))}, {"/": archived()}),
    Fault(
        "500_heals_after_two", {"/": in_turn(_status(500), _status(500), page("healed"))}, {"/": archived()}
    ),
    Fault("503_for_ever", {"/": _status(503)}, {"/": http(503)}),
    Fault("500_for_ever", {"/": _status(500)}, {"/": http(500)}),
    Fault("429_for_ever", {"/": _status(429)}, {"/": http(429)}),
    Fault("retry_after_a_day", {"/": _status(429, Retry_After="86400")}, {"/": failed("host", "http")}),
    Fault(
        "retry_after_is_a_word",
        {"/": in_turn(_status(429, Retry_After="soon"), page("healed"))},
        {"/": archived()},
    ),
    Fault(
        "retry_after_is_negative",
        {"/": in_turn(_status(503, Retry_After="-7"), page("healed"))},
        {"/": archived()},
    ),
    Fault(
        "404_410_403_401",
        {
            "/": page("errors", "/404", "/410", "/403", "/401", "/451"),
            **{f"/{code}": _status(code) for code in (404, 410, 403, 401, 451)},
        },
        {"/": archived(), **{f"/{code}": http(code) for code in (404, 410, 403, 401, 451)}},
    ),
    Fault("204", {"/": bytes_as_they_are(head(204))}, {"/": http(204)}),
    Fault("304_that_nobody_asked_for", {"/": bytes_as_they_are(head(304))}, {"/": http(304)}),
    Fault(
        "206_that_nobody_asked_for",
        {"/": _status(206, Content_Range="bytes 0-9/500")},
        {"/": http(206)},
    ),
    Fault("status_999", {"/": _status(999)}, {"/": http(999)}),
    Fault(
        "101_switching",
        {
            "/": bytes_as_they_are(
                head(101, {"Upgrade": "websocket", "Connection": "Upgrade"}), b"\x81\x05hello"
            )
        },
        {"/": failed("protocol", "http")},
    ),
]

_ABROAD = (
    "http://10.0.0.1/",
    "http://169.254.169.254/",
    "http://[::1]/",
    "http://[::ffff:a00:1]/",
    "http://0.0.0.0/",
)

_EXCLUDING = answer("User-agent: *\nDisallow: /private", kind="text/plain")


def _redirects(name: str, location: str | bytes, outcome: Outcome, target: Outcome | None = None) -> Fault:
    """A front page that sends on to `location`, which has an `outcome` of its own if it is an address."""
    expected = {"/": outcome} | ({str(location): target} if target else {})
    return Fault(name, {"/": redirect(location), "/there": page("there")}, expected)


REDIRECTS = [
    _redirects("redirect_to_itself", "/", failed("redirect_loop")),
    _redirects("redirect_303", "/there", redirected(), archived()),
    _redirects("redirect_to_file", "file:///etc/passwd", failed("redirect_target")),
    _redirects("redirect_to_javascript", "javascript:alert(1)", failed("redirect_target")),
    _redirects("redirect_to_nonsense", "http://[::1", failed("redirect_target")),
    _redirects("redirect_to_bytes", b"/\xff\xfe caf\xe9", redirected()),
    _redirects("redirect_out_of_scope", "http://example.invalid/", redirected()),
    *(_redirects(f"redirect_to_{where}", where, redirected(), refused("address")) for where in _ABROAD),
    # An address in other clothes: what it stands for is decided when the address is made canonical.
    _redirects("redirect_to_decimal_address", "http://167772161/", redirected()),
    _redirects("redirect_to_octal_address", "http://0251.0376.0251.0376/", redirected()),
    Fault(
        "redirect_to_nowhere",
        {"/": bytes_as_they_are(head(302, {"Content-Length": "0"}))},
        {"/": failed("redirect_target", "http")},
    ),
    Fault(
        "redirect_in_a_circle",
        {"/": redirect("/b"), "/b": redirect("/c"), "/c": redirect("/")},
        {"/": redirected(), "/b": redirected(), "/c": Outcome(("redirected", "failed"))},
        limits={"/b": 1},
    ),
    Fault(
        "redirect_without_end",
        {"*": lambda exchange: redirect(exchange.request.target + "x")(exchange)},
        {"/": redirected(), "/" + "x" * 10: failed("redirect_limit")},
        limits={"/": 15},
    ),
    Fault(
        "four_redirects",
        {
            "/": redirect("/1"),
            "/1": redirect("/2", 301),
            "/2": redirect("/3", 307),
            "/3": redirect("/4", 308),
            "/4": page("there"),
        },
        {"/": redirected(), "/3": redirected(), "/4": archived()},
    ),
    Fault(
        "redirect_to_what_robots_exclude",
        {"/": redirect("/private"), "/private": page("private")},
        {"/": redirected(), "/private": refused("robots")},
        robots=_EXCLUDING,
        limits={"/private": 0},
    ),
    Fault(
        "redirect_by_meta_refresh",
        {"/": page("go", meta='<meta http-equiv=refresh content="0; url=/there">'), "/there": page("there")},
        {"/there": archived()},
    ),
]

FAULTS = [*STATUSES, *REDIRECTS]
