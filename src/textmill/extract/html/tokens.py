"""The tokeniser (section 13.2.5 of the standard), which drives tree construction.

    <a href="/x">One &amp; <!-- two --> three</a>
    start tag a      text "One &amp; "     text " three"  end tag a

One pass over the bytes. Text, comments, values and the contents of `script` are jumped over 32 bytes at a time; names
are hashed; of attributes those with a number are noted as spans. References stay as they are until text is made.
"""

# Kernels have no annotations: Numba infers their types.
# mypy: allow-untyped-defs, no-check-untyped-defs

from __future__ import annotations

import numpy as np

from textmill.extract.html.doctype import is_quirky
from textmill.extract.html.formatting import reconstruct
from textmill.extract.html.modes import process
from textmill.extract.html.nodes import (
    ATTRIBUTE_COUNT,
    DEPTH,
    DOCTYPE,
    END_OF_FILE,
    END_TAG,
    END_VALUE,
    FIRST_VALUE,
    FONT_STYLE,
    FORM_NODE,
    FORMATS,
    FRAMESET_OK,
    HEAD_NODE,
    HTML_ENCODING,
    INITIAL,
    MODE,
    NAME,
    NONE,
    PLAINTEXT,
    QUIRKS,
    RAW,
    RAW_TEXT,
    RCDATA,
    RULES,
    SCRIPT_DATA,
    SELF_CLOSING,
    SKIP_NEWLINE,
    SPACE,
    START_TAG,
    STATUS,
    STEPS,
    STOPPED,
    TAG,
    TEXT,
    TEXT_TOKEN,
    TOKEN,
    TOKEN_END,
    TOKEN_SPACE,
    TOKEN_START,
    TRAITS,
    TYPE_HIDDEN,
    VALUE_SET,
    current,
    insert_text,
    new_node,
    pop,
)
from textmill.extract.html.references import FNV_PRIME, FNV_SEED, find_hash, hash_table, name_hash, reference
from textmill.extract.html.scanning import find_byte, find_either, holds, is_letter, is_space, skip_space
from textmill.extract.names import ATTRIBUTE_IDS, ATTRIBUTES, CUSTOM, TAG_IDS, TAGS, UNKNOWN
from textmill.text.compilation import apart, borrowed, inlined, kernel, small_kernel
from textmill.text.hashing import xxhash64
from textmill.text.wide import item

TAG_KEYS, TAG_POSITIONS = hash_table([name_hash(name.encode()) for name in TAGS[2:]], 1024)
ATTRIBUTE_KEYS, ATTRIBUTE_POSITIONS = hash_table([name_hash(name.encode()) for name in ATTRIBUTES], 256)
UNKNOWN_NAME = 1 << 29
COMPLETE, FULL, COSTLY = 0, 1, 2
"""How construction ended (register STATUS): at the end; no room for more nodes or attributes; too many steps."""

T_HTML, T_SCRIPT, T_ANNOTATION_XML = (
    TAG_IDS["html"],
    TAG_IDS["script"],
    TAG_IDS["annotation-xml"],
)
A_TYPE, A_ENCODING, A_COLOR, A_FACE, A_SIZE = (
    ATTRIBUTE_IDS[_name] for _name in ["type", "encoding", "color", "face", "size"]
)


@kernel
def build_tree(data, nodes, attributes, state, steps_allowed):
    """Parse a page into `nodes` and `attributes`; `state[STATUS]` tells how it ended."""
    data, nodes, attributes, state = borrowed(data), borrowed(nodes), borrowed(attributes), borrowed(state)
    _reset(nodes, state)
    at, end = np.int64(0), np.int64(data.size)
    while at < end and state[STOPPED] == 0:
        start = at
        at = _end_of_text(data, at, end)
        if at > start:
            _text(data, start, at, end, nodes, state)
        if at < end:
            at = _markup(data, at, end, nodes, attributes, state)
        if state[STEPS] > steps_allowed:
            state[STATUS] = COSTLY
            state[STOPPED] = 1
    if state[STATUS] == COMPLETE:
        state[STOPPED] = 0
        state[TOKEN] = END_OF_FILE
        state[TAG] = 0
        process(nodes, state)


@inlined
def _reset(nodes, state):
    state[:] = 0
    state[MODE] = INITIAL
    state[HEAD_NODE] = NONE
    state[FORM_NODE] = NONE
    state[FRAMESET_OK] = 1
    new_node(nodes, state, 0, 0, 0, 0)


@inlined
def _end_of_text(data, at, end):
    """Where the next markup begins: a `<` may be a character as well."""
    while True:
        at = find_byte(data, at, end, 60)
        if at + 1 >= end:
            return end
        byte = item(data, at + 1)
        if is_letter(byte) or byte == 33 or byte == 63 or (byte == 47 and at + 2 < end):
            return at
        at += 1


@inlined
def _text(data, start, stop, end, nodes, state):
    state[TOKEN] = TEXT_TOKEN
    state[TAG] = 0
    state[TOKEN_START] = start
    state[TOKEN_END] = stop
    at = skip_space(data, start, stop)
    while at < stop and item(data, at) == 38:
        first, _, after = reference(data, at, end)
        if not (first == 32 or first == 10 or first == 9 or first == 12 or first == 13):
            break
        at = skip_space(data, min(after, stop), stop)
    state[TOKEN_SPACE] = at
    process(nodes, state)


@inlined
def _markup(data, at, end, nodes, attributes, state):
    """What begins with the `<` at data[at]; returns the position behind it."""
    byte = item(data, at + 1)
    if byte == 47:
        byte = item(data, at + 2)
        if is_letter(byte):
            return _end_tag(data, at + 2, end, nodes, attributes, state)
        return find_byte(data, at + 2, end, 62) + 1
    if byte == 33:
        return _declaration(data, at + 2, end, nodes, state)
    if byte == 63:
        return find_byte(data, at + 2, end, 62) + 1
    return _start_tag(data, at + 1, end, nodes, attributes, state)


@inlined
def _declaration(data, at, end, nodes, state):
    """A comment, a doctype or a section of CDATA."""
    if at + 1 < end and data[at] == 45 and data[at + 1] == 45:
        return _end_of_comment(data, at + 2, end)
    if holds(data, at, end, _DOCTYPE):
        stop = find_byte(data, at, end, 62)
        state[TOKEN] = DOCTYPE
        state[TAG] = 0
        if state[MODE] == INITIAL:
            state[QUIRKS] = is_quirky(data, at + 7, stop)
        process(nodes, state)
        return stop + 1
    if (
        at + 6 < end
        and data[at] == 91
        and holds(data, at, end, _CDATA)
        and data[at + 1] == 67
        and state[DEPTH] > 0
        and nodes[current(state), SPACE] != 0
    ):
        start = at + 7
        stop = start
        while True:
            stop = find_byte(data, stop, end, 93)
            if stop + 2 >= end:
                stop = end
                break
            if data[stop + 1] == 93 and data[stop + 2] == 62:
                break
            stop += 1
        insert_text(nodes, state, start, stop, RAW_TEXT)
        return min(stop + 3, end)
    return find_byte(data, at, end, 62) + 1


_DOCTYPE = np.frombuffer(b"doctype", np.uint8).copy()
_CDATA = np.frombuffer(b"[cdata[", np.uint8).copy()


@inlined
def _end_of_comment(data, at, end):
    """The position behind a comment whose text begins at data[at]."""
    if at < end and data[at] == 62:
        return at + 1
    if at + 1 < end and data[at] == 45 and data[at + 1] == 62:
        return at + 2
    while True:
        at = find_byte(data, at, end, 45)
        if at + 1 >= end:
            return end
        if data[at + 1] != 45:
            at += 1
            continue
        at += 2
        while at < end and data[at] == 45:
            at += 1
        if at < end and data[at] == 62:
            return at + 1
        if at + 1 < end and data[at] == 33 and data[at + 1] == 62:
            return at + 2


@small_kernel
def _name(data, at, end, state):
    """Read the name of a tag into TAG and NAME; returns the position behind it."""
    apart()
    value = FNV_SEED
    hyphen = False
    while at < end:
        byte = item(data, at)
        if byte == 62 or byte == 47 or is_space(byte):
            break
        if 65 <= byte <= 90:
            byte |= np.uint8(32)
        hyphen |= byte == 45
        value = (value ^ np.uint64(byte)) * FNV_PRIME
        at += 1
    found = find_hash(TAG_KEYS, TAG_POSITIONS, value)
    if found >= 0:
        state[TAG] = found + 2
        state[NAME] = found + 2
    else:
        state[TAG] = CUSTOM if hyphen else UNKNOWN
        state[NAME] = UNKNOWN_NAME | np.int64((value >> np.uint64(20)) & np.uint64(UNKNOWN_NAME - 1))
    return at


@inlined
def _start_tag(data, at, end, nodes, attributes, state):
    at = _name(data, at, end, state)
    state[TOKEN] = START_TAG
    at = _attributes(data, at, end, attributes, state, True)
    if at > end:
        return end
    process(nodes, state)
    if state[SKIP_NEWLINE]:
        state[SKIP_NEWLINE] = 0
        if at < end and data[at] == 13:
            at += 1
            if at < end and data[at] == 10:
                at += 1
        elif at < end and data[at] == 10:
            at += 1
    if state[RAW]:
        at = _raw_text(data, at, end, nodes, attributes, state)
    return at


@inlined
def _end_tag(data, at, end, nodes, attributes, state):
    at = _name(data, at, end, state)
    state[TOKEN] = END_TAG
    at = _attributes(data, at, end, attributes, state, False)
    if at > end:
        return end
    process(nodes, state)
    return at


@small_kernel
def _attributes(data, at, end, attributes, state, kept):
    """Read attributes up to the end of the tag; returns the position behind it, `end` + 1 if the page ends first."""
    apart()
    count = state[ATTRIBUTE_COUNT]
    state[FIRST_VALUE] = count
    state[TRAITS] = 0
    traits = np.int64(0)
    seen = np.uint64(0)
    compared = kept and RULES[state[TAG]] & FORMATS != 0
    value_set = np.uint64(0)
    while True:
        at = skip_space(data, at, end)
        if at >= end:
            return end + 1
        byte = item(data, at)
        if byte == 62:
            break
        if byte == 47:
            at += 1
            if at < end and item(data, at) == 62:
                traits |= SELF_CLOSING
            continue
        name, at = _attribute_name(data, at, end)
        start, stop, at = _attribute_value(data, at, end)
        if not kept:
            continue
        if compared:
            value_set += name * np.uint64(31) ^ xxhash64(data, start, min(stop, end), name)
        found = find_hash(ATTRIBUTE_KEYS, ATTRIBUTE_POSITIONS, name)
        if found < 0 or seen & (np.uint64(1) << np.uint64(found)):
            continue
        seen |= np.uint64(1) << np.uint64(found)
        traits |= _traits(data, start, stop, state[TAG], found)
        if count < attributes.shape[0]:
            attributes[count, 0] = found
            attributes[count, 1] = start
            attributes[count, 2] = stop
            count += 1
        else:
            state[STATUS] = FULL
            state[STOPPED] = 1
    if kept:
        state[ATTRIBUTE_COUNT] = count
        state[END_VALUE] = count
        state[TRAITS] = traits
        state[VALUE_SET] = np.int64((value_set ^ (value_set >> np.uint64(32))) & np.uint64(0x7FFFFFFF))
    return at + 1


@inlined
def _attribute_name(data, at, end):
    """The hash of a name, and the position behind it; `=` may begin one."""
    value = FNV_SEED
    first = at
    while at < end:
        byte = item(data, at)
        if byte == 62 or byte == 47 or is_space(byte) or (byte == 61 and at > first):
            break
        if 65 <= byte <= 90:
            byte |= np.uint8(32)
        value = (value ^ np.uint64(byte)) * FNV_PRIME
        at += 1
    return value, at


@inlined
def _attribute_value(data, at, end):
    """The span of the value behind a name (empty if it has none), and the position behind it."""
    after = skip_space(data, at, end)
    if after >= end or item(data, after) != 61:
        return after, after, after
    at = skip_space(data, after + 1, end)
    if at >= end:
        return end, end, end
    quote = item(data, at)
    if quote == 34 or quote == 39:
        stop = find_byte(data, at + 1, end, np.int64(quote))
        return at + 1, stop, stop + 1
    start = at
    while at < end:
        byte = item(data, at)
        if byte == 62 or is_space(byte):
            break
        at += 1
    return start, at, at


@inlined
def _traits(data, start, stop, tag, attribute):
    """What tree construction has to know of an attribute."""
    if attribute == A_TYPE:
        return TYPE_HIDDEN if stop - start == 6 and holds(data, start, stop, _HIDDEN) else 0
    if attribute == A_COLOR or attribute == A_FACE or attribute == A_SIZE:
        return FONT_STYLE
    if attribute == A_ENCODING and tag == T_ANNOTATION_XML:
        if stop - start == 9 and holds(data, start, stop, _TEXT_HTML):
            return HTML_ENCODING
        if stop - start == 21 and holds(data, start, stop, _XHTML):
            return HTML_ENCODING
    return 0


_HIDDEN = np.frombuffer(b"hidden", np.uint8).copy()
_TEXT_HTML = np.frombuffer(b"text/html", np.uint8).copy()
_XHTML = np.frombuffer(b"application/xhtml+xml", np.uint8).copy()


@small_kernel
def _raw_text(data, at, end, nodes, attributes, state):
    """The contents of an element that holds no markup, up to its end tag; returns the position behind that."""
    apart()
    raw, tag = state[RAW], state[TAG]
    state[RAW] = 0
    if raw == PLAINTEXT:
        reconstruct(nodes, state)
        insert_text(nodes, state, at, end, RAW_TEXT)
        return end
    stop = _end_of_script(data, at, end) if raw == SCRIPT_DATA else _end_of_raw(data, at, end, tag)
    insert_text(nodes, state, at, stop, TEXT if raw == RCDATA else RAW_TEXT)
    pop(state)
    if stop >= end:
        return end
    after = _name(data, stop + 2, end, state)
    return min(_attributes(data, after, end, attributes, state, False), end)


@inlined
def _end_of_raw(data, at, end, tag):
    """Where the end tag of the element `tag` begins; `end` if there is none."""
    while True:
        at = find_byte(data, at, end, 60)
        if at + 2 >= end:
            return end
        if data[at + 1] == 47 and _is_name(data, at + 2, end, tag):
            return at
        at += 1


@small_kernel
def _is_name(data, at, end, tag):
    """Whether the name of element `tag` stands at data[at], and something that may follow it."""
    apart()
    value = FNV_SEED
    for place in range(at, min(end, at + 10)):
        byte = data[place]
        if byte == 62 or byte == 47 or is_space(byte):
            return find_hash(TAG_KEYS, TAG_POSITIONS, value) + 2 == tag
        if 65 <= byte <= 90:
            byte |= np.uint8(32)
        value = (value ^ np.uint64(byte)) * FNV_PRIME
    return False


@small_kernel
def _end_of_script(data, at, end):
    """Where the end tag of a script begins: `<!-- <script>` hides one, up to `-->`."""
    apart()
    escaped, twice = False, False
    while True:
        at = find_either(data, at, end, 60, 45) if escaped else find_byte(data, at, end, 60)
        if at + 2 >= end:
            return end
        if data[at] == 45:
            if data[at + 1] == 45:
                at += 2
                while at < end and data[at] == 45:
                    at += 1
                if at < end and data[at] == 62:
                    escaped, twice = False, False
            else:
                at += 1
            continue
        byte = data[at + 1]
        if byte == 47:
            if _is_name(data, at + 2, end, T_SCRIPT):
                if not twice:
                    return at
                twice = False
        elif byte == 33:
            if not escaped and at + 3 < end and data[at + 2] == 45 and data[at + 3] == 45:
                # `<!-->` and `<!--->` end what they begin.
                escaped = True
                at += 2
                continue
        elif escaped and not twice and _is_name(data, at + 1, end, T_SCRIPT):
            twice = True
        at += 1
