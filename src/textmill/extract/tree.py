"""A page as arrays: elements, blocks, words, and the text as a reader would see it.

::

    bytes ─► tokens ─► nodes (linked, as WHATWG builds them) ─► Page (arrays in the order of the document)

    <ul class="nav"><li><a href="/">Home</a></ul><p>One <b>two</b><br>three.</p>

    elements  0 (the page) · 1 html · 2 head · 3 body · 4 ul · 5 li · 6 a · 7 p · 8 b · 9 br
    blocks    0 (li) "Home"                            1 (p) "One two\\nthree."
    runs      a "Home"                                 p "One " · b "two" · p "\\nthree."
    words     home                                     one two three

A **block** is the text between two borders of block-level elements; only what holds a word is one. Its text has
references decoded and white space collapsed as CSS does (kept inside `pre`, `textarea` never shown), `br` is a
newline. Nothing of scripts, styles, templates, comments, SVG, `iframe`, `object`'s parameters or `textarea` becomes
text. What is hidden, or stands in `noscript`, is text with a flag: who extracts decides.

All tables are int32 with one row per thing and the columns below; spans are half-open. Ranges of one kind are in
document order and nest as elements do: the blocks of an element and all below it are
``blocks[elements[e, FIRST_BLOCK]:elements[e, END_BLOCK]]``.

``elements[e]`` (e = 0 is the page itself, TAG 0; children of `svg` and `template` are not there):
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
    CHARACTERS      code points that are not white space
    LINK_CHARACTERS, LINK_WORDS      those inside `a`
    LINKS           `a` elements in it or around it
    SENTENCES       marks that end one: . ! ? … 。 ！ ？ ｡ ؟ । ۔ (each run of them once)
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
    token_kinds     uint8: CLASS (class, id) · ROLE (role, itemprop, data-testid, aria-label) · ITEMTYPE (itemtype) ·
                    OG_TYPE (og:type) · GENERATOR (meta generator) · JSON_LD (@type)
    json_ld         int32[n, 2]: bytes of `data` of `script` elements of type application/ld+json
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

# Columns of `elements`.
TAG, PARENT, DEPTH, FLAGS, FIRST_BLOCK, END_BLOCK, SIGNATURE, BLOCK_ELEMENT, IMAGES = range(9)
FIRST_ATTRIBUTE, END_ATTRIBUTE = 9, 10
ELEMENT_COLUMNS = 11
# Columns of `blocks`.
ELEMENT, FIRST_WORD, END_WORD, TEXT_START, TEXT_END, FIRST_RUN, END_RUN = range(7)
CHARACTERS, LINK_CHARACTERS, LINK_WORDS, LINKS, SENTENCES, COMMAS, CAPITALS, NUMBERS = range(7, 15)
LAST_CHARACTER, BREAKS, UNSPACED = 15, 16, 17
BLOCK_COLUMNS = 18
# Columns of `runs` and of `attributes`.
START, END, RUN_ELEMENT = 0, 1, 2
NAME, VALUE_START, VALUE_END = 0, 1, 2
# Kinds of tokens.
CLASS, ROLE, ITEMTYPE, OG_TYPE, GENERATOR, JSON_LD = range(6)

Table = npt.NDArray[np.int32]


@dataclass(frozen=True)
class Page:
    """A parsed page; the module's text says what the arrays hold.

    Arrays are views of the parser's buffers, and hold until it parses the next page.

    Attributes:
        data: uint8[bytes], the page itself.
        text: uint8[bytes], UTF-8: the texts of the blocks, one after another.
    """

    data: npt.NDArray[np.uint8]
    elements: Table
    blocks: Table
    runs: Table
    attributes: Table
    text: npt.NDArray[np.uint8]
    words: npt.NDArray[np.uint32]
    title_words: npt.NDArray[np.uint32]
    tokens: npt.NDArray[np.uint32]
    token_elements: npt.NDArray[np.int32]
    token_kinds: npt.NDArray[np.uint8]
    json_ld: Table
