"""Features against plain Python, on pages by hand and on random trees; and what they must not depend on."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.extract.plain_features import plain_features

from textmill.extract.block_sums import block_lengths
from textmill.extract.features import FEATURES, block_features
from textmill.extract.grouping import page_groups
from textmill.extract.page_type import PAGE_TYPES
from textmill.extract.tree import Page, PageParser

TYPES = np.full(len(PAGE_TYPES), 1 / len(PAGE_TYPES), np.float32)

ARTICLE = """
<title>Bread and salt</title><nav class=menu><ul><li><a href=/>Home</a><li><a href=/b>Bread</a></ul></nav>
<main><article class=post><h1>Bread and salt</h1><p>One two three four, five six. Seven eight nine!</p>
<p>Bread</p><h2>More <a href=x>here</a></h2><div>Ten eleven<br>twelve<p>in a paragraph of its own</div>
<ul class=r><li><b>a b</b> c<li>d e<li>f g</ul><table><tr><td>1<td>2<tr><td>3<td>4</table></article></main>
<footer><p>Bread <a href=q>imprint and more of it</a></footer>
"""
JAPANESE = (
    "<h1>東京に行く</h1><p>今日は良い天気です。散歩に行きましょう。</p><ul><li><a href=/>ホーム</a></ul>"
)

TREES = st.recursive(
    st.sampled_from(["one two", "<a href=x>three four</a>", "five six seven. Eight?", "b", "東京 x", ""]),
    lambda inner: st.builds(
        lambda tag, parts: f"<{tag}>{''.join(parts)}</{tag.split()[0]}>",
        st.sampled_from(
            [
                "div",
                "div class=x",
                "p",
                "ul",
                "li",
                "li class=y",
                "h2",
                "article",
                "main",
                "nav",
                "b",
                "table",
                "td",
            ]
        ),
        st.lists(inner, max_size=4),
    ),
    max_leaves=25,
)


def parsed(html: str) -> Page:
    return PageParser().parse(b"<!doctype html>" + html.encode())


def compare(page: Page) -> None:
    draw = np.random.default_rng(len(page.elements))
    scores = draw.integers(-8, 8, (len(page.elements), 2)).astype(np.float32) / 4
    scores[0] = 0
    rows = block_features(page, page_groups(page), scores, TYPES)
    assert rows.shape == (len(page.blocks), len(FEATURES))
    assert np.isfinite(rows).all()
    for row, expected in zip(rows.tolist(), plain_features(page, scores), strict=True):
        found = dict(zip(FEATURES, row, strict=True))
        assert {name: found[name] for name in expected} == pytest.approx(expected, rel=1e-5, abs=1e-6)


@pytest.mark.parametrize("html", [ARTICLE, JAPANESE, "", "<p></p>", "plain text", "<td>x<td>y"])
def test_by_hand(html: str) -> None:
    compare(parsed(html))


@settings(max_examples=150)
@given(st.lists(TREES, max_size=5))
def test_random_trees(parts: list[str]) -> None:
    compare(parsed("".join(parts)))


def test_unspaced_scripts_are_measured_in_words() -> None:
    page = parsed("<p>東京に行く</p><p>to Tokyo</p>")
    assert block_lengths(page).tolist() == [2.5, 2.0]


def test_same_page_same_numbers() -> None:
    page = parsed(ARTICLE)
    scores = np.zeros((len(page.elements), 2), np.float32)
    first = block_features(page, page_groups(page), scores, TYPES)
    assert first.tobytes() == block_features(page, page_groups(page), scores, TYPES).tobytes()
