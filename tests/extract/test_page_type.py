"""Signs of page types: addresses that pages declare, and their parts."""

from __future__ import annotations

import pytest

from textmill.extract.page_type import address_tokens, declared_address
from textmill.extract.tree import PageParser


@pytest.mark.parametrize(
    ("head", "address"),
    [
        ('<link rel="canonical" href="https://a.example/x">', "https://a.example/x"),
        ("<link HREF=/y REL=Canonical>", "/y"),
        ('<meta property="og:url" content="https://b.example/">', "https://b.example/"),
        ('<meta property="og:title" content="no"><link rel=icon href=/i>', None),
        ('<link rel=canonical href="">', None),
        ("", None),
    ],
)
def test_declared_address(head: str, address: str | None) -> None:
    page = PageParser().parse(f"<!doctype html><head>{head}</head><p>text".encode())
    assert declared_address(page) == address


@pytest.mark.parametrize(
    ("address", "tokens"),
    [
        ("", []),
        ("https://[broken/", []),
        ("https://a.example", ["host:a", "host:example", "depth:0"]),
        (
            "https://a.example/2024/05/some-long-title-12345.html",
            *[
                [
                    *(
                        "host:a",
                        "host:example",
                        "path:some",
                        "path:long",
                        "path:title",
                        "path:html",
                        "depth:3",
                    ),
                    *("slug:4", "slug:number", "dated", "ending:html"),
                ]
            ],
        ),
    ],
)
def test_address_tokens(address: str, tokens: list[str]) -> None:
    assert address_tokens(address) == tokens
