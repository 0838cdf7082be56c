"""A page as arrays: elements, blocks, words, and the text as a reader would see it.

::

    bytes ─► tokens ─► nodes (linked, as WHATWG builds them) ─► Page (arrays in the order of the document)

    <ul class="nav"><li><a href="/">Home</a></ul><p>One <b>two</b><br>three.</p>

    elements  0 (the page) · 1 html · 2 head · 3 body · 4 ul · 5 li · 6 a · 7 p · 8 b · 9 br
    blocks    0 (li) "Home"                            1 (p) "One two\\nthree."
    runs      a "Home"                                 p "One " · b "two" · p "\\nthree."
    words     home                                     one two three

A **block** is the text between two borders of block-level elements; only what holds a word is one. Its text has
references decoded and white space collapsed as CSS does (kept inside `pre`), `br` is a newline. Soft hyphens,
byte-order marks and controls are left out, no-break spaces are spaces. Nothing of scripts, styles, templates, comments,
SVG, `iframe`, `textarea`, `datalist` or annotations of MathML becomes text. What is hidden, or stands in `noscript`, is
text with a flag: who extracts decides.

All tables are int32 with one row per thing and the columns below; spans are half-open. Ranges of one kind are in
document order and nest as elements do: the blocks of an element and all below it are
``blocks[elements[e, FIRST_BLOCK]:elements[e, END_BLOCK]]``.

Columns have names in `layout`.

``elements[e]`` (e = 0 is the page itself, TAG 0; nothing below `svg` and `template` is there):
    TAG             position in `names.TAGS`; 0 unknown, `names.CUSTOM` a name with a hyphen
    PARENT          element above; -1 for the page; always smaller than e
    DEPTH           0 for the page
    FLAGS           bits of `names.FLAGS` that hold for it or for an element above it
    FIRST_BLOCK, END_BLOCK
    SIGNATURE       31 bits of hash of tag and class attribute: siblings of one kind share it
    BLOCK_ELEMENT   nearest block-level element, itself included; 0 if none
    IMAGES          `img` elements whose nearest block-level element this is
    FIRST_ATTRIBUTE, END_ATTRIBUTE   rows of `attributes`

``blocks[b]``:
    ELEMENT         innermost element of its first text
    FIRST_WORD, END_WORD     places in `words`
    TEXT_START, TEXT_END     bytes of `text`
    FIRST_RUN, END_RUN       rows of `runs`
    CHARACTERS      code points that are not white space of ASCII
    LINK_CHARACTERS, LINK_WORDS      those inside `a`
    LINKS           `a` elements in it or around it
    SENTENCES       marks that end one: . ! ? … 。 ！ ？ ｡ ؟ । ۔ (each run of them once; not in 3.14, example.com)
    COMMAS          , 、 ， ، ; ； ؛
    CAPITALS        words that begin with an upper-case letter (Lu, Lt)
    NUMBERS         words that begin with a decimal digit
    LAST_CHARACTER  its last code point
    BREAKS          `br` elements in it
    UNSPACED        words that are one character of a script written without spaces (Han, kana, Thai, Lao, Khmer,
                    Myanmar): every letter of those is a word (`text.folded_words`)

``runs[r]``:        START, END (bytes of `text`), RUN_ELEMENT (the element its text stands in)
``attributes[a]``:  NAME (position in `names.ATTRIBUTES`), START, END (bytes of `data`, references not decoded);
                    the first of equal names, known names only

Not tables, but parallel arrays:
    words           uint32: hashes of words as `text.folded_words` folds them (case, digits to 0), low half
    title_words     uint32: those of the first `title`
    tokens          uint32: hashes of parts of attribute values (`names.token_hash`): "navBar-main" is nav, bar, main
    token_elements  int32: the element that has it; 0 for the page (OG_TYPE, GENERATOR, JSON_LD)
    token_kinds     int32: CLASS (class, id) · ROLE (role, itemprop, data-testid, aria-label) · ITEMTYPE (itemtype) ·
                    OG_TYPE (og:type) · GENERATOR (meta generator) · JSON_LD (@type)
    json_ld         int32[n, 2]: bytes of `data` of `script` elements of type application/ld+json
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np
import numpy.typing as npt

from textmill.extract.html import blocks as walking
from textmill.extract.html.nodes import ATTRIBUTE_COUNT, NODE_COLUMNS, STATE_SIZE, STATUS
from textmill.extract.html.tokens import COMPLETE, COSTLY, build_tree
from textmill.extract.layout import BLOCK_COLUMNS, ELEMENT_COLUMNS, TEXT_END, TEXT_START
from textmill.text.classes import class_table
from textmill.text.folded_words import folding_table

Table = npt.NDArray[np.int32]

MEBIBYTE = 1 << 20
STEPS_PER_BYTE, STEPS_FREE = 256, 1 << 20
"""Rounds of loops over open elements that a page may cost, about a nanosecond each. Real pages need one for every five
bytes; a page of nothing but tags, all of them open, needs the depth of the stack (512) for each."""
KEPT_BYTES = 64 * MEBIBYTE
"""Buffers for pages up to this size are kept for the next page; those of larger ones are given back."""


class PageTooLargeError(ValueError):
    """A page beyond a limit of the parser; the message says which."""


@dataclass(frozen=True)
class Page:
    """A parsed page; the module's text says what the arrays hold.

    Arrays are views of the parser's buffers, and hold until it parses the next page (`copy` keeps them).

    Attributes:
        data: uint8[bytes], the page itself.
        text: uint8[bytes], UTF-8: the title, and the texts of the blocks, one after another.
        title_end: bytes of `text` that are the title.
    """

    data: npt.NDArray[np.uint8]
    elements: Table
    blocks: Table
    runs: Table
    attributes: Table
    text: npt.NDArray[np.uint8]
    title_end: int
    words: npt.NDArray[np.uint32]
    title_words: npt.NDArray[np.uint32]
    tokens: npt.NDArray[np.uint32]
    token_elements: npt.NDArray[np.int32]
    token_kinds: npt.NDArray[np.int32]
    json_ld: Table

    @property
    def title(self) -> str:
        """The text of the first `title`."""
        return self.text[: self.title_end].tobytes().decode("utf-8", "replace")

    def block_text(self, block: int) -> str:
        """The text of one block."""
        start, end = int(self.blocks[block, TEXT_START]), int(self.blocks[block, TEXT_END])
        return self.text[start:end].tobytes().decode("utf-8", "replace")

    def copy(self) -> Page:
        """The same page with arrays of its own."""
        arrays = {
            field.name: getattr(self, field.name).copy()
            for field in fields(self)
            if field.name != "title_end"
        }
        return replace(self, **arrays)


class PageParser:
    """Parses pages one after another into buffers that it keeps.

    Args:
        max_bytes: longest page.
        max_nodes: elements and texts that a page may have.

    Attributes:
        room: bytes of a page that the buffers have room for.
        state: int64, the registers of the last construction (`html.nodes`).

    A page costs time in proportion to its bytes, whatever they are: see `nodes` for what is capped. Memory is about
    six times the longest page so far, of which only what a page uses is ever touched.
    """

    def __init__(self, max_bytes: int = 32 * MEBIBYTE, max_nodes: int = 4_000_000) -> None:
        self._max_bytes = max_bytes
        self._max_nodes = max_nodes
        self.room = 0
        self._nodes_room = 0
        self._class_index, self._classes = class_table()
        self._fold_index, self._folds = folding_table()
        self.state = np.zeros(STATE_SIZE, np.int64)
        self._counts = np.zeros(walking.WALK_SIZE, np.int64)

    def parse(self, data: npt.NDArray[np.uint8] | bytes) -> Page:
        """Parse a page of UTF-8.

        Raises:
            PageTooLargeError: it is longer, or has more nodes, than allowed, or its markup is made to cost more than
                its length.
        """
        if isinstance(data, bytes):
            data = np.frombuffer(data, np.uint8)
        if data.size > self._max_bytes:
            raise PageTooLargeError(f"the page has {data.size:,} bytes, more than {self._max_bytes:,}")
        data = _read_only(data)
        self._make_room(data.size)
        while True:
            build_tree(
                data, self._nodes, self._attributes, self.state, STEPS_FREE + STEPS_PER_BYTE * data.size
            )
            status = int(self.state[STATUS])
            if status == COMPLETE:
                break
            if status == COSTLY:
                raise PageTooLargeError(
                    f"the page of {data.size:,} bytes leaves so many elements open that it would take too long"
                )
            if self._nodes_room >= self._max_nodes:
                raise PageTooLargeError(f"the page has more than {self._max_nodes:,} elements and texts")
            self._make_nodes(4 * self._nodes_room)
        return self._walk(data)

    def _make_room(self, size: int) -> None:
        """Buffers for a page of this size."""
        if self.room and size <= self.room <= KEPT_BYTES:
            return
        self.room = 1 << max(16, (size - 1).bit_length())
        room = self.room
        self._attributes = np.empty((room // 4 + 64, 3), np.int32)
        # Two code points of five or six bytes stand for `&nGt;`; nothing else grows.
        self._text = np.empty(room + room // 4 + 64, np.uint8)
        self._words = np.empty(room // 2 + 64, np.uint32)
        self._tokens = np.empty(room // 3 + 64, np.uint32)
        self._token_places = np.empty((2, room // 3 + 64), np.int32)
        self._json_ld = np.empty((256, 2), np.int32)
        self._make_nodes(room // 16 + 1024)

    def _make_nodes(self, count: int) -> None:
        self._nodes_room = count = min(count, self._max_nodes)
        self._nodes = np.empty((count, NODE_COLUMNS), np.int32)
        self._elements = np.empty((count, ELEMENT_COLUMNS), np.int32)
        self._blocks = np.empty((count + 1, BLOCK_COLUMNS), np.int32)
        self._runs = np.empty((count + 1, 3), np.int32)

    def _walk(self, data: npt.NDArray[np.uint8]) -> Page:
        counts = self._counts
        walking.walk(
            data,
            self._nodes,
            self._attributes,
            self._elements,
            self._blocks,
            self._runs,
            self._text,
            self._words,
            self._tokens,
            self._token_places,
            self._json_ld,
            counts,
            self._fold_index,
            self._folds,
            self._class_index,
            self._classes,
        )
        elements, blocks, runs, text, words, tokens, json_ld, title_end, title_words = map(int, counts[:9])
        return Page(
            data=data,
            elements=self._elements[:elements],
            blocks=self._blocks[:blocks],
            runs=self._runs[:runs],
            attributes=self._attributes[: int(self.state[ATTRIBUTE_COUNT])],
            text=self._text[:text],
            title_end=title_end,
            words=self._words[:words],
            title_words=self._words[:title_words],
            tokens=self._tokens[:tokens],
            token_elements=self._token_places[0, :tokens],
            token_kinds=self._token_places[1, :tokens],
            json_ld=self._json_ld[:json_ld],
        )


def _read_only(data: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """A contiguous, read-only view: kernels are compiled for one kind of array."""
    view = np.ascontiguousarray(data, np.uint8).view()
    view.flags.writeable = False
    return view
