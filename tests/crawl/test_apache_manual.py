"""The manual of Apache's web server in eleven languages, crawled from loopback: complete, decoded, told apart.

Debian's package apache2-doc holds it as plain files, UTF-8, ISO-8859-1 and EUC-KR. `TEXTMILL_APACHE_MANUAL` names its
folder (`/usr/share/doc/apache2-doc/manual`); without it this is skipped.

    apt-get download apache2-doc; dpkg -x apache2-doc_*.deb .
"""

from __future__ import annotations

import asyncio
import os
import re
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag, urljoin, urlsplit

import pyarrow.parquet as pq
import pytest

from tests.crawl.hostile.answers import whole
from tests.crawl.hostile.outcomes import archived
from tests.crawl.hostile.server import Exchange, Fault, Server
from textmill.api import Run
from textmill.pipeline import run_recipe
from textmill.recipe import load_recipe

MANUAL = Path(os.environ.get("TEXTMILL_APACHE_MANUAL") or "/usr/share/doc/apache2-doc/manual")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.skipif(not MANUAL.joinpath("ko").is_dir(), reason="TEXTMILL_APACHE_MANUAL names no manual"),
]

KINDS = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".xml": "application/xml"}

RECIPE = """
name: manual
sources:
  - crawl: {{seeds: ["{seed}"], delay: 0, allow_addresses: [127.11.0.0/16], sitemaps: false}}
run: {{engine: inline}}
"""


@pytest.mark.parametrize("labels", ["header", "page", "none"])
def test_manual_is_crawled_whole_and_decoded(tmp_path: Path, labels: str) -> None:
    """`labels`: where a page's charset stands: in the header too, in the page alone, or nowhere at all."""
    files = {f"/manual/{path.relative_to(MANUAL)}": path for path in MANUAL.rglob("*") if path.is_file()}
    contents = {target: path.read_bytes() for target, path in files.items()}
    charsets = {target: _declared(body) for target, body in contents.items() if target.endswith(".html")}
    if labels == "none":
        contents |= {target: _without_label(contents[target]) for target in charsets}
    server = Server([_manual(contents, charsets if labels == "header" else {})], network="127.11")
    server.start()
    try:
        seed = server.url("manual", "/manual/")
        (tmp_path / "manual.yaml").write_text(RECIPE.format(seed=seed))
        run = Run(run_recipe(load_recipe(tmp_path / "manual.yaml"), str(tmp_path / "run")).url)
    finally:
        server.stop()
    texts = {urlsplit(url).path: text for url, text in run.documents.select("url, text").fetchall()}

    linked = _linked(contents, charsets)
    assert set(texts) == linked
    assert max(server.site("manual").counts().values()) == 1
    (account,) = (tmp_path / "run" / "crawl").rglob("addresses.parquet")
    rows = pq.read_table(account).to_pylist()
    assert {urlsplit(row["url"]).path for row in rows if row["outcome"] == "archived"} == linked

    wrong = {
        target
        for target, text in texts.items()
        if text != _normal(contents[_file(target)].decode(charsets[_file(target)]))
    }
    print(f"{labels}: {len(texts):,} pages, {len(wrong)} decoded otherwise: {sorted(wrong)[:9]}")
    print(Counter(charsets[_file(target)] for target in texts))
    assert len(wrong) <= (0 if labels != "none" else len(texts) // 100), sorted(wrong)[:20]
    _check_languages({_file(target): text for target, text in texts.items()})


def _check_languages(texts: dict[str, str]) -> None:
    """As many pages of each language as there are translations in its folder; the others there are English."""
    from textmill.curate import Language
    from textmill.documents import Batch
    from textmill.steps import StepContext

    targets = sorted(target for target in texts if target.count("/") > 2)
    found = (
        Language().open(StepContext()).scores(Batch.from_texts([_words(texts[target]) for target in targets]))
    )
    counts: Counter[tuple[str, str, str]] = Counter()
    for target, language in zip(targets, found["language"], strict=True):
        folder = target.split("/")[2].partition("-")[0]
        written = re.search(r"<html[^>]*\blang=[\"']?([a-z]+)", texts[target])
        assert written, target
        counts[folder, written[1], language] += 1
    right = sum(count for (_, written, language), count in counts.items() if written == language)
    for key, count in sorted(counts.items()):
        print(*key, count)
    assert {written for folder, written, _ in counts} == {folder for folder, _, _ in counts}
    assert right >= 0.995 * sum(counts.values())


def _manual(contents: dict[str, bytes], charsets: dict[str, str]) -> Fault:
    async def file(exchange: Exchange) -> None:
        target = _file(unquote(exchange.request.target.partition("?")[0]))
        body = contents.get(target)
        kind = KINDS.get(Path(target).suffix, "application/octet-stream")
        if target in charsets:
            kind += f"; charset={charsets[target]}"
        await exchange.send(whole(body, kind=kind) if body is not None else whole(b"", 404))
        exchange.keep = True
        await asyncio.sleep(0)

    return Fault("manual", {"*": file}, {"/manual/": archived()})


def _file(target: str) -> str:
    return target + "index.html" if target.endswith("/") else target


def _declared(body: bytes) -> str:
    match = re.search(rb"charset=[\"']?([A-Za-z0-9_-]+)", body[:1024], re.IGNORECASE)
    # The front page is ASCII, and says nothing.
    return match[1].decode().lower() if match else "utf-8"


def _without_label(body: bytes) -> bytes:
    return re.sub(rb"<meta[^>]*charset=[^>]*>", b"", body, count=1, flags=re.IGNORECASE)


def _normal(text: str) -> str:
    return text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")


def _linked(contents: dict[str, bytes], charsets: dict[str, str]) -> set[str]:
    """Every page that can be reached by links from the front page, by a reader of HTML that is not ours."""
    found: set[str] = set()
    waiting = ["/manual/"]
    while waiting:
        target = waiting.pop()
        if target in found or _file(target) not in charsets:
            continue
        found.add(target)
        for link in _Links.of(contents[_file(target)].decode(charsets[_file(target)], "replace")):
            try:
                url = urlsplit(urldefrag(urljoin(f"http://127.11.0.2{target}", link)).url)
            except ValueError:
                continue
            if url.scheme == "http" and url.netloc == "127.11.0.2":
                waiting.append(unquote(url.path))
    return found


class _Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    @classmethod
    def of(cls, text: str) -> list[str]:
        parser = cls()
        parser.feed(text)
        return parser.found

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if tag in ("a", "area") and values.get("href"):
            self.found.append(str(values["href"]).strip())
        if tag == "meta" and (values.get("http-equiv") or "").lower() == "refresh":
            self.found.append(str(values.get("content")).partition("=")[2].strip())


class _Words(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.parts: list[str] = []
        self.silent = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.silent += tag in ("script", "style", "pre", "code")

    def handle_endtag(self, tag: str) -> None:
        self.silent -= tag in ("script", "style", "pre", "code")

    def handle_data(self, data: str) -> None:
        if not self.silent:
            self.parts.append(data)


def _words(text: str) -> str:
    parser = _Words()
    parser.feed(text)
    return " ".join(" ".join(parser.parts).split())
