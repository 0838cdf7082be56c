"""What sites ask for, and how near a statement must stand to hold."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from textmill.crawl.opt_outs import TdmFile, judge, robots_tag


@pytest.mark.parametrize(
    "values, expected",
    [
        (["noindex"], {"noindex"}),
        (["NOINDEX, NoFollow"], {"noindex", "nofollow"}),
        (["textmill: noai"], {"noai"}),
        (["otherbot: noai, noindex"], set()),
        (["otherbot: noai", "noindex"], {"noindex"}),
        (["noarchive, unavailable_after: 25 Jun 2010 15:00:00 PST, noindex"],
         {"noarchive", "unavailable_after", "noindex"}),
        (["otherbot: noindex, textmill: noai"], {"noai"}),
    ],
)  # fmt: skip
def test_robots_tag(values: list[str], expected: set[str]) -> None:
    assert robots_tag(values, "TextMill") == expected


@pytest.mark.parametrize(
    "directives, media_type, reservations, respect, reason",
    [
        ({"noindex"}, "text/html", [], False, "noindex"),
        ({"none"}, "text/html", [], True, "noindex"),
        ({"noai"}, "text/html", [], True, "noai"),
        ({"noai"}, "text/html", [], False, None),
        ({"noimageai"}, "text/html", [], True, None),
        ({"noimageai"}, "image/png", [], True, "noai"),
        (set(), "text/html", [("the page", None), ("the header", "1")], True, "tdm"),
        (set(), "text/html", [("the page", "0"), ("the header", "1")], True, None),
        (set(), "text/html", [("the page", None), ("the header", "0"), ("the file", "1")], True, None),
        (set(), "text/html", [("the page", None), ("the header", None), ("the file", "1")], True, "tdm"),
        (set(), "text/html", [("the header", "1")], False, None),
    ],
)  # fmt: skip
def test_the_nearest_statement_holds(
    directives: set[str],
    media_type: str,
    reservations: list[tuple[str, str | None]],
    respect: bool,
    reason: str | None,
) -> None:
    wishes = judge(directives, media_type=media_type, respect=respect, reservations=reservations)
    assert (wishes.refusal.reason if wishes.refusal else None) == reason


def test_tdm_file() -> None:
    rules = [
        {"location": "/open/*.html$", "tdm-reservation": 0},
        {"location": "nonsense"},
        "no rule",
        {"location": "/", "tdm-reservation": 1, "tdm-policy": "https://example.com/policy.json"},
    ]
    file = TdmFile(b"\xef\xbb\xbf" + json.dumps(rules).encode())
    assert file.reservation("/open/a.html") == "0"
    assert file.reservation("/open/a.html?x") == "1"
    assert file.reservation("/private") == "1"
    assert TdmFile(b"{not json").reservation("/") is None
    assert TdmFile(b'[{"location": "/x*y*z", "tdm-reservation": "1"}]').reservation("/x" + "y" * 5000) is None


@given(
    st.binary(max_size=200)
    | st.recursive(st.none() | st.text(), lambda x: st.lists(x)).map(lambda x: json.dumps(x).encode())
)
def test_no_file_is_too_strange(contents: bytes) -> None:
    TdmFile(contents).reservation("/a")
