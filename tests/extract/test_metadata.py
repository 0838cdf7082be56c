"""What pages say of themselves."""

from __future__ import annotations

import json

import pytest

from textmill.extract.metadata import iso_date, page_metadata
from textmill.extract.tree import PageParser

parser = PageParser()


def of(page: str) -> dict[str, str]:
    return page_metadata(parser.parse(page.encode()))


def linked(content: object) -> str:
    return f'<script type="application/ld+json">{json.dumps(content)}</script>'


@pytest.mark.parametrize(
    ("page", "found"),
    [
        ("", {}),
        ("<title>A | B</title>", {"title": "A | B"}),
        ("<title>A | B</title><meta property=og:site_name content=B>", {"title": "A", "site": "B"}),
        ("<title>B: A</title><meta name=application-name content=b>", {"title": "A", "site": "b"}),
        ("<title>t</title><meta property=og:title content='O &amp; P'>", {"title": "O & P"}),
        ("<html lang=en-gb>", {"language": "en-GB"}),
        ("<html lang='zh_hant'>", {"language": "zh-Hant"}),
        ("<html lang=english><meta property=og:locale content=fr_FR>", {"language": "fr-FR"}),
        ("<meta name=author content='A. B.'>", {"author": "A. B."}),
        ("<meta property=article:author content=https://x.org/a><p itemprop=author>By C D</p>", {"author": "C D"}),
        ("<a rel=author href=/x><b>E F</b></a>", {"author": "E F"}),
        ("<meta name=date content=2023-02-30><time datetime=2023-03-01T10:00Z>x</time>", {"published": "2023-03-01"}),
        ("<meta property=article:published_time content='2020-01-02T03:04:05+00:00'>", {"published": "2020-01-02"}),
        (
            linked({"@graph": [{"@type": "WebSite", "name": "S"}, {"@type": "Article", "headline": "H",
                    "author": [{"name": "A"}, "B"], "datePublished": "2024-05-17T08:00"}]}),
            {"title": "H", "author": "A, B", "published": "2024-05-17", "site": "S"},
        ),
        (
            linked({"@type": "Article", "headline": "H", "comment": {"@type": "Comment", "author": "X",
                    "datePublished": "2001-01-01"}, "publisher": {"name": "P"}}),
            {"title": "H", "site": "P"},
        ),
        ('<script type="application/ld+json">{"headline": "x",</script><title>t</title>', {"title": "t"}),
        ('<script type="application/ld+json">' + "[" * 100_000 + "</script><title>t</title>", {"title": "t"}),
        (linked({"headline": 7, "author": {"name": None}, "datePublished": ["x"], "publisher": [[]]}), {}),
        (linked([{"headline": "x" * 1000}]) + "<title>t</title>", {"title": "t"}),
    ],
)  # fmt: skip
def test_metadata(page: str, found: dict[str, str]) -> None:
    assert of(page) == found


@pytest.mark.parametrize(
    ("written", "day"),
    [
        ("2024-05-17", "2024-05-17"),
        ("2024/05/17 08:00", "2024-05-17"),
        ("20240517", "2024-05-17"),
        ("20240517083000", ""),
        ("Fri, 17 May 2024 08:30:00 GMT", "2024-05-17"),
        ("17 May 2024", ""),
        ("0001-01-01", ""),
        ("2024-13-01", ""),
        ("", ""),
        ("9" * 1000, ""),
    ],
)
def test_dates(written: str, day: str) -> None:
    assert iso_date(written) == day


def test_a_graph_without_end_is_cut_off() -> None:
    many = linked([{"x": [{"y": number}]} for number in range(20_000)] + [{"headline": "late"}])
    assert of(many) == {}
