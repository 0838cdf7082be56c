"""From linked nodes to the arrays of a page: a walk in document order (layout: `tree`).

nodes ─► enter / leave elements ─► flags, signatures, tokens of attributes
             │
             └─ texts: references, white space ─► text ─► words, counts ─► one row of `blocks` at every border
"""

# Kernels have no annotations: Numba infers their types.
# mypy: allow-untyped-defs, no-check-untyped-defs

from __future__ import annotations

import numpy as np

from textmill.extract.html.attribute_tokens import (
    element_tokens,
    is_hidden,
    is_json_ld,
    json_tokens,
    signature,
)
from textmill.extract.html.block_counts import CHUNK, append_words, count_block
from textmill.extract.html.nodes import END as NODE_END
from textmill.extract.html.nodes import FIRST as FIRST_CHILD
from textmill.extract.html.nodes import FOREIGN_NAME, IDENTITY, KIND, NEXT, RAW_TEXT
from textmill.extract.html.nodes import PARENT as NODE_PARENT
from textmill.extract.html.nodes import START as NODE_START
from textmill.extract.html.plain_text import copy_text, trim_end
from textmill.extract.layout import (
    BLOCK_COLUMNS,
    BLOCK_ELEMENT,
    BREAKS,
    DEPTH,
    ELEMENT,
    END,
    END_ATTRIBUTE,
    END_BLOCK,
    END_RUN,
    END_WORD,
    FIRST_ATTRIBUTE,
    FIRST_BLOCK,
    FIRST_RUN,
    FIRST_WORD,
    FLAGS,
    IMAGES,
    LINKS,
    PARENT,
    RUN_ELEMENT,
    SIGNATURE,
    START,
    TAG,
    TEXT_END,
    TEXT_START,
)
from textmill.extract.names import CUSTOM, TAG_IDS, TAGS
from textmill.extract.names import FLAGS as FLAG_NAMES
from textmill.text.compilation import apart, borrowed, inlined, kernel, small_kernel

_BLOCK_NAMES = """
html head body title noscript select option optgroup button form fieldset legend hr pre listing xmp plaintext p h1 h2
h3 h4 h5 h6 div section article main aside header footer nav search ul ol li dir menu dl dt dd table caption thead
tbody tfoot tr td th colgroup figure figcaption blockquote address details summary dialog center hgroup video audio
canvas object applet frameset marquee
"""
_FLAGGED = {
    "nav": "nav",
    "header": "header",
    "footer": "footer",
    "aside": "aside",
    "article": "article",
    "main": "main",
    "form": "form",
    "list": "ul ol menu dir",
    "table": "table",
    "figure": "figure figcaption",
    "blockquote": "blockquote",
    "pre": "pre listing xmp plaintext",
    "button": "button",
    "select": "select",
    "dialog": "dialog",
    "noscript": "noscript",
    "heading": "h1 h2 h3 h4 h5 h6",
    "p": "p",
    "li": "li",
    "link": "a",
    "section": "section",
    "dl": "dl",
    "label": "label",
    "code": "code kbd samp tt pre listing xmp plaintext",
    "details": "details",
    "media": "video audio canvas object applet",
}
_TEXTLESS = "svg template script style iframe noembed noframes textarea datalist"

IS_BLOCK = np.zeros(len(TAGS) + 2, np.bool_)
IS_BLOCK[[TAG_IDS[name] for name in _BLOCK_NAMES.split()] + [CUSTOM]] = True
IS_TEXTLESS = np.zeros(len(TAGS) + 2, np.bool_)
IS_TEXTLESS[[TAG_IDS[name] for name in _TEXTLESS.split()]] = True
TAG_FLAGS = np.zeros(len(TAGS) + 2, np.int64)
for _flag, _names in _FLAGGED.items():
    TAG_FLAGS[[TAG_IDS[name] for name in _names.split()]] |= 1 << FLAG_NAMES.index(_flag)
LINK_FLAG, PRE_FLAG = (1 << FLAG_NAMES.index(_name) for _name in ("link", "pre"))
T_TITLE, T_BR, T_IMG, T_A, T_ANNOTATION, T_ANNOTATION_XML, T_HEAD, T_HTML, T_SCRIPT = (
    TAG_IDS[_name]
    for _name in ["title", "br", "img", "a", "annotation", "annotation-xml", "head", "html", "script"]
)

# Registers of the walk.
ELEMENT_COUNT, BLOCK_COUNT, RUN_COUNT, TEXT_SIZE, WORD_COUNT, TOKEN_COUNT, JSON_COUNT, TITLE_END = range(8)
TITLE_WORDS, OPEN, SPACE_DUE, LOWEST_LEFT, LINKS_SEEN, BREAKS_SEEN = range(8, 14)
WALK_SIZE = 16


@kernel
def walk(
    data,
    nodes,
    attributes,
    elements,
    blocks,
    runs,
    text,
    words,
    tokens,
    token_places,
    json_ld,
    counts,
    fold_index,
    folds,
    class_index,
    classes,
):
    """Fill the arrays of a page from its nodes; `counts` (int64[WALK_SIZE]) receives how much of each is used."""
    data, nodes, attributes, elements = (
        borrowed(data),
        borrowed(nodes),
        borrowed(attributes),
        borrowed(elements),
    )
    blocks, runs, text, words = borrowed(blocks), borrowed(runs), borrowed(text), borrowed(words)
    tokens, token_places, json_ld, counts = (
        borrowed(tokens),
        borrowed(token_places),
        borrowed(json_ld),
        borrowed(counts),
    )
    hashes = np.empty(CHUNK, np.uint64)
    places = np.empty((2, CHUNK), np.int64)
    unicode_tables = (borrowed(fold_index), borrowed(folds), borrowed(class_index), borrowed(classes))
    tables = (*unicode_tables, hashes, places)
    counts[:] = 0
    _title(data, nodes, text, words, counts, tables)
    elements[0, :] = 0
    elements[0, PARENT] = -1
    counts[ELEMENT_COUNT] = 1
    element = np.int64(0)
    node = np.int64(nodes[0, FIRST_CHILD])
    while node > 0:
        kind = nodes[node, KIND]
        entered = False
        if kind < 0:
            _add_text(data, nodes, node, elements, element, blocks, runs, text, counts)
        else:
            if IS_BLOCK[kind]:
                _close_block(elements, blocks, runs, text, words, counts, tables)
            element = _enter(data, nodes, node, attributes, elements, element, blocks, runs, text, counts)
            _tokens(data, nodes, node, attributes, element, tokens, token_places, json_ld, counts)
            name = nodes[node, IDENTITY]
            entered = (
                nodes[node, FIRST_CHILD] > 0
                and not IS_TEXTLESS[kind]
                and name != T_ANNOTATION | FOREIGN_NAME
                and name != T_ANNOTATION_XML | FOREIGN_NAME
                and kind != T_TITLE
            )
            if entered:
                node = np.int64(nodes[node, FIRST_CHILD])
                continue
            element = _leave(elements, element, blocks, runs, text, words, counts, tables)
        while node > 0 and nodes[node, NEXT] < 0:
            node = np.int64(nodes[node, NODE_PARENT])
            if node > 0:
                element = _leave(elements, element, blocks, runs, text, words, counts, tables)
        if node > 0:
            node = np.int64(nodes[node, NEXT])
    _close_block(elements, blocks, runs, text, words, counts, tables)
    elements[0, END_BLOCK] = counts[BLOCK_COUNT]


@small_kernel
def _title(data, nodes, text, words, counts, tables):
    """The text and the words of the first `title`, at the beginning of both arrays."""
    apart()
    node = np.int64(nodes[0, FIRST_CHILD])
    while node > 0:
        if nodes[node, KIND] == T_TITLE and nodes[node, IDENTITY] == T_TITLE:
            break
        if nodes[node, FIRST_CHILD] > 0 and not IS_TEXTLESS[max(0, nodes[node, KIND])]:
            node = np.int64(nodes[node, FIRST_CHILD])
            continue
        while node > 0 and nodes[node, NEXT] < 0:
            node = np.int64(nodes[node, NODE_PARENT])
        if node > 0:
            node = np.int64(nodes[node, NEXT])
    if node <= 0:
        return
    child = np.int64(nodes[node, FIRST_CHILD])
    size = np.int64(0)
    due = np.int64(0)
    while child > 0:
        if nodes[child, KIND] < 0:
            size, due = copy_text(
                data, nodes[child, NODE_START], nodes[child, NODE_END], text, size, 0, due, False, False
            )
        child = np.int64(nodes[child, NEXT])
    counts[TEXT_SIZE] = size
    counts[TITLE_END] = size
    count = append_words(text, np.int64(0), size, tables, words, np.int64(0))
    counts[TITLE_WORDS] = count
    counts[WORD_COUNT] = count


@inlined
def _enter(data, nodes, node, attributes, elements, parent, blocks, runs, text, counts):
    """A row of `elements`; returns its place."""
    element = counts[ELEMENT_COUNT]
    counts[ELEMENT_COUNT] += 1
    kind = np.int64(nodes[node, KIND])
    tag = kind if kind < len(TAGS) else 0
    first, end = nodes[node, NODE_START], nodes[node, NODE_END]
    elements[element, TAG] = tag
    elements[element, PARENT] = parent
    elements[element, DEPTH] = elements[parent, DEPTH] + 1
    elements[element, FLAGS] = (
        elements[parent, FLAGS] | TAG_FLAGS[kind] | is_hidden(data, attributes, first, end)
    )
    elements[element, FIRST_BLOCK] = counts[BLOCK_COUNT]
    elements[element, SIGNATURE] = signature(data, attributes, first, end, tag)
    elements[element, BLOCK_ELEMENT] = element if IS_BLOCK[kind] else elements[parent, BLOCK_ELEMENT]
    elements[element, IMAGES] = 0
    elements[element, FIRST_ATTRIBUTE] = first
    elements[element, END_ATTRIBUTE] = end
    if tag == T_IMG:
        elements[elements[parent, BLOCK_ELEMENT], IMAGES] += 1
    elif tag == T_A:
        if counts[OPEN]:
            counts[LINKS_SEEN] += 1
    elif tag == T_BR and counts[OPEN]:
        size = counts[TEXT_SIZE]
        _run_of(runs, parent, size, blocks[counts[BLOCK_COUNT], FIRST_RUN], counts)
        text[size] = 10
        counts[TEXT_SIZE] = size + 1
        counts[SPACE_DUE] = 0
        counts[BREAKS_SEEN] += 1
    return element


@inlined
def _tokens(data, nodes, node, attributes, element, tokens, token_places, json_ld, counts):
    """The tokens of an element, and of the JSON-LD that it holds."""
    first, end = nodes[node, NODE_START], nodes[node, NODE_END]
    if first == end:
        return
    tag = nodes[node, KIND]
    count = counts[TOKEN_COUNT]
    count = element_tokens(data, attributes, element, tag, first, end, tokens, token_places, count)
    child = nodes[node, FIRST_CHILD]
    if tag == T_SCRIPT and child > 0 and is_json_ld(data, attributes, first, end):
        start, stop = np.int64(nodes[child, NODE_START]), np.int64(nodes[child, NODE_END])
        if counts[JSON_COUNT] < json_ld.shape[0]:
            json_ld[counts[JSON_COUNT], 0] = start
            json_ld[counts[JSON_COUNT], 1] = stop
            counts[JSON_COUNT] += 1
            count = json_tokens(data, start, stop, tokens, token_places, count)
    counts[TOKEN_COUNT] = count


@small_kernel
def _leave(elements, element, blocks, runs, text, words, counts, tables):
    """Close an element; returns the one above it."""
    apart()
    if elements[element, BLOCK_ELEMENT] == element:
        _close_block(elements, blocks, runs, text, words, counts, tables)
    if counts[OPEN]:
        counts[LOWEST_LEFT] = min(counts[LOWEST_LEFT], element)
        elements[element, END_BLOCK] = counts[BLOCK_COUNT] + 1
    else:
        elements[element, END_BLOCK] = counts[BLOCK_COUNT]
    return np.int64(elements[element, PARENT])


@small_kernel
def _run_of(runs, element, size, first, counts):
    """See to it that the last run is of this element; `size` is where it begins if it is new."""
    count = counts[RUN_COUNT]
    if count > first and runs[count - 1, RUN_ELEMENT] == element:
        return
    if count > first:
        runs[count - 1, END] = size
        if runs[count - 1, START] >= size:
            count -= 1  # a run that lost its text to trimming
    runs[count, START] = size
    runs[count, RUN_ELEMENT] = element
    counts[RUN_COUNT] = count + 1


@inlined
def _add_text(data, nodes, node, elements, element, blocks, runs, text, counts):
    """Append a text to the block at hand, or open one if it is more than white space."""
    start, end = np.int64(nodes[node, NODE_START]), np.int64(nodes[node, NODE_END])
    raw = nodes[node, KIND] == RAW_TEXT
    kept = elements[element, FLAGS] & PRE_FLAG != 0
    tag = elements[element, TAG]
    if tag == T_HEAD or tag == T_HTML:
        return
    block = counts[BLOCK_COUNT]
    size = counts[TEXT_SIZE]
    if counts[OPEN] == 0:
        after, due = copy_text(data, start, end, text, size, size, 0, kept, raw)
        if trim_end(text, size, after) == size:
            return
        counts[OPEN] = 1
        counts[LOWEST_LEFT] = np.int64(1) << 40
        counts[LINKS_SEEN] = 1 if elements[element, FLAGS] & LINK_FLAG else 0
        counts[BREAKS_SEEN] = 0
        blocks[block, :BLOCK_COLUMNS] = 0
        blocks[block, ELEMENT] = element
        blocks[block, TEXT_START] = size
        blocks[block, FIRST_RUN] = counts[RUN_COUNT]
        _run_of(runs, element, size, counts[RUN_COUNT], counts)
        counts[TEXT_SIZE] = after
        counts[SPACE_DUE] = due
        return
    first = blocks[block, TEXT_START]
    after, due = copy_text(data, start, end, text, size, first, counts[SPACE_DUE], kept, raw)
    if after > size:
        # A space that was due belongs to the run before.
        begin = size + 1 if counts[SPACE_DUE] and text[size] == 32 and not kept else size
        _run_of(runs, element, begin, blocks[block, FIRST_RUN], counts)
    counts[TEXT_SIZE] = after
    counts[SPACE_DUE] = due


@small_kernel
def _close_block(elements, blocks, runs, text, words, counts, tables):
    """Finish the block at hand, if there is one; without a word it is as if it had never been."""
    apart()
    if counts[OPEN] == 0:
        return
    counts[OPEN] = 0
    counts[SPACE_DUE] = 0
    block = counts[BLOCK_COUNT]
    start = np.int64(blocks[block, TEXT_START])
    end = trim_end(text, start, counts[TEXT_SIZE])
    blocks[block, TEXT_END] = end
    last_run = counts[RUN_COUNT]
    first_run = blocks[block, FIRST_RUN]
    while last_run > first_run + 1 and runs[last_run - 1, START] >= end:
        last_run -= 1
    runs[last_run - 1, END] = end
    blocks[block, END_RUN] = last_run
    blocks[block, FIRST_WORD] = counts[WORD_COUNT]
    blocks[block, LINKS] = counts[LINKS_SEEN]
    blocks[block, BREAKS] = counts[BREAKS_SEEN]
    count = count_block(elements, blocks, block, runs, text, words, counts[WORD_COUNT], tables, LINK_FLAG)
    blocks[block, END_WORD] = count
    if count > counts[WORD_COUNT]:
        counts[BLOCK_COUNT] = block + 1
        counts[RUN_COUNT] = last_run
        counts[WORD_COUNT] = count
        counts[TEXT_SIZE] = end
        return
    counts[RUN_COUNT] = first_run
    counts[TEXT_SIZE] = start
    for element in range(min(counts[LOWEST_LEFT], counts[ELEMENT_COUNT]), counts[ELEMENT_COUNT]):
        if elements[element, END_BLOCK] == block + 1:
            elements[element, END_BLOCK] = block
