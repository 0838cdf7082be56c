"""The kept blocks of a page as text that can be read: plain, or Markdown.

::

    heading        a paragraph of its own               # Heading
    list item      - item, one a line; inner lists two spaces deeper; 1. in ordered lists
    table          cells with | between them, one row a line; in Markdown with a line below the first row
    pre            as it stands                          fenced by ```
    quotation      as any paragraph                      > before every line
    br             a new line

Paragraphs are parted by an empty line. Tables and lists that pages use for their layout (a cell of many paragraphs, an
item as long as an article) are rendered as paragraphs.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import Literal
from urllib.parse import urljoin

import numpy as np
import numpy.typing as npt

from textmill.extract.html.references import decode_attribute
from textmill.extract.html.structure import (
    CELL,
    CODE,
    GRID,
    ITEM,
    LEVEL,
    LIST_DEPTH,
    NUMBER,
    QUOTES,
    ROW,
    TERM,
    structure,
)
from textmill.extract.layout import (
    END,
    END_ATTRIBUTE,
    END_RUN,
    FIRST_ATTRIBUTE,
    FIRST_RUN,
    PARENT,
    START,
    TAG,
    TEXT_END,
    TEXT_START,
)
from textmill.extract.names import ATTRIBUTE_IDS, TAG_IDS
from textmill.extract.tree import Page

TextFormat = Literal["text", "markdown"]

LONGEST_CELL, MOST_ITEM_BLOCKS, LONGEST_ITEM = 400, 3, 1500
"""Characters of a cell, blocks and characters of an item, beyond which table and list are taken for layout."""

Part = list[int]


def render(
    page: Page,
    kept: npt.NDArray[np.bool_],
    text_format: TextFormat = "text",
    *,
    links: bool = False,
    url: str | None = None,
) -> str:
    """The text of some blocks, in order.

    Args:
        page: a parsed page.
        kept: bool[blocks], which of them.
        text_format: ``text`` or ``markdown``.
        links: in Markdown, write links as ``[text](address)``.
        url: the page's own address, to make addresses of links whole.
    """
    chosen = np.flatnonzero(kept)
    if not len(chosen):
        return ""
    # A page is rendered from what its kept blocks need alone.
    parts: list[Part] = structure(page.elements, page.blocks[chosen]).tolist()
    markdown = text_format == "markdown"
    if markdown:
        writer = _MarkdownInline(page, links, url)
        texts = [
            page.block_text(block) if part[CODE] else writer.block(block)
            for block, part in zip(chosen.tolist(), parts, strict=True)
        ]
    else:
        spans = page.blocks[chosen][:, [TEXT_START, TEXT_END]].tolist()
        content = page.text.tobytes()
        texts = [content[start:end].decode("utf-8", "replace") for start, end in spans]
    _forget_layout(parts, texts)
    return _joined(parts, texts, markdown)


def _forget_layout(parts: list[Part], texts: list[str]) -> None:
    """Set to 0 what is table or item in name alone."""
    cells = Counter(part[CELL] for part in parts)
    rows: dict[int, set[int]] = {}
    widest: Counter[int] = Counter()
    longest: dict[int, int] = {}
    for part, text in zip(parts, texts, strict=True):
        if part[GRID]:
            cells_of_row = rows.setdefault(part[GRID], set())
            if part[CELL] not in cells_of_row:
                cells_of_row.add(part[CELL])
                widest[part[ROW]] += 1
            longest[part[GRID]] = max(longest.get(part[GRID], 0), len(text))
    several = {part[GRID] for part in parts if widest[part[ROW]] > 1}
    layout = {
        part[GRID] for part in parts if cells[part[CELL]] > 2 or part[CODE] or part[LEVEL] or part[QUOTES]
    } | {grid for grid, length in longest.items() if length > LONGEST_CELL}
    blocks_of_item: Counter[int] = Counter()
    length_of_item: Counter[int] = Counter()
    for part, text in zip(parts, texts, strict=True):
        blocks_of_item[part[ITEM]] += 1
        length_of_item[part[ITEM]] += len(text)
    for part in parts:
        grid, item = part[GRID], part[ITEM]
        if grid and (grid in layout or grid not in several):
            part[GRID] = part[ROW] = part[CELL] = 0
        if (
            part[GRID]
            or blocks_of_item[item] > MOST_ITEM_BLOCKS
            or length_of_item[item] > LONGEST_ITEM
            or part[LEVEL]
        ):
            part[ITEM] = 0


def _joined(parts: list[Part], texts: list[str], markdown: bool) -> str:
    output: list[str] = []
    at = 0
    last: Part | None = None
    while at < len(parts):
        part = parts[at]
        end = at + 1
        if part[CODE]:
            while end < len(parts) and parts[end][CODE] == part[CODE]:
                end += 1
            text = "\n".join(texts[at:end]).strip("\n")
            if markdown:
                fence = "`" * max(3, 1 + max(map(len, re.findall("`+", text)), default=0))
                text = f"{fence}\n{text}\n{fence}"
        elif part[GRID]:
            while end < len(parts) and parts[end][GRID] == part[GRID]:
                end += 1
            text = _table(parts[at:end], texts[at:end], markdown)
        else:
            text = _one(part, last, texts[at], markdown)
        if markdown and part[QUOTES] and not part[GRID]:
            mark = "> " * part[QUOTES]
            text = "\n".join(mark + line for line in text.split("\n"))
        if last is not None:
            output.append(_between(last, part, markdown))
        output.append(text)
        last = parts[end - 1]
        at = end
    return "".join(output)


def _one(part: Part, last: Part | None, text: str, markdown: bool) -> str:
    """A heading, an item or a paragraph."""
    if part[ITEM]:
        indent = "  " * max(0, part[LIST_DEPTH] - 1)
        mark = f"{part[NUMBER]}. " if part[NUMBER] else "- "
        begins = last is None or last[ITEM] != part[ITEM]
        first = indent + (mark if begins else " " * len(mark))
        return first + text.replace("\n", "\n" + indent + " " * len(mark))
    if markdown and part[LEVEL]:
        return "#" * part[LEVEL] + " " + text.replace("\n", " ")
    if markdown and "\n" in text:
        return text.replace("\n", "  \n")  # two spaces: a line break, and not a space
    return text


def _between(last: Part, part: Part, markdown: bool) -> str:
    """What parts two neighbours."""
    if last[ITEM] and part[ITEM]:
        return "\n"
    if last[CODE] and last[CODE] == part[CODE]:
        return "\n"
    if last[TERM] == 1 and part[TERM] == 2 and not markdown:
        return "\n"
    if markdown and last[QUOTES] and last[QUOTES] == part[QUOTES]:
        return "\n" + ("> " * part[QUOTES]).rstrip() + "\n"
    return "\n\n"


def _table(parts: list[Part], texts: list[str], markdown: bool) -> str:
    rows: dict[int, dict[int, str]] = {}
    for part, text in zip(parts, texts, strict=True):
        row = rows.setdefault(part[ROW], {})
        text = text.replace("\n", " ")
        if markdown:
            text = text.replace("|", "\\|")
        row[part[CELL]] = f"{row[part[CELL]]} {text}" if part[CELL] in row else text
    if not markdown:
        return "\n".join(" | ".join(row.values()) for row in rows.values())
    width = max(map(len, rows.values()))
    lines = [_markdown_row(list(row.values()), width) for row in rows.values()]
    lines.insert(1, "|" + " --- |" * width)
    return "\n".join(lines)


def _markdown_row(cells: list[str], width: int) -> str:
    return "| " + " | ".join(cells + [""] * (width - len(cells))) + " |"


class _MarkdownInline:
    """Runs of a block with what Markdown says of them: code, and links if they are wanted."""

    def __init__(self, page: Page, links: bool, url: str | None) -> None:
        self._page = page
        self._links = links
        self._url = url
        self._known: dict[int, tuple[str, bool]] = {0: ("", False)}

    def block(self, block: int) -> str:
        """The text of one block."""
        row = self._page.blocks[block]
        runs = self._page.runs[row[FIRST_RUN] : row[END_RUN]].tolist()
        first = runs[0][START]
        content = self._page.text[first : runs[-1][END]].tobytes()
        pieces: list[str] = []
        before = ("", False)
        for start, end, element in runs:
            text = content[start - first : end - first].decode("utf-8", "replace")
            around = self._around(element)
            if around != before:
                _close(pieces, before)
                pieces.append(("[" if around[0] else "") + ("`" if around[1] else ""))
                before = around
            pieces.append(text)
        _close(pieces, before)
        return "".join(pieces)

    def _around(self, element: int) -> tuple[str, bool]:
        """The address of the link around an element (empty if there is none), and whether there is code around it."""
        path = []
        while element not in self._known:
            path.append(element)
            element = int(self._page.elements[element, PARENT])
        address, code = self._known[element]
        for inner in reversed(path):
            tag = int(self._page.elements[inner, TAG])
            if tag == _A and self._links:
                address = self._address(inner)
            code = code or tag in _CODE
            self._known[inner] = (address, code)
        return address, code

    def _address(self, element: int) -> str:
        """Where a link leads; empty if that is no place outside the page."""
        row = self._page.elements[element]
        for name, start, end in self._page.attributes[row[FIRST_ATTRIBUTE] : row[END_ATTRIBUTE]].tolist():
            if name != _HREF:
                continue
            value = self._page.data[start:end].tobytes().decode("utf-8", "replace")
            address = decode_attribute(value).strip()
            if not address or address.startswith("#"):
                return ""
            if self._url:
                try:
                    address = urljoin(self._url, address)
                except ValueError:
                    return ""
            if address.lower().startswith(("javascript:", "data:")):
                return ""
            return _UNSAFE.sub(lambda match: "".join(f"%{byte:02X}" for byte in match[0].encode()), address)
        return ""


def _close(pieces: list[str], around: tuple[str, bool]) -> None:
    """End code and link; white space that stood last in them comes behind them."""
    address, code = around
    if not address and not code:
        return
    last = pieces[-1]
    inner = last.rstrip()
    pieces[-1] = inner
    pieces.append(("`" if code else "") + (f"]({address})" if address else "") + last[len(inner) :])


_UNSAFE = re.compile(r"[\s<>()]")
_A, _HREF = TAG_IDS["a"], ATTRIBUTE_IDS["href"]
_CODE = frozenset(TAG_IDS[name] for name in ("code", "kbd", "samp", "tt"))
