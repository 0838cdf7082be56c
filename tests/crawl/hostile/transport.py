"""Faults below HTTP's meaning: slowness, wrong lengths, broken framing, dead connections, TLS."""

from __future__ import annotations

from tests.crawl.hostile.answers import (
    after,
    bytes_as_they_are,
    chunk,
    endless,
    hang_up,
    head,
    in_turn,
    page,
    reset_at_once,
    stall,
    text,
    whole,
)
from tests.crawl.hostile.outcomes import Outcome, archived, failed, lost
from tests.crawl.hostile.server import Exchange, Fault, Handler

_HTML = {"Content-Type": "text/html; charset=utf-8"}
_BODY = text("a body").encode()


def _smuggling(title: str) -> Handler:
    """A body longer than Content-Length says: the surplus is a whole answer that nobody asked for."""
    body = text(title, "/second").encode()
    surplus = whole(text("POISON"))

    async def handle(exchange: Exchange) -> None:
        # At once: a surplus that comes when the next request is under way is an answer to it for everybody.
        await exchange.send(whole(body) + surplus)
        exchange.keep = True

    return handle


SLOW = [
    Fault("slow_but_whole", {"/": after(0.3, page("patience"))}, {"/": archived()}),
    Fault("first_byte_late", {"/": stall()}, {"/": failed("timeout", "slow")}),
    Fault("a_byte_a_second", {"/": endless(head(200, _HTML), b"a", 0.4)}, {"/": failed("timeout", "slow")}),
    Fault(
        "headers_a_byte_a_second",
        {"/": endless(b"HTTP/1.1 200 OK\r\nX: ", b"a", 0.4)},
        {"/": failed("timeout", "slow")},
    ),
    Fault(
        "stalls_inside_the_body",
        {"/": stall(head(200, _HTML | {"Content-Length": "5000"}), _BODY)},
        {"/": failed("timeout", "slow")},
    ),
]

LENGTHS = [
    Fault(
        "length_too_long",
        {"/": bytes_as_they_are(head(200, _HTML | {"Content-Length": "5000"}), _BODY)},
        {"/": failed("truncated")},
    ),
    Fault(
        "length_too_short",
        {"/": bytes_as_they_are(head(200, _HTML | {"Content-Length": "60"}), _BODY)},
        {"/": Outcome(("archived", "failed"), ("page", "protocol"))},
    ),
    Fault(
        "surplus_is_an_answer",
        {"/": _smuggling("first"), "/second": page("the second page")},
        {"/": archived(), "/second": archived()},
    ),
    Fault("no_length_close", {"/": bytes_as_they_are(head(200, _HTML), _BODY)}, {"/": archived()}),
    Fault(
        "no_length_reset",
        {"/": bytes_as_they_are(head(200, _HTML), _BODY, pause=0.05, reset=True)},
        {"/": failed("connection", "truncated")},
    ),
    Fault("empty_body", {"/": bytes_as_they_are(whole(b""))}, {"/": archived()}),
    Fault(
        "length_is_a_word",
        {"/": bytes_as_they_are(head(200, _HTML | {"Content-Length": "many"}), _BODY)},
        {"/": failed("protocol")},
    ),
    Fault(
        "length_is_negative",
        {"/": bytes_as_they_are(head(200, _HTML | {"Content-Length": "-5"}), _BODY)},
        {"/": failed("protocol")},
    ),
    Fault(
        "two_lengths",
        {
            "/": bytes_as_they_are(
                b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 900\r\n\r\n", _BODY
            )
        },
        {"/": failed("protocol")},
    ),
    Fault(
        "length_and_chunks",
        {
            "/": bytes_as_they_are(
                head(200, _HTML | {"Content-Length": "5", "Transfer-Encoding": "chunked"}),
                chunk(_BODY),
                chunk(b""),
            )
        },
        {"/": failed("protocol")},
    ),
    Fault(
        "says_ten_gigabytes",
        {"/": stall(head(200, _HTML | {"Content-Length": str(10 * 2**30)}), _BODY)},
        {"/": lost("too_large", "timeout", "slow")},
    ),
    Fault(
        "chunk_cut_off",
        {
            "/": bytes_as_they_are(
                head(200, _HTML | {"Transfer-Encoding": "chunked"}), chunk(_BODY), b"ff\r\nabc"
            )
        },
        {"/": failed("truncated")},
    ),
    Fault(
        "chunk_size_is_a_word",
        {
            "/": bytes_as_they_are(
                head(200, _HTML | {"Transfer-Encoding": "chunked"}), chunk(_BODY), b"zz\r\nabc\r\n"
            )
        },
        {"/": failed("protocol")},
    ),
    Fault(
        "chunk_of_2_to_the_64",
        {"/": stall(head(200, _HTML | {"Transfer-Encoding": "chunked"}), b"ffffffffffffffff\r\n", _BODY)},
        {"/": lost("protocol", "timeout", "slow", "too_large")},
    ),
]

FRAMING = [
    Fault("http_0_9", {"/": bytes_as_they_are(_BODY)}, {"/": failed("protocol")}),
    Fault("speaks_ssh", {"/": bytes_as_they_are(b"SSH-2.0-OpenSSH_9.6\r\n")}, {"/": failed("protocol")}),
    Fault("binary_garbage", {"/": bytes_as_they_are(bytes(range(256)) * 40)}, {"/": failed("protocol")}),
    Fault(
        "status_is_a_word",
        {"/": bytes_as_they_are(b"HTTP/1.1 good OK\r\n\r\n", _BODY)},
        {"/": failed("protocol")},
    ),
    Fault(
        "bytes_no_header_may_hold",
        {"/": bytes_as_they_are(b"HTTP/1.1 200 OK\r\nX-Name: caf\xe9 \xff\xfe\r\n\r\n", _BODY)},
        {"/": archived()},
    ),
    Fault(
        "nul_in_a_header",
        {"/": bytes_as_they_are(b"HTTP/1.1 200 OK\r\nX-Nul: a\x00b\r\n\r\n", _BODY)},
        {"/": failed("protocol")},
    ),
    Fault(
        "header_without_colon",
        {"/": bytes_as_they_are(b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n", _BODY)},
        {"/": failed("protocol")},
    ),
    Fault(
        "lines_end_in_lf",
        {"/": bytes_as_they_are(b"HTTP/1.1 200 OK\nContent-Type: text/html\n\n", _BODY)},
        {"/": Outcome(("archived", "failed"), ("page", "protocol"))},
    ),
    Fault(
        "one_header_of_a_megabyte",
        {"/": bytes_as_they_are(head(200, {"X-Long": "a" * 2**20}), _BODY)},
        {"/": failed("protocol")},
    ),
    Fault(
        "endless_headers",
        {"/": endless(b"HTTP/1.1 200 OK\r\n", b"X-More: and more\r\n" * 50)},
        {"/": lost("protocol", "timeout", "slow", "too_large")},
    ),
    Fault(
        "endless_early_hints",
        {"/": endless(b"", b"HTTP/1.1 103 Early Hints\r\n\r\n" * 5, 0.01)},
        {"/": failed("protocol", "timeout", "slow")},
    ),
]

CONNECTIONS = [
    Fault("reset_before_headers", {"/": reset_at_once}, {"/": failed("connection")}),
    Fault("hangs_up_before_headers", {"/": hang_up}, {"/": failed("connection")}),
    Fault(
        "hangs_up_inside_headers",
        {"/": bytes_as_they_are(b"HTTP/1.1 200 OK\r\nContent-Ty")},
        {"/": failed("connection", "protocol", "truncated")},
    ),
    Fault(
        "reset_after_headers",
        {"/": bytes_as_they_are(head(200, _HTML | {"Content-Length": "900"}), pause=0.05, reset=True)},
        {"/": failed("connection", "truncated")},
    ),
    Fault(
        "reset_twice_then_well",
        {"/": in_turn(reset_at_once, reset_at_once, page("healed"))},
        {"/": archived()},
    ),
]

_NO_TALK = lost("tls", "connection", "protocol", "timeout", "robots_unreachable")
TLS = [
    Fault(
        "tls_good",
        {"/": page("trusted", "/second"), "/second": page("second")},
        {"/": archived(), "/second": archived()},
        certificate="good",
    ),
    Fault("tls_self_signed", {"/": page("x")}, {"/": failed("tls")}, certificate="self_signed"),
    Fault("tls_expired", {"/": page("x")}, {"/": failed("tls")}, certificate="expired"),
    Fault("tls_wrong_host", {"/": page("x")}, {"/": failed("tls")}, certificate="wrong_host"),
    Fault(
        "tls_asked_of_plain_http",
        {"/": page("x")},
        {"/": _NO_TALK},
        scheme="https",
    ),
    Fault(
        "plain_http_asked_of_tls",
        {"/": page("x")},
        {"/": _NO_TALK},
        certificate="good",
        scheme="http",
    ),
]

FAULTS = [*SLOW, *LENGTHS, *FRAMING, *CONNECTIONS, *TLS]
