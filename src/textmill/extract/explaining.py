"""Why a page's text is what it is: every block, how likely it is main text, and whether it was kept."""

from __future__ import annotations

from dataclasses import dataclass

from textmill.extract.layout import BLOCK_ELEMENT, ELEMENT, END_WORD, FIRST_WORD, PARENT, TAG
from textmill.extract.methods import kept_blocks, shown
from textmill.extract.names import TAGS
from textmill.extract.tree import Page

PATH_LENGTH = 4


@dataclass(frozen=True)
class ExplainedBlock:
    """One block of a page.

    Attributes:
        probability: the share of its words that is expected to be main text.
        kept: whether it is in the text.
        hidden: whether it is not seen before a script or a click shows it.
        path: the innermost block-level elements it stands in: ``article > ul > li``.
        words: how many it has.
        text: all of it.
    """

    probability: float
    kept: bool
    hidden: bool
    path: str
    words: int
    text: str


def explain(
    page: Page, url: str | None = None, *, articles: bool = False, hidden: bool = True
) -> list[ExplainedBlock]:
    """Every block of a page, in order, as the methods ``main`` and ``articles`` judge it."""
    from textmill.extract.classifier import Classifier

    probabilities = Classifier.shipped().probabilities(page, url).tolist()
    kept = kept_blocks(page, url, articles, hidden).tolist()
    seen = shown(page).tolist()
    rows = page.blocks.tolist()
    return [
        ExplainedBlock(
            probability=probabilities[block],
            kept=kept[block],
            hidden=not seen[block],
            path=_path(page, row[ELEMENT]),
            words=row[END_WORD] - row[FIRST_WORD],
            text=page.block_text(block),
        )
        for block, row in enumerate(rows)
    ]


def _path(page: Page, element: int) -> str:
    names: list[str] = []
    element = int(page.elements[element, BLOCK_ELEMENT])
    while element > 0 and len(names) < PATH_LENGTH:
        tag = int(page.elements[element, TAG])
        if TAGS[tag] not in ("html", "body", "div"):
            names.append(TAGS[tag] if tag > 1 else "custom")
        element = int(page.elements[int(page.elements[element, PARENT]), BLOCK_ELEMENT])
    return " > ".join(reversed(names)) or "div"
