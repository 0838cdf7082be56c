"""Labels of blocks, agreement of texts, folds by domain; and that what is trained here is what is shipped."""

from __future__ import annotations

import importlib.util
import io

import pytest
from benchmarks.extraction_labels import as_page, block_labels, labelled
from benchmarks.extraction_pages import MarkedPage, agreement, registered_domain
from benchmarks.extraction_variants import renamed, without_landmarks, without_names

from textmill.extract.tree import PageParser

NEEDS_LIGHTGBM = pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in ("lightgbm", "sklearn")),
    reason="needs the extra extractor-training",
)


def labels_of(html: str, marked: str) -> list[float]:
    """Labels of a page's blocks between a first and a last one that are not marked."""
    parser = PageParser()
    words = parser.parse(as_page(marked)).words.copy()
    page = parser.parse(f"<p>Begin{html}<p>End".encode())
    return [round(float(label), 2) for label in block_labels(page, words)[1:-1]]


def test_marked_blocks() -> None:
    html = "<nav>Home News</nav><h1>The old mill</h1><p>It turns & turns all <b>day</b> long.</p><p>Other things</p>"
    assert labels_of(html, "The old mill\n\nIt turns & turns all day long.") == [0, 1, 1, 0]


def test_a_second_copy_is_not_marked() -> None:
    text = "<p>One two three four five six.</p>"
    assert labels_of(f"{text}<hr>{text}", "One two three four five six.") == [1, 0]
    assert labels_of(f"{text}<hr>{text}", "One two three four five six. One two three four five six.") == [
        1,
        1,
    ]


def test_a_heading_is_preferred_to_its_entry_in_the_contents() -> None:
    html = (
        "<ul><li>How to grind<li>How to bake</ul><h2>How to grind</h2><p>Take stones and grain to the mill.</p>"
        "<h2>How to bake</h2><p>Take flour and water to the oven.</p>"
    )
    marked = (
        "How to grind\nTake stones and grain to the mill.\nHow to bake\nTake flour and water to the oven."
    )
    assert labels_of(html, marked) == [0, 0, 1, 1, 1, 1]


def test_nothing_marked() -> None:
    assert labels_of("<p>Some text here</p>", "") == [0]
    assert labels_of("", "Some text here") == []


def test_agreement() -> None:
    assert agreement("The mill.", "the MILL").f1 == 1
    assert agreement("a a b", "a c").f1 == pytest.approx(2 / 5)
    assert agreement("", "").f1 == 1
    assert agreement("a", "").f1 == agreement("", "a").f1 == 0
    found = agreement("a b c d", "a b")
    assert (found.precision, found.recall) == (0.5, 1)


def test_pages_of_a_domain_share_a_fold() -> None:
    assert (
        registered_domain("https://a.b.example.com/x")
        == registered_domain("http://example.com")
        == "example.com"
    )
    assert registered_domain("https://forum.example.com.au/") == "example.com.au"


def test_changed_pages() -> None:
    html = b"<main class=\"a b\" id=c><p class='x'> <nav role=navigation>t</nav></main>"
    assert without_names(html) == b"<main><p> <nav>t</nav></main>"
    assert renamed(b"<p class=x><p class=x><p id=y>").count(renamed(b"<p class=x>")) == 2
    assert (
        without_landmarks(b"<main><Article class=x></article></MAIN><mainly>")
        == b"<div><div class=x></div></div><mainly>"
    )


def marked_pages(count: int) -> list[MarkedPage]:
    """Pages whose text stands in `content`, the rest in `menu`, on as many domains."""
    pages = []
    for number in range(count):
        text = [f"Sentence {word} of page {number} is here, and it goes on." for word in range(6)]
        html = (
            "<!doctype html><nav class=menu>"
            + "".join(f"<li><a href={w}>Link {w}</a>" for w in range(8))
            + "</nav>"
            "<div class=content>"
            + "".join(f"<p>{line}</p>" for line in text)
            + "</div><div class=foot>Imprint</div>"
        )
        kinds = ("article", "collection", "documentation", "forum", "listing", "product", "service")
        name = f"{number:04}"
        pages.append(
            MarkedPage(name, html.encode(), f"site{number}.example", kinds[number % 7], "\n".join(text))
        )
    return pages


@NEEDS_LIGHTGBM
@pytest.mark.slow
def test_training_is_deterministic_and_learns() -> None:
    from benchmarks.extraction_training import Trainer

    pages = marked_pages(70)
    stored = []
    for _ in range(2):
        classifier = Trainer(labelled(pages)).classifier()
        content = io.BytesIO()
        classifier.save(content)
        stored.append(content.getvalue())
    assert stored[0] == stored[1]
    page = PageParser().parse(pages[0].html)
    text = "\n".join(page.block_text(b) for b in classifier.keep(page).nonzero()[0].tolist())
    assert agreement(text, pages[0].text).f1 > 0.95
