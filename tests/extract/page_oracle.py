"""Blocks of a page in plain Python, over lexbor's tree: the oracle of `extract.html.blocks`."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from selectolax.lexbor import LexborHTMLParser, LexborNode

from textmill.extract.html.blocks import _BLOCK_NAMES, _TEXTLESS
from textmill.extract.names import TAG_IDS

BLOCKS = frozenset(_BLOCK_NAMES.split())
TEXTLESS = frozenset(_TEXTLESS.split())
MATH = frozenset(
    ("mi", "mo", "mn", "ms", "mtext", "annotation", "annotation-xml", "mglyph", "malignmark", "desc")
)
CONTROLS = re.compile(r"[\x00-\x08\x0b\x0e-\x1f\x7f\xad\ufeff]")


@dataclass
class Block:
    """One block: its text, the element of its first text, and what of it stands in links."""

    tag: str = ""
    text: str = ""
    runs: list[tuple[str, bool]] = field(default_factory=list)
    breaks: int = 0


class Walk:
    """Collects blocks in document order."""

    def __init__(self) -> None:
        self.blocks: list[Block] = []
        self.open: Block | None = None

    def page(self, page: bytes) -> list[Block]:
        root = LexborHTMLParser(page).root
        if root is not None:
            self.element(root, False)
        self.close()
        return self.blocks

    def element(self, node: LexborNode, link: bool, math: bool = False) -> None:
        name = (node.tag or "").lower()
        foreign = math and name in MATH
        block = not foreign and (name in BLOCKS or ("-" in name and name not in TAG_IDS))
        if block:
            self.close()
        link = link or (name == "a" and not foreign)
        if name == "br" and self.open is not None:
            self.line_break()
        skipped = (name in TEXTLESS or name == "title" or name == "svg") and not foreign
        skipped = skipped or (math and name in ("annotation", "annotation-xml"))
        if not skipped:
            child = node.first_child
            while child is not None:
                if child.is_text_node:
                    if name not in ("head", "html"):
                        self.add(child.text_content or "", name, link)
                elif child.is_element_node:
                    self.element(child, link, math or name == "math")
                child = child.next
        if block:
            self.close()

    def add(self, text: str, tag: str, link: bool) -> None:
        text = CONTROLS.sub("", text.replace("\ufffd", "")).replace("\xa0", " ")
        if self.open is None:
            if not text.strip(" \t\n\f\r"):
                return
            self.open = Block(tag=tag)
        self.open.runs.append((text, link))

    def line_break(self) -> None:
        assert self.open is not None
        self.open.breaks += 1
        self.open.runs.append(("\n", False))

    def close(self) -> None:
        block, self.open = self.open, None
        if block is None:
            return
        block.text = "".join(text for text, _ in block.runs)
        if any(character.isalnum() for character in block.text):
            self.blocks.append(block)


def squeezed(text: str) -> str:
    """Without white space, whose collapsing is tested by hand, and without what stands for nothing."""
    return "".join(text.replace("\ufffd", "").split())
