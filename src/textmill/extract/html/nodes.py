"""The tree while it is built: linked nodes, the stack of open elements, and what the standard says of each name.

Two arrays hold everything, so that the kernels of tree construction hand each other two arguments:

    nodes  int32[nodes, 9]   elements and texts, linked to parent, children and siblings; node 0 is the document
    state  int64[STATE_SIZE] registers, the token at hand, open elements, formatting elements, template modes

No list grows with the page: an element below `MAX_DEPTH` others takes the place of the one above it, as browsers cap
the depth of a tree, and of formatting elements that were never closed the latest 256 are remembered. Every loop over
a list counts its rounds in `state[STEPS]`, so that whoever drives the construction can stop a page whose markup is
made to cost more than its length.
"""

# Kernels have no annotations: Numba infers their types.
# mypy: allow-untyped-defs, no-check-untyped-defs

from __future__ import annotations

import numpy as np

from textmill.extract.names import TAG_IDS, TAGS
from textmill.text.compilation import apart, small_kernel

# Columns of `nodes`. KIND: number of the name, or TEXT, RAW_TEXT. IDENTITY: what tells names apart, unknown ones too.
# START, END: rows of attributes of an element, bytes of a text.
KIND, IDENTITY, PARENT, FIRST, LAST, NEXT, PREVIOUS, START, END, SPACE, ATTRIBUTE_SET = range(11)
NODE_COLUMNS = 11
TEXT, RAW_TEXT = -1, -2
NONE = -1
# SPACE: the namespace, and whether HTML may stand in an element of another.
XHTML, SVG_SPACE, MATH_SPACE, MATH_TEXT_POINT, HTML_POINT = 0, 1, 2, 4, 8
FOREIGN_NAME = 1 << 30  # added to the identity of elements of SVG and MathML

# Registers of `state`.
MODE, DEPTH, FORMATTING_COUNT, TEMPLATE_COUNT, HEAD_NODE, FORM_NODE, FRAMESET_OK, QUIRKS, FOSTERING = range(9)
NODE_COUNT, ATTRIBUTE_COUNT, STEPS, RAW, SKIP_NEWLINE, STOPPED, STATUS, NODE_LIMIT = range(9, 17)
# The token at hand.
TOKEN, TAG, NAME, TOKEN_START, TOKEN_SPACE, TOKEN_END, FIRST_VALUE, END_VALUE, VALUE_SET, TRAITS = range(
    20, 30
)
START_TAG, END_TAG, TEXT_TOKEN, END_OF_FILE, DOCTYPE = 1, 2, 3, 4, 5
# Insertion modes (values of MODE).
(INITIAL, BEFORE_HTML, BEFORE_HEAD, IN_HEAD, IN_HEAD_NOSCRIPT, AFTER_HEAD, IN_BODY, IN_TABLE, IN_CAPTION) = (
    range(9)
)
(IN_COLUMN_GROUP, IN_TABLE_BODY, IN_ROW, IN_CELL, IN_TEMPLATE, AFTER_BODY, IN_FRAMESET, AFTER_FRAMESET) = (
    range(9, 17)
)
AFTER_AFTER_BODY, AFTER_AFTER_FRAMESET = 17, 18
# What TRAITS tells of a start tag.
SELF_CLOSING, TYPE_HIDDEN, HTML_ENCODING, FONT_STYLE = 1, 2, 4, 8
# What the tokeniser does after a start tag.
RCDATA, RAWTEXT, SCRIPT_DATA, PLAINTEXT = 1, 2, 3, 4

MAX_DEPTH = 512
MAX_FORMATTING = 256
MAX_TEMPLATES = 600
STACK = 32
FORMATTING = STACK + MAX_DEPTH + 16
TEMPLATES = FORMATTING + MAX_FORMATTING + 16
STATE_SIZE = TEMPLATES + MAX_TEMPLATES + 16

# Rules of names (section 13.2 of the standard).
SPECIAL, SCOPE, LIST_SCOPE, BUTTON_SCOPE, TABLE_SCOPE = 1, 2, 4, 8, 16
IMPLIED, IMPLIED_ALL, HEADING, BREAKOUT, FOSTERED, BLOCK_END, FORMATS = 32, 64, 128, 256, 512, 1024, 2048

FOREIGN, FOREIGN_BORDER = len(TAGS), len(TAGS) + 1
"""Kinds of elements of SVG and MathML: any, and those that scopes end at."""

_RULES = {
    SPECIAL: """address applet area article aside base basefont bgsound blockquote body br button caption center col
        colgroup dd details dir div dl dt embed fieldset figcaption figure footer form frame frameset h1 h2 h3 h4 h5 h6
        head header hgroup hr html iframe img input keygen li link listing main marquee menu meta nav noembed noframes
        noscript object ol p param plaintext pre script search section select source style summary table tbody td
        template textarea tfoot th thead title tr track ul wbr xmp""",
    SCOPE: "applet caption html table td th marquee object select template",
    LIST_SCOPE: "applet caption html table td th marquee object select template ol ul",
    BUTTON_SCOPE: "applet caption html table td th marquee object select template button",
    TABLE_SCOPE: "html table template",
    IMPLIED: "dd dt li optgroup option p rb rp rt rtc",
    IMPLIED_ALL: "dd dt li optgroup option p rb rp rt rtc caption colgroup tbody td tfoot th thead tr",
    HEADING: "h1 h2 h3 h4 h5 h6",
    BREAKOUT: """b big blockquote body br center code dd div dl dt em embed h1 h2 h3 h4 h5 h6 head hr i img li listing
        menu meta nobr ol p pre ruby s small span strong strike sub sup table tt u ul var""",
    FOSTERED: "table tbody tfoot thead tr",
    BLOCK_END: """address article aside blockquote button center details dialog dir div dl fieldset figcaption figure
        footer header hgroup listing main menu nav ol pre search section select summary ul""",
    FORMATS: "a b big code em font i nobr s small strike strong tt u",
}
RULES = np.zeros(len(TAGS) + 2, np.int64)
for _rule, _names in _RULES.items():
    for _name in _names.split():
        RULES[TAG_IDS[_name]] |= _rule
RULES[FOREIGN_BORDER] = SPECIAL | SCOPE | LIST_SCOPE | BUTTON_SCOPE

(T_HTML, T_HEAD, T_BODY, T_TABLE, T_TEMPLATE, T_P) = (
    TAG_IDS[_name] for _name in ["html", "head", "body", "table", "template", "p"]
)


@small_kernel
def rules_of(nodes, node):
    """The rules of an element's name."""
    return RULES[nodes[node, KIND]]


@small_kernel
def current(state):
    """The element that was opened last."""
    return state[STACK + state[DEPTH] - 1]


@small_kernel
def push(state, node):
    """Open an element; at the greatest depth it takes the place of the one that was opened last."""
    if state[DEPTH] >= MAX_DEPTH:
        state[DEPTH] -= 1
    state[STACK + state[DEPTH]] = node
    state[DEPTH] += 1


@small_kernel
def pop(state):
    """Close the element that was opened last; the root stays."""
    if state[DEPTH] > 1:
        state[DEPTH] -= 1


@small_kernel
def is_html(nodes, node, tag):
    """Whether a node is the HTML element of this number."""
    return nodes[node, IDENTITY] == tag


@small_kernel
def in_scope(nodes, state, name, border):
    """Whether an element of this identity is open, and none with the rule `border` was opened after it."""
    apart()
    for place in range(state[DEPTH] - 1, -1, -1):
        node = state[STACK + place]
        if nodes[node, IDENTITY] == name:
            state[STEPS] += state[DEPTH] - place
            return True
        if rules_of(nodes, node) & border:
            state[STEPS] += state[DEPTH] - place
            return False
    return False


@small_kernel
def node_in_scope(nodes, state, wanted):
    """Whether this very element is open, and no border of scopes was opened after it."""
    apart()
    for place in range(state[DEPTH] - 1, -1, -1):
        node = state[STACK + place]
        state[STEPS] += 1
        if node == wanted:
            return True
        if rules_of(nodes, node) & SCOPE:
            return False
    return False


@small_kernel
def place_in_stack(state, node):
    """The place of an open element, counted from the root; -1 if it is not open."""
    apart()
    for place in range(state[DEPTH] - 1, -1, -1):
        if state[STACK + place] == node:
            state[STEPS] += state[DEPTH] - place
            return place
    state[STEPS] += state[DEPTH]
    return -1


@small_kernel
def remove_from_stack(state, place):
    """Close the element at a place, and leave what was opened after it open."""
    apart()
    state[STEPS] += state[DEPTH] - place
    for at in range(place, state[DEPTH] - 1):
        state[STACK + at] = state[STACK + at + 1]
    state[DEPTH] -= 1


@small_kernel
def open_count(nodes, state, tag):
    """Whether an HTML element of this number is open anywhere."""
    apart()
    for place in range(state[DEPTH] - 1, -1, -1):
        state[STEPS] += 1
        if is_html(nodes, state[STACK + place], tag):
            return True
    return False


@small_kernel
def imply_end_tags(nodes, state, but):
    """Close elements whose end tag may be left out, except one of the identity `but`."""
    apart()
    while state[DEPTH] > 1:
        node = current(state)
        if rules_of(nodes, node) & IMPLIED == 0 or nodes[node, IDENTITY] == but:
            break
        state[STEPS] += 1
        state[DEPTH] -= 1


@small_kernel
def pop_until(nodes, state, name):
    """Close elements up to and including the first of this identity."""
    apart()
    while state[DEPTH] > 1:
        node = current(state)
        state[STEPS] += 1
        state[DEPTH] -= 1
        if nodes[node, IDENTITY] == name:
            break


@small_kernel
def close_p(nodes, state):
    """Close a `p` in button scope, if there is one, and all that was opened in it."""
    apart()
    if in_scope(nodes, state, T_P, BUTTON_SCOPE):
        imply_end_tags(nodes, state, T_P)
        pop_until(nodes, state, T_P)


@small_kernel
def new_node(nodes, state, kind, name, start, end):
    """A node that hangs nowhere yet; at the limit of nodes the construction stops and the last one is used again."""
    node = state[NODE_COUNT]
    if node >= nodes.shape[0] - 1:
        state[STOPPED] = 1
        state[STATUS] = 1
    else:
        state[NODE_COUNT] += 1
    nodes[node, KIND] = kind
    nodes[node, IDENTITY] = name
    nodes[node, PARENT] = NONE
    nodes[node, FIRST] = NONE
    nodes[node, LAST] = NONE
    nodes[node, NEXT] = NONE
    nodes[node, PREVIOUS] = NONE
    nodes[node, START] = start
    nodes[node, END] = end
    nodes[node, SPACE] = XHTML
    nodes[node, ATTRIBUTE_SET] = 0
    return node


@small_kernel
def detach(nodes, node):
    """Take a node and all below it out of the tree."""
    parent, before, after = nodes[node, PARENT], nodes[node, PREVIOUS], nodes[node, NEXT]
    if parent == NONE:
        return
    if before == NONE:
        nodes[parent, FIRST] = after
    else:
        nodes[before, NEXT] = after
    if after == NONE:
        nodes[parent, LAST] = before
    else:
        nodes[after, PREVIOUS] = before
    nodes[node, PARENT] = NONE
    nodes[node, PREVIOUS] = NONE
    nodes[node, NEXT] = NONE


@small_kernel
def attach(nodes, node, parent, after):
    """Hang a node that hangs nowhere before the child `after` of `parent`, or behind all if that is NONE."""
    before = nodes[parent, LAST] if after == NONE else nodes[after, PREVIOUS]
    nodes[node, PARENT] = parent
    nodes[node, PREVIOUS] = before
    nodes[node, NEXT] = after
    if before == NONE:
        nodes[parent, FIRST] = node
    else:
        nodes[before, NEXT] = node
    if after == NONE:
        nodes[parent, LAST] = node
    else:
        nodes[after, PREVIOUS] = node


@small_kernel
def insertion_place(nodes, state, target):
    """Where a node goes that belongs into `target`: a parent, and the child to stand before.

    The appropriate place for inserting a node: what does not belong into a table goes before it.
    """
    if state[FOSTERING] == 0 or rules_of(nodes, target) & FOSTERED == 0:
        return target, NONE
    for place in range(state[DEPTH] - 1, -1, -1):
        node = state[STACK + place]
        state[STEPS] += 1
        if is_html(nodes, node, T_TEMPLATE):
            return node, NONE
        if is_html(nodes, node, T_TABLE):
            parent = np.int64(nodes[node, PARENT])
            if parent != NONE:
                return parent, node
            return state[STACK + place - 1], NONE
    return state[STACK], NONE


@small_kernel
def insert_element(nodes, state, kind, name):
    """Insert an HTML element with the attributes of the token, and open it."""
    apart()
    parent, after = insertion_place(nodes, state, current(state))
    if state[DEPTH] >= MAX_DEPTH:
        parent, after = insertion_place(nodes, state, state[STACK + state[DEPTH] - 2])
    node = new_node(nodes, state, kind, name, state[FIRST_VALUE], state[END_VALUE])
    nodes[node, ATTRIBUTE_SET] = state[VALUE_SET]
    attach(nodes, node, parent, after)
    push(state, node)
    return node


@small_kernel
def insert_token(nodes, state):
    """Insert the element of the start tag at hand, and open it."""
    return insert_element(nodes, state, state[TAG], state[NAME])


@small_kernel
def insert_bare(nodes, state, tag):
    """Insert an element that no tag asked for, and open it."""
    apart()
    first, end, values = state[FIRST_VALUE], state[END_VALUE], state[VALUE_SET]
    state[FIRST_VALUE] = 0
    state[END_VALUE] = 0
    state[VALUE_SET] = 0
    node = insert_element(nodes, state, tag, tag)
    state[FIRST_VALUE] = first
    state[END_VALUE] = end
    state[VALUE_SET] = values
    return node


@small_kernel
def insert_text(nodes, state, start, end, kind):
    """Insert bytes start:end as a text; what goes on where a text before it ends becomes part of that."""
    apart()
    if start >= end:
        return
    parent, after = insertion_place(nodes, state, current(state))
    before = nodes[parent, LAST] if after == NONE else nodes[after, PREVIOUS]
    if before != NONE and nodes[before, KIND] == kind and nodes[before, END] == start:
        nodes[before, END] = end
        return
    attach(nodes, new_node(nodes, state, kind, 0, start, end), parent, after)
