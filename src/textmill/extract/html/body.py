"""Tree construction inside `body`: the insertion mode that almost every tag of a page meets (section 13.2.6.4.7)."""

# Kernels have no annotations: Numba infers their types.
# mypy: allow-untyped-defs, no-check-untyped-defs

from __future__ import annotations

import numpy as np

from textmill.extract.html.formatting import (
    add_formatting,
    add_marker,
    adopt,
    clear_to_marker,
    close_other,
    last_formatting,
    reconstruct,
    remove_formatting,
)
from textmill.extract.html.nodes import (
    BLOCK_END,
    BUTTON_SCOPE,
    DEPTH,
    FOREIGN_NAME,
    FORM_NODE,
    FORMATS,
    FORMATTING,
    FRAMESET_OK,
    HEADING,
    IDENTITY,
    IN_FRAMESET,
    IN_TABLE,
    LIST_SCOPE,
    MATH_SPACE,
    MODE,
    NAME,
    NONE,
    PLAINTEXT,
    QUIRKS,
    RAW,
    RAWTEXT,
    RCDATA,
    RULES,
    SCOPE,
    SELF_CLOSING,
    SKIP_NEWLINE,
    SPACE,
    SPECIAL,
    STACK,
    STEPS,
    SVG_SPACE,
    T_BODY,
    T_P,
    T_TEMPLATE,
    TAG,
    TEXT,
    TOKEN_END,
    TOKEN_SPACE,
    TOKEN_START,
    TRAITS,
    TYPE_HIDDEN,
    close_p,
    current,
    detach,
    imply_end_tags,
    in_scope,
    insert_bare,
    insert_text,
    insert_token,
    is_html,
    node_in_scope,
    open_count,
    place_in_stack,
    pop,
    pop_until,
    remove_from_stack,
    rules_of,
)
from textmill.extract.names import TAG_IDS, TAGS
from textmill.text.compilation import apart, inlined, small_kernel

# What a start tag asks for; 0 is an ordinary element.
(
    ORDINARY,
    ROOT,
    HEADISH,
    BODY,
    FRAMESET,
    BLOCK,
    HEADLINE,
    PRE,
    FORM,
    LI,
    DD,
    PLAIN,
    BUTTON,
    A,
    FORMAT,
    NOBR,
    APPLET,
) = range(17)
TABLE, VOID, INPUT, PARAM, HR, IMAGE, TEXTAREA, XMP, IFRAME, NOEMBED, SELECT, OPTION, OPTGROUP, RUBY, RT = (
    range(17, 32)
)
MATH, SVG, TABLE_PART, NOFRAMES = range(32, 36)
_GROUPS = {
    ROOT: "html",
    HEADISH: "base basefont bgsound link meta noframes script style template title",
    BODY: "body",
    FRAMESET: "frameset",
    BLOCK: """address article aside blockquote center details dialog dir div dl fieldset figcaption figure footer header
        hgroup main menu nav ol p search section summary ul""",
    HEADLINE: "h1 h2 h3 h4 h5 h6",
    PRE: "pre listing",
    FORM: "form",
    LI: "li",
    DD: "dd dt",
    PLAIN: "plaintext",
    BUTTON: "button",
    A: "a",
    FORMAT: "b big code em font i s small strike strong tt u",
    NOBR: "nobr",
    APPLET: "applet marquee object",
    TABLE: "table",
    VOID: "area br embed img keygen wbr",
    INPUT: "input",
    PARAM: "param source track",
    HR: "hr",
    IMAGE: "image",
    TEXTAREA: "textarea",
    XMP: "xmp",
    IFRAME: "iframe",
    NOEMBED: "noembed",
    SELECT: "select",
    OPTION: "option",
    OPTGROUP: "optgroup",
    RUBY: "rb rtc",
    RT: "rp rt",
    MATH: "math",
    SVG: "svg",
    TABLE_PART: "caption col colgroup frame head tbody td tfoot th thead tr",
}
GROUPS = np.zeros(len(TAGS), np.int64)
for _group, _names in _GROUPS.items():
    for _name in _names.split():
        GROUPS[TAG_IDS[_name]] = _group

(T_A, T_BUTTON, T_LI, T_DD, T_DT, T_ADDRESS, T_DIV, T_FORM, T_IMG, T_NOBR, T_OPTION, T_OPTGROUP) = (
    TAG_IDS[_name]
    for _name in [
        "a",
        "button",
        "li",
        "dd",
        "dt",
        "address",
        "div",
        "form",
        "img",
        "nobr",
        "option",
        "optgroup",
    ]
)
(T_SELECT, T_RUBY, T_RTC, T_BR, T_FRAMESET, T_APPLET, T_MARQUEE, T_OBJECT) = (
    TAG_IDS[_name] for _name in ["select", "ruby", "rtc", "br", "frameset", "applet", "marquee", "object"]
)


@inlined
def text_in_body(nodes, state):
    """Characters: the formatting they stand in is opened again if need be."""
    reconstruct(nodes, state)
    insert_text(nodes, state, state[TOKEN_START], state[TOKEN_END], TEXT)
    if state[TOKEN_SPACE] < state[TOKEN_END]:
        state[FRAMESET_OK] = 0


@small_kernel
def start_in_body(nodes, state):
    """A start tag, except those that `modes.in_head` sees to (group HEADISH) and a frameset."""
    apart()
    tag = state[TAG]
    group = GROUPS[tag]
    if group == ORDINARY:
        reconstruct(nodes, state)
        insert_token(nodes, state)
    elif group == BLOCK:
        close_p(nodes, state)
        insert_token(nodes, state)
    elif group == A:
        _start_a(nodes, state)
    elif group == FORMAT:
        reconstruct(nodes, state)
        add_formatting(nodes, state, insert_token(nodes, state))
    elif group == VOID:
        reconstruct(nodes, state)
        insert_token(nodes, state)
        pop(state)
        state[FRAMESET_OK] = 0
    elif group == LI or group == DD:
        _start_item(nodes, state, group)
    elif group == HEADLINE:
        close_p(nodes, state)
        if rules_of(nodes, current(state)) & HEADING:
            pop(state)
        insert_token(nodes, state)
    elif group == ROOT:
        pass  # its attributes would go to the one that is there
    elif group == BODY:
        if state[DEPTH] > 1 and is_html(nodes, state[STACK + 1], T_BODY):
            state[FRAMESET_OK] = 0
    elif group == FRAMESET:
        _start_frameset(nodes, state)
    elif group == TABLE_PART:
        pass
    elif group <= PLAIN:
        _start_rare_block(nodes, state, group)
    else:
        _start_rare(nodes, state, group)


@inlined
def _start_a(nodes, state):
    listed = last_formatting(nodes, state, T_A)
    if listed >= 0:
        node = state[FORMATTING + listed]
        adopt(nodes, state, T_A)
        # The algorithm may have left it where it was.
        listed = last_formatting(nodes, state, T_A)
        if listed >= 0 and state[FORMATTING + listed] == node:
            remove_formatting(state, listed)
        place = place_in_stack(state, node)
        if place > 0:
            remove_from_stack(state, place)
    reconstruct(nodes, state)
    add_formatting(nodes, state, insert_token(nodes, state))


@inlined
def _start_item(nodes, state, group):
    """li, dd, dt: close the one before, if nothing special but address, div or p was opened since."""
    state[FRAMESET_OK] = 0
    for place in range(state[DEPTH] - 1, 0, -1):
        node = state[STACK + place]
        state[STEPS] += 1
        name = nodes[node, IDENTITY]
        if name == T_LI if group == LI else (name == T_DD or name == T_DT):
            imply_end_tags(nodes, state, name)
            pop_until(nodes, state, name)
            break
        if rules_of(nodes, node) & SPECIAL and not (name == T_ADDRESS or name == T_DIV or name == T_P):
            break
    close_p(nodes, state)
    insert_token(nodes, state)


@inlined
def _start_frameset(nodes, state):
    if state[FRAMESET_OK] == 0 or state[DEPTH] < 2 or not is_html(nodes, state[STACK + 1], T_BODY):
        return
    detach(nodes, state[STACK + 1])
    state[DEPTH] = 1
    insert_token(nodes, state)
    state[MODE] = IN_FRAMESET


@inlined
def _start_rare_block(nodes, state, group):
    if group == FORM and state[FORM_NODE] != NONE and not open_count(nodes, state, T_TEMPLATE):
        return
    close_p(nodes, state)
    node = insert_token(nodes, state)
    if group == PRE:
        state[SKIP_NEWLINE] = 1
        state[FRAMESET_OK] = 0
    elif group == FORM:
        if not open_count(nodes, state, T_TEMPLATE):
            state[FORM_NODE] = node
    else:
        state[RAW] = PLAINTEXT


@small_kernel
def _start_rare(nodes, state, group):
    apart()
    if group == BUTTON:
        if in_scope(nodes, state, T_BUTTON, SCOPE):
            imply_end_tags(nodes, state, NONE)
            pop_until(nodes, state, T_BUTTON)
        reconstruct(nodes, state)
        insert_token(nodes, state)
        state[FRAMESET_OK] = 0
    elif group == NOBR:
        reconstruct(nodes, state)
        if in_scope(nodes, state, T_NOBR, SCOPE):
            adopt(nodes, state, T_NOBR)
            reconstruct(nodes, state)
        add_formatting(nodes, state, insert_token(nodes, state))
    elif group == APPLET:
        reconstruct(nodes, state)
        insert_token(nodes, state)
        add_marker(state)
        state[FRAMESET_OK] = 0
    elif group == TABLE:
        if state[QUIRKS] == 0:
            close_p(nodes, state)
        insert_token(nodes, state)
        state[FRAMESET_OK] = 0
        state[MODE] = IN_TABLE
    elif group == INPUT:
        if in_scope(nodes, state, T_SELECT, SCOPE):
            pop_until(nodes, state, T_SELECT)
        reconstruct(nodes, state)
        insert_token(nodes, state)
        pop(state)
        if state[TRAITS] & TYPE_HIDDEN == 0:
            state[FRAMESET_OK] = 0
    elif group == PARAM:
        insert_token(nodes, state)
        pop(state)
    elif group == HR:
        close_p(nodes, state)
        if in_scope(nodes, state, T_SELECT, SCOPE):
            imply_end_tags(nodes, state, NONE)
        insert_token(nodes, state)
        pop(state)
        state[FRAMESET_OK] = 0
    elif group == IMAGE:
        state[TAG] = T_IMG
        state[NAME] = T_IMG
        reconstruct(nodes, state)
        insert_token(nodes, state)
        pop(state)
        state[FRAMESET_OK] = 0
    elif group <= NOEMBED:
        _start_raw(nodes, state, group)
    elif group <= OPTGROUP:
        _start_select(nodes, state, group)
    elif group == RUBY or group == RT:
        if in_scope(nodes, state, T_RUBY, SCOPE):
            imply_end_tags(nodes, state, NONE if group == RUBY else T_RTC)
        insert_token(nodes, state)
    else:
        reconstruct(nodes, state)
        node = insert_token(nodes, state)
        nodes[node, IDENTITY] |= FOREIGN_NAME
        nodes[node, SPACE] = MATH_SPACE if group == MATH else SVG_SPACE
        if state[TRAITS] & SELF_CLOSING:
            pop(state)


@inlined
def _start_raw(nodes, state, group):
    if group == XMP:
        close_p(nodes, state)
        reconstruct(nodes, state)
    insert_token(nodes, state)
    if group == TEXTAREA:
        state[SKIP_NEWLINE] = 1
        state[RAW] = RCDATA
    else:
        state[RAW] = RAWTEXT
    if group != NOEMBED:
        state[FRAMESET_OK] = 0


@inlined
def _start_select(nodes, state, group):
    inside = in_scope(nodes, state, T_SELECT, SCOPE)
    if group == SELECT:
        if inside:
            pop_until(nodes, state, T_SELECT)
            return
        state[FRAMESET_OK] = 0
    elif inside:
        imply_end_tags(nodes, state, T_OPTGROUP if group == OPTION else NONE)
    elif is_html(nodes, current(state), T_OPTION):
        pop(state)
    reconstruct(nodes, state)
    insert_token(nodes, state)


@small_kernel
def end_in_body(nodes, state):
    """An end tag, except those of template, body and html."""
    apart()
    tag = state[TAG]
    rules = RULES[tag]
    if tag == T_P:
        if not in_scope(nodes, state, T_P, BUTTON_SCOPE):
            insert_bare(nodes, state, T_P)
        close_p(nodes, state)
    elif rules & BLOCK_END:
        _close_in_scope(nodes, state, SCOPE)
    elif rules & FORMATS:
        if not adopt(nodes, state, state[NAME]):
            close_other(nodes, state, state[NAME])
    elif tag == T_LI:
        _close_in_scope(nodes, state, LIST_SCOPE)
    elif rules & HEADING:
        _close_heading(nodes, state)
    elif tag == T_DD or tag == T_DT:
        _close_in_scope(nodes, state, SCOPE)
    elif tag == T_FORM:
        _close_form(nodes, state)
    elif tag == T_APPLET or tag == T_MARQUEE or tag == T_OBJECT:
        if in_scope(nodes, state, tag, SCOPE):
            imply_end_tags(nodes, state, NONE)
            pop_until(nodes, state, tag)
            clear_to_marker(state)
    elif tag == T_BR:
        reconstruct(nodes, state)
        insert_bare(nodes, state, T_BR)
        pop(state)
        state[FRAMESET_OK] = 0
    else:
        close_other(nodes, state, state[NAME])


@small_kernel
def _close_in_scope(nodes, state, border):
    """Close the element of the end tag, if it is in scope, and all that was opened in it."""
    apart()
    name = state[NAME]
    if in_scope(nodes, state, name, border):
        pop_until(nodes, state, name)


@inlined
def _close_heading(nodes, state):
    """Any heading in scope is closed by the end tag of any."""
    for place in range(state[DEPTH] - 1, 0, -1):
        rules = rules_of(nodes, state[STACK + place])
        state[STEPS] += 1
        if rules & HEADING:
            state[DEPTH] = place
            return
        if rules & SCOPE:
            return


@inlined
def _close_form(nodes, state):
    if open_count(nodes, state, T_TEMPLATE):
        _close_in_scope(nodes, state, SCOPE)
        return
    node = state[FORM_NODE]
    state[FORM_NODE] = NONE
    if node == NONE or not node_in_scope(nodes, state, node):
        return
    imply_end_tags(nodes, state, NONE)
    remove_from_stack(state, place_in_stack(state, node))
