"""Pages with the main text that people marked, and how well an extracted text agrees with it.

The data is the Web Content Extraction Benchmark (Murrough Foley, CC BY 4.0): `html/NNNN.html` and
`ground-truth/NNNN.json`. Agreement is F1 over bags of lower-cased words (`\\w+`), averaged over pages; where nobody
marked any text, only an empty answer is right. Folds keep all pages of a registered domain together.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

FOLDS = 5


@dataclass(frozen=True)
class MarkedPage:
    """A page and its main text.

    Attributes:
        name: of its files.
        html: the page as bytes.
        domain: registered domain of its address, or its name if the data tells none.
        page_type: as the data names it; "category" is "collection".
        text: main text that people marked.
    """

    name: str
    html: bytes
    domain: str
    page_type: str
    text: str

    @property
    def fold(self) -> int:
        """Of `FOLDS`, by domain."""
        return int(hashlib.md5(self.domain.encode()).hexdigest(), 16) % FOLDS


def read_pages(folder: Path) -> list[MarkedPage]:
    """All pages below a folder with `html` and `ground-truth`, by name."""
    pages = []
    for path in sorted((folder / "html").glob("*.html")):
        truth = json.loads((folder / "ground-truth" / f"{path.stem}.json").read_text(encoding="utf-8"))
        page_type = truth["_internal"]["page_type"]["primary"]
        html = path.read_bytes()
        pages.append(
            MarkedPage(
                path.stem,
                html,
                registered_domain(truth.get("url") or _own_address(html) or f"https://{path.stem}/"),
                "collection" if page_type == "category" else page_type,
                truth["ground_truth"].get("main_content") or "",
            )
        )
    return pages


def registered_domain(url: str) -> str:
    """The part of a host that somebody registered, by a rule of thumb that needs no list.

    >>> registered_domain("https://www.shop.example.org/a"), registered_domain("https://news.example.co.uk/")
    ('example.org', 'example.co.uk')
    """
    labels = (urlsplit(url).hostname or url).split(".")
    two_level = len(labels) > 2 and len(labels[-1]) == 2 and len(labels[-2]) <= 3
    return ".".join(labels[-3:] if two_level else labels[-2:])


def _own_address(html: bytes) -> str | None:
    found = re.search(
        rb"(?:canonical[\"'][^>]{0,40}href|og:url[\"'][^>]{0,20}content)=[\"'](https?://[^\"']+)", html
    )
    return found.group(1).decode("utf-8", "replace") if found else None


def words(text: str) -> Counter[str]:
    """The bag of lower-cased words."""
    return Counter(re.findall(r"\w+", text.lower()))


@dataclass(frozen=True)
class Agreement:
    """F1, precision and recall of one page."""

    f1: float
    precision: float
    recall: float


def agreement(extracted: str, marked: str) -> Agreement:
    """Of two bags of words; two empty ones agree, one empty one agrees with nothing."""
    ours, theirs = words(extracted), words(marked)
    if not ours or not theirs:
        same = float(not ours and not theirs)
        return Agreement(same, same, same)
    common = (ours & theirs).total()
    return Agreement(
        2 * common / (ours.total() + theirs.total()), common / ours.total(), common / theirs.total()
    )
