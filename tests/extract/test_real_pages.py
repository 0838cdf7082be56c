"""1,497 real pages: trees as lexbor builds them, blocks as plain Python finds them. Skipped where the data is not."""

from __future__ import annotations

import os
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.extract.page_oracle import Walk, squeezed
from tests.extract.test_tree import check
from tests.extract.trees import lexbor_tree, textmill_tree

from textmill.extract.tree import PageParser
from textmill.web.charset import decode_page

ARCHIVE = Path(os.environ.get("TEXTMILL_DATA", "data").split(os.pathsep)[0]) / "extraction/wcxb-dev.tar.xz"
PARTS = 8


def pages(part: int) -> Iterator[tuple[str, bytes]]:
    """Every eighth page, in UTF-8."""
    with tarfile.open(ARCHIVE) as archive:
        count = 0
        for member in archive:
            if member.name.endswith(".html"):
                count += 1
                content = archive.extractfile(member) if count % PARTS == part else None
                if content is not None:
                    yield member.name, decode_page(content.read()).text.encode()


@pytest.mark.slow
@pytest.mark.skipif(not ARCHIVE.exists(), reason="set TEXTMILL_DATA to the folder of development data")
@pytest.mark.parametrize("part", range(PARTS))
def test_real_pages(part: int) -> None:
    parser = PageParser()
    wrong = []
    for name, page in pages(part):
        parsed = parser.parse(page)
        try:
            check(parsed)
        except AssertionError as error:
            wrong.append(f"{name}: {error}")
        found = [squeezed(parsed.block_text(block)) for block in range(len(parsed.blocks))]
        if textmill_tree(page) != lexbor_tree(page):
            wrong.append(f"{name}: tree")
        if found != [squeezed(block.text) for block in Walk().page(page)]:
            wrong.append(f"{name}: blocks")
    assert wrong == []
