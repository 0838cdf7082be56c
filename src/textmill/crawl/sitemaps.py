"""Sitemaps (sitemaps.org): XML, indexes of others, plain text, each also gzipped."""

from __future__ import annotations

from dataclasses import dataclass, field
from xml.parsers import expat

MAX_ADDRESSES = 50_000
"""Addresses in a file, as the protocol limits them."""


@dataclass
class Sitemap:
    """What a sitemap names.

    Attributes:
        pages: addresses of pages, as written.
        sitemaps: addresses of further sitemaps.
        fault: why it could not be read to its end, or None.
    """

    pages: list[str] = field(default_factory=list)
    sitemaps: list[str] = field(default_factory=list)
    fault: str | None = None


def read_sitemap(contents: bytes) -> Sitemap:
    """Read a sitemap, unpacked; what stands before a fault counts."""
    start = contents.lstrip(b"\xef\xbb\xbf \t\r\n")[:1]
    return _xml(contents) if start == b"<" else _text(contents)


def _text(contents: bytes) -> Sitemap:
    lines = contents.decode("utf-8-sig", "replace").split()
    return Sitemap(pages=[line for line in lines if line.startswith(("http://", "https://"))][:MAX_ADDRESSES])


def _xml(contents: bytes) -> Sitemap:
    sitemap = Sitemap()
    path: list[str] = []
    text: list[str] = []

    def begin(name: str, _: dict[str, str]) -> None:
        path.append(name.rpartition("}")[2].rpartition(":")[2].lower())
        text.clear()

    def end(_: str) -> None:
        if path[-2:] == ["url", "loc"] and len(sitemap.pages) < MAX_ADDRESSES:
            sitemap.pages.append("".join(text).strip())
        elif path[-2:] == ["sitemap", "loc"] and len(sitemap.sitemaps) < MAX_ADDRESSES:
            sitemap.sitemaps.append("".join(text).strip())
        path.pop()
        text.clear()

    def collect(part: str) -> None:
        if path[-1:] == ["loc"] and len(text) < 64:
            text.append(part)

    def refuse(*_: object) -> None:
        raise ValueError("it declares entities")  # which may grow without bounds

    parser = expat.ParserCreate()
    parser.StartElementHandler = begin
    parser.EndElementHandler = end
    parser.CharacterDataHandler = collect
    parser.EntityDeclHandler = refuse
    try:
        parser.Parse(contents, True)
    except (expat.ExpatError, ValueError) as error:
        sitemap.fault = str(error)
    return sitemap
