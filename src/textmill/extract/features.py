"""What the block classifier looks at: one row of numbers per block, from the layout of the page alone.

::

    Page (arrays) ─► sums over blocks, groups of like elements ─► block_features ─► float32[blocks, FEATURES]
                     scores of class names (lexicon), page type ──────┘

No feature knows a word of any language: lengths, punctuation, links, elements, containers, repetition, neighbours,
and where a page stands among the kinds of pages. The idea of shallow text features is that of Kohlschütter et al.
2010 ("Boilerplate detection using shallow text features"); those of containers and records follow the page's tree.
"""

# Kernels have no annotations: Numba infers their types.
# mypy: allow-untyped-defs, no-check-untyped-defs

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from textmill.extract.block_sums import HEADING_LEVELS, LENGTH, block_length, copy_numbers, running_sums
from textmill.extract.features_of_containers import (
    CONTAINER_NAMES,
    REPETITION_NAMES,
    SCORE_NAMES,
    fill_containers,
    fill_repetition,
    fill_scores,
    inherit,
)
from textmill.extract.features_of_surroundings import (
    HEADING_NAMES,
    MAIN_NAMES,
    PAGE_NAMES,
    SURROUNDING_NAMES,
    fill_headings,
    fill_main,
    fill_page,
    fill_surroundings,
)
from textmill.extract.grouping import Groups
from textmill.extract.layout import (
    BLOCK_ELEMENT,
    BREAKS,
    CAPITALS,
    CHARACTERS,
    COMMAS,
    DEPTH,
    ELEMENT,
    END_WORD,
    FIRST_WORD,
    FLAGS,
    IMAGES,
    LAST_CHARACTER,
    LINK_CHARACTERS,
    LINKS,
    NUMBERS,
    PARENT,
    SENTENCES,
    TAG,
    UNSPACED,
)
from textmill.extract.names import FLAGS as FLAG_NAMES
from textmill.extract.names import TAG_IDS, TAGS
from textmill.extract.page_type import PAGE_TYPES
from textmill.extract.tree import Page
from textmill.text.compilation import inner_kernel, kernel

_OWN_NAMES = (
    *("length", "characters", "link share", "links", "word length", "sentences", "commas", "capitals"),
    *("numbers", "ending", "breaks", "tag", "inner tag", "parent tag", "heading level", "depth"),
    *("place", "place in text", "from start", "from end", "title overlap", "same text", "copy", "images"),
)
_GROUPS = {
    "own": _OWN_NAMES,
    "flag": FLAG_NAMES,
    "score": SCORE_NAMES,
    "container": CONTAINER_NAMES,
    "repetition": REPETITION_NAMES,
    "surroundings": SURROUNDING_NAMES,
    "heading": HEADING_NAMES,
    "main": MAIN_NAMES,
    "page": PAGE_NAMES,
    "type": PAGE_TYPES,
}
FEATURES: tuple[str, ...] = tuple(f"{group}: {name}" for group, names in _GROUPS.items() for name in names)
"""Names of the columns, in order."""
_STARTS: tuple[int, ...] = tuple(np.cumsum([0, *(len(names) for names in _GROUPS.values())]).tolist())

# Elements that play one part share a number.
_TAG_CLASSES = np.zeros(len(TAGS), np.float32)
for _number, _names in enumerate(
    (
        *(
            "div section",
            "p",
            "li ul ol menu dir",
            "h1",
            "h2",
            "h3",
            "h4 h5 h6",
            "td th tr table tbody thead tfoot",
        ),
        *(
            "dt dd dl",
            "a",
            "span strong b em i u small font big",
            "article main",
            "aside header footer nav search",
        ),
        *(
            "button label option select form fieldset legend",
            "pre code blockquote",
            "figure figcaption picture",
        ),
        *("time cite address", "title", "body html", "summary details dialog"),
    ),
    start=1,
):
    for _name in _names.split():
        _TAG_CLASSES[TAG_IDS[_name]] = _number
_TAG_CLASSES[1] = 21  # an element with a hyphen in its name


def block_features(
    page: Page, groups: Groups, scores: npt.NDArray[np.float32], page_types: npt.NDArray[np.float32]
) -> npt.NDArray[np.float32]:
    """float32[blocks, len(FEATURES)].

    Args:
        page: a parsed page.
        groups: `grouping.page_groups` of it.
        scores: float32[elements, 2] of `Lexicon.element_scores`: by page type, and in general.
        page_types: float32[len(PAGE_TYPES)], probabilities of `page_type`.
    """
    rows = np.zeros((len(page.blocks), len(FEATURES)), np.float32)
    if len(rows):
        _fill(
            *(page.elements, page.blocks, page.words, page.title_words, scores, page_types),
            *(groups.siblings, groups.paths, groups.texts, _TAG_CLASSES, HEADING_LEVELS, rows),
        )
    return rows


@kernel
def _fill(
    elements,
    blocks,
    words,
    title_words,
    scores,
    page_types,
    siblings,
    paths,
    texts,
    tag_classes,
    heading_levels,
    rows,
):
    at = _STARTS
    inherited = inherit(elements, scores)
    copies = copy_numbers(texts)
    sums = running_sums(elements, blocks, inherited, copies, heading_levels)
    _own(elements, blocks, words, title_words, sums, texts, copies, tag_classes, heading_levels, rows)
    for b in range(blocks.shape[0]):
        for bit in range(at[2] - at[1]):
            rows[b, at[1] + bit] = (elements[blocks[b, ELEMENT], FLAGS] >> bit) & 1
        for place in range(page_types.size):
            rows[b, at[9] + place] = page_types[place]
    fill_scores(elements, blocks, scores, inherited, rows[:, at[2] : at[3]])
    fill_containers(elements, blocks, scores, sums, rows[:, at[3] : at[4]])
    fill_repetition(elements, blocks, siblings, paths, texts, sums, rows[:, at[4] : at[5]])
    fill_surroundings(elements, blocks, sums, inherited, tag_classes, rows[:, at[5] : at[6]])
    fill_headings(elements, blocks, heading_levels, rows[:, at[6] : at[7]])
    fill_main(elements, sums, rows[:, at[7] : at[8]])
    fill_page(elements, blocks, sums, rows[:, at[8] : at[9]])


@inner_kernel
def _own(elements, blocks, words, title_words, sums, texts, copies, tag_classes, heading_levels, rows):
    count = blocks.shape[0]
    total = max(1.0, sums[LENGTH, count])
    occurrences = np.zeros(count, np.int32)
    for b in range(count):
        occurrences[texts[b]] += 1
    for b in range(count):
        row = rows[b]
        word_count = blocks[b, END_WORD] - blocks[b, FIRST_WORD]
        spaced = word_count - blocks[b, UNSPACED]
        e = blocks[b, ELEMENT]
        holder = elements[e, BLOCK_ELEMENT]
        above = elements[elements[holder, PARENT], BLOCK_ELEMENT] if holder > 0 else 0
        row[0] = block_length(blocks, b)
        row[1] = blocks[b, CHARACTERS]
        row[2] = blocks[b, LINK_CHARACTERS] / max(1, blocks[b, CHARACTERS])
        row[3] = blocks[b, LINKS]
        # The length of a word says nothing where a letter is one: then it is the usual length of English words.
        row[4] = (blocks[b, CHARACTERS] - blocks[b, UNSPACED]) / spaced if 2 * spaced > word_count else 5.0
        row[5] = blocks[b, SENTENCES]
        row[6] = blocks[b, COMMAS]
        row[7] = blocks[b, CAPITALS] / word_count
        row[8] = blocks[b, NUMBERS] / word_count
        row[9] = _ending(blocks[b, LAST_CHARACTER])
        row[10] = blocks[b, BREAKS]
        row[11] = tag_classes[elements[holder, TAG]]
        row[12] = tag_classes[elements[e, TAG]]
        row[13] = tag_classes[elements[above, TAG]]
        row[14] = heading_levels[elements[holder, TAG]]
        row[15] = elements[holder, DEPTH]
        row[16] = b / count
        row[17] = sums[LENGTH, b] / total
        row[18] = b
        row[19] = count - b
        row[20] = _overlap(words, blocks[b, FIRST_WORD], blocks[b, END_WORD], title_words)
        row[21] = occurrences[texts[b]]
        row[22] = copies[b]
        row[23] = elements[holder, IMAGES]


@inner_kernel
def _ending(character):
    """What kind of mark a block ends in: 1 ends a sentence, 2 asks or exclaims, 3 introduces, 4 goes on, 5 closes."""
    if character in (0x2E, 0x3002, 0xFF0E, 0xFF61, 0x0964, 0x06D4):  # . 。 ． ｡ । ۔
        return 1.0
    if character in (0x21, 0x3F, 0xFF01, 0xFF1F, 0x061F):  # ! ? ！ ？ ؟
        return 2.0
    if character in (0x3A, 0xFF1A):  # : ：
        return 3.0
    if character in (0x2C, 0x3B, 0x3001, 0xFF0C, 0x060C, 0x061B):  # , ; 、 ， ، ؛
        return 4.0
    if character in (
        0x22,
        0x27,
        0x29,
        0x5D,
        0x2019,
        0x201D,
        0xBB,
        0x300D,
        0x300F,
        0xFF09,
    ):  # " ' ) ] ’ ” » 」 』 ）
        return 5.0
    if character == 0x2026:  # …
        return 6.0
    if character < 0x80 and not (0x30 <= character <= 0x39 or 0x41 <= (character & ~0x20) <= 0x5A):
        return 7.0  # another mark of ASCII: | / > +
    if 0x30 <= character <= 0x39:
        return 8.0
    return 0.0


@inner_kernel
def _overlap(words, first, end, title_words):
    """Share of the first 30 words that stand among the first 30 of the title."""
    end = min(end, first + 30)
    found = 0
    for place in range(first, end):
        for t in range(min(30, title_words.size)):
            if words[place] == title_words[t]:
                found += 1
                break
    return found / max(1, end - first)
