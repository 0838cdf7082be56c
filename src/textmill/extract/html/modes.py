"""Tree construction outside the body, in tables, templates and framesets, and in SVG and MathML.

`process` is what the tokeniser calls with each token (section 13.2.6 of the standard). The kernel of a mode returns
False where the standard says "reprocess the token".
"""

# Kernels have no annotations: Numba infers their types.
# mypy: allow-untyped-defs, no-check-untyped-defs

from __future__ import annotations

from textmill.extract.html.body import (
    GROUPS,
    HEADISH,
    TABLE_PART,
    end_in_body,
    start_in_body,
    text_in_body,
)
from textmill.extract.html.formatting import add_marker, clear_to_marker
from textmill.extract.html.nodes import (
    AFTER_AFTER_BODY,
    AFTER_AFTER_FRAMESET,
    AFTER_BODY,
    AFTER_FRAMESET,
    AFTER_HEAD,
    BEFORE_HEAD,
    BEFORE_HTML,
    BREAKOUT,
    DEPTH,
    DOCTYPE,
    END_OF_FILE,
    END_TAG,
    FONT_STYLE,
    FOREIGN,
    FOREIGN_BORDER,
    FOREIGN_NAME,
    FORM_NODE,
    FOSTERED,
    FOSTERING,
    FRAMESET_OK,
    HEAD_NODE,
    HTML_ENCODING,
    HTML_POINT,
    IDENTITY,
    IMPLIED_ALL,
    IN_BODY,
    IN_CAPTION,
    IN_CELL,
    IN_COLUMN_GROUP,
    IN_FRAMESET,
    IN_HEAD,
    IN_HEAD_NOSCRIPT,
    IN_ROW,
    IN_TABLE,
    IN_TABLE_BODY,
    IN_TEMPLATE,
    INITIAL,
    KIND,
    MATH_SPACE,
    MATH_TEXT_POINT,
    MAX_TEMPLATES,
    MODE,
    NAME,
    NONE,
    QUIRKS,
    RAW,
    RAWTEXT,
    RCDATA,
    RULES,
    SCOPE,
    SCRIPT_DATA,
    SELF_CLOSING,
    SPACE,
    STACK,
    START_TAG,
    STEPS,
    STOPPED,
    SVG_SPACE,
    T_BODY,
    T_HEAD,
    T_HTML,
    T_TABLE,
    T_TEMPLATE,
    TABLE_SCOPE,
    TAG,
    TEMPLATE_COUNT,
    TEMPLATES,
    TEXT,
    TEXT_TOKEN,
    TOKEN,
    TOKEN_END,
    TOKEN_SPACE,
    TOKEN_START,
    TRAITS,
    TYPE_HIDDEN,
    current,
    imply_end_tags,
    in_scope,
    insert_bare,
    insert_text,
    insert_token,
    is_html,
    open_count,
    place_in_stack,
    pop,
    pop_until,
    push,
    remove_from_stack,
    rules_of,
)
from textmill.extract.names import TAG_IDS
from textmill.text.compilation import apart, inlined, small_kernel

(T_TITLE, T_NOSCRIPT, T_SCRIPT, T_NOFRAMES, T_STYLE, T_BASEFONT, T_BGSOUND, T_LINK, T_META, T_BASE) = (
    TAG_IDS[_name]
    for _name in [
        "title",
        "noscript",
        "script",
        "noframes",
        "style",
        "basefont",
        "bgsound",
        "link",
        "meta",
        "base",
    ]
)
(T_CAPTION, T_COLGROUP, T_COL, T_TBODY, T_THEAD, T_TFOOT, T_TR, T_TD, T_TH) = (
    TAG_IDS[_name] for _name in ["caption", "colgroup", "col", "tbody", "thead", "tfoot", "tr", "td", "th"]
)
(T_BR, T_P, T_FRAMESET, T_FRAME, T_INPUT, T_FORM, T_SVG, T_MATH, T_FONT) = (
    TAG_IDS[_name] for _name in ["br", "p", "frameset", "frame", "input", "form", "svg", "math", "font"]
)
(T_MI, T_MO, T_MN, T_MS, T_MTEXT, T_ANNOTATION_XML, T_MGLYPH, T_MALIGNMARK, T_FOREIGN_OBJECT, T_DESC) = (
    TAG_IDS[_name]
    for _name in [
        "mi",
        "mo",
        "mn",
        "ms",
        "mtext",
        "annotation-xml",
        "mglyph",
        "malignmark",
        "foreignobject",
        "desc",
    ]
)


@small_kernel
def process(nodes, state):
    """Give the token at hand to the rules that apply (the tree construction dispatcher)."""
    apart()
    if not _is_foreign(nodes, state) or not in_foreign(nodes, state):
        while not _by_mode(nodes, state):
            state[STEPS] += 1


@small_kernel
def _by_mode(nodes, state):
    apart()
    mode = state[MODE]
    if mode == IN_BODY:
        return in_body(nodes, state)
    if mode == IN_CELL:
        return in_cell(nodes, state)
    if mode == IN_TABLE:
        return in_table(nodes, state)
    if mode == IN_ROW:
        return in_row(nodes, state)
    if mode == IN_TABLE_BODY:
        return in_table_body(nodes, state)
    if mode <= AFTER_HEAD:
        return _before_body(nodes, state, mode)
    if mode == IN_CAPTION:
        return in_caption(nodes, state)
    if mode == IN_COLUMN_GROUP:
        return in_column_group(nodes, state)
    if mode == IN_TEMPLATE:
        return in_template(nodes, state)
    if mode == IN_FRAMESET or mode == AFTER_FRAMESET or mode == AFTER_AFTER_FRAMESET:
        return in_frameset(nodes, state)
    return after_body(nodes, state)


@small_kernel
def in_body(nodes, state):
    """The body; always consumes the token, except the end tag of html."""
    apart()
    token = state[TOKEN]
    if token == TEXT_TOKEN:
        text_in_body(nodes, state)
    elif token == START_TAG:
        if GROUPS[state[TAG]] == HEADISH:
            return in_head(nodes, state)
        start_in_body(nodes, state)
    elif token == END_TAG:
        tag = state[TAG]
        if tag == T_TEMPLATE:
            return in_head(nodes, state)
        if tag == T_BODY or tag == T_HTML:
            if in_scope(nodes, state, T_BODY, SCOPE):
                state[MODE] = AFTER_BODY
                return tag == T_BODY
        else:
            end_in_body(nodes, state)
    elif token == END_OF_FILE:
        return _end_of_page(nodes, state)
    return True


@small_kernel
def _end_of_page(nodes, state):
    """Stop; templates that are still open are closed first, one for each time the token is processed."""
    apart()
    if state[TEMPLATE_COUNT] == 0 or not open_count(nodes, state, T_TEMPLATE):
        state[STOPPED] = 1
        return True
    _close_template(nodes, state)
    return False


@small_kernel
def _before_body(nodes, state, mode):
    """From the beginning of a page to where its body opens."""
    apart()
    if state[TOKEN] == DOCTYPE:
        if mode == INITIAL:
            state[MODE] = BEFORE_HTML
        return True
    if mode == IN_HEAD:
        return in_head(nodes, state)
    if mode == IN_HEAD_NOSCRIPT:
        return in_head_noscript(nodes, state)
    if mode == AFTER_HEAD:
        return after_head(nodes, state)
    if state[TOKEN] == TEXT_TOKEN:
        state[TOKEN_START] = state[TOKEN_SPACE]
        if state[TOKEN_START] == state[TOKEN_END]:
            return True
    if mode == INITIAL:
        state[QUIRKS] = 1
        state[MODE] = BEFORE_HTML
        return False
    tag = state[TAG]
    if state[TOKEN] == END_TAG and not (tag == T_HEAD or tag == T_BODY or tag == T_HTML or tag == T_BR):
        return True
    if mode == BEFORE_HTML:
        state[MODE] = BEFORE_HEAD
        if state[TOKEN] == START_TAG and tag == T_HTML:
            insert_token(nodes, state)
            return True
        insert_bare(nodes, state, T_HTML)
        return False
    if state[TOKEN] == START_TAG and tag == T_HTML:
        return True
    state[MODE] = IN_HEAD
    if state[TOKEN] == START_TAG and tag == T_HEAD:
        state[HEAD_NODE] = insert_token(nodes, state)
        return True
    state[HEAD_NODE] = insert_bare(nodes, state, T_HEAD)
    return False


@small_kernel
def in_head(nodes, state):
    """The head, and what belongs there wherever it stands."""
    apart()
    token, tag = state[TOKEN], state[TAG]
    if token == TEXT_TOKEN:
        _insert_space(nodes, state)
        if state[TOKEN_START] == state[TOKEN_END]:
            return True
    elif token == START_TAG:
        if tag == T_HTML or tag == T_HEAD:
            return True
        if GROUPS[tag] == HEADISH:
            insert_token(nodes, state)
            if tag == T_TITLE:
                state[RAW] = RCDATA
            elif tag == T_SCRIPT:
                state[RAW] = SCRIPT_DATA
            elif tag == T_STYLE or tag == T_NOFRAMES:
                state[RAW] = RAWTEXT
            elif tag == T_TEMPLATE:
                add_marker(state)
                state[FRAMESET_OK] = 0
                state[MODE] = IN_TEMPLATE
                _push_template_mode(state, IN_TEMPLATE)
            else:
                pop(state)
            return True
        if tag == T_NOSCRIPT:
            insert_token(nodes, state)
            state[MODE] = IN_HEAD_NOSCRIPT
            return True
    elif token == END_TAG:
        if tag == T_TEMPLATE:
            if open_count(nodes, state, T_TEMPLATE):
                while state[DEPTH] > 1 and rules_of(nodes, current(state)) & IMPLIED_ALL:
                    state[DEPTH] -= 1
                _close_template(nodes, state)
            return True
        if tag == T_HEAD:
            pop(state)
            state[MODE] = AFTER_HEAD
            return True
        if not (tag == T_BODY or tag == T_HTML or tag == T_BR):
            return True
    pop(state)
    state[MODE] = AFTER_HEAD
    return False


@small_kernel
def _insert_space(nodes, state):
    """Insert the white space that a text begins with, and leave the rest."""
    apart()
    insert_text(nodes, state, state[TOKEN_START], state[TOKEN_SPACE], TEXT)
    state[TOKEN_START] = state[TOKEN_SPACE]


@inlined
def _push_template_mode(state, mode):
    if state[TEMPLATE_COUNT] < MAX_TEMPLATES:
        state[TEMPLATES + state[TEMPLATE_COUNT]] = mode
        state[TEMPLATE_COUNT] += 1


@small_kernel
def _set_template_mode(state, mode):
    """Another mode for the template that was opened last."""
    apart()
    if state[TEMPLATE_COUNT] > 0:
        state[TEMPLATES + state[TEMPLATE_COUNT] - 1] = mode
    state[MODE] = mode


@small_kernel
def _close_template(nodes, state):
    apart()
    pop_until(nodes, state, T_TEMPLATE)
    clear_to_marker(state)
    if state[TEMPLATE_COUNT] > 0:
        state[TEMPLATE_COUNT] -= 1
    reset_mode(nodes, state)


@inlined
def in_head_noscript(nodes, state):
    """`noscript` in the head, without scripting."""
    token, tag = state[TOKEN], state[TAG]
    if token == TEXT_TOKEN:
        _insert_space(nodes, state)
        if state[TOKEN_START] == state[TOKEN_END]:
            return True
    elif token == START_TAG:
        if tag == T_HTML or tag == T_HEAD or tag == T_NOSCRIPT:
            return True
        if (
            tag == T_BASEFONT
            or tag == T_BGSOUND
            or tag == T_LINK
            or tag == T_META
            or tag == T_NOFRAMES
            or tag == T_STYLE
        ):
            return in_head(nodes, state)
    elif token == END_TAG:
        if tag == T_NOSCRIPT:
            pop(state)
            state[MODE] = IN_HEAD
            return True
        if tag != T_BR:
            return True
    pop(state)
    state[MODE] = IN_HEAD
    return False


@inlined
def after_head(nodes, state):
    """Between head and body."""
    token, tag = state[TOKEN], state[TAG]
    if token == TEXT_TOKEN:
        _insert_space(nodes, state)
        if state[TOKEN_START] == state[TOKEN_END]:
            return True
    elif token == START_TAG:
        if tag == T_HTML or tag == T_HEAD:
            return True
        if tag == T_BODY:
            insert_token(nodes, state)
            state[FRAMESET_OK] = 0
            state[MODE] = IN_BODY
            return True
        if tag == T_FRAMESET:
            insert_token(nodes, state)
            state[MODE] = IN_FRAMESET
            return True
        if GROUPS[tag] == HEADISH:
            head = state[HEAD_NODE]
            push(state, head)
            in_head(nodes, state)
            place = place_in_stack(state, head)
            if place >= 0:
                remove_from_stack(state, place)
            return True
    elif token == END_TAG:
        if tag == T_TEMPLATE:
            return in_head(nodes, state)
        if not (tag == T_BODY or tag == T_HTML or tag == T_BR):
            return True
    insert_bare(nodes, state, T_BODY)
    state[MODE] = IN_BODY
    return False


@inlined
def after_body(nodes, state):
    """Behind `</body>` and `</html>`: what still comes belongs into the body."""
    token, tag = state[TOKEN], state[TAG]
    if token == TEXT_TOKEN and state[TOKEN_SPACE] == state[TOKEN_END]:
        return in_body(nodes, state)
    if token == END_OF_FILE:
        state[STOPPED] = 1
        return True
    if token == DOCTYPE or (token == START_TAG and tag == T_HTML):
        return True
    if token == END_TAG and tag == T_HTML and state[MODE] == AFTER_BODY:
        state[MODE] = AFTER_AFTER_BODY
        return True
    state[MODE] = IN_BODY
    return False


@inlined
def in_frameset(nodes, state):
    """Framesets, and behind them: nothing but frames, and noframes."""
    token, tag, mode = state[TOKEN], state[TAG], state[MODE]
    if token == END_OF_FILE:
        state[STOPPED] = 1
    elif token == TEXT_TOKEN:
        _insert_space(nodes, state)
    elif token == START_TAG:
        if tag == T_NOFRAMES:
            return in_head(nodes, state)
        if mode == IN_FRAMESET and (tag == T_FRAMESET or tag == T_FRAME):
            insert_token(nodes, state)
            if tag == T_FRAME:
                pop(state)
    elif token == END_TAG:
        if mode == IN_FRAMESET and tag == T_FRAMESET:
            pop(state)
            if not is_html(nodes, current(state), T_FRAMESET):
                state[MODE] = AFTER_FRAMESET
        elif mode == AFTER_FRAMESET and tag == T_HTML:
            state[MODE] = AFTER_AFTER_FRAMESET
    return True


@small_kernel
def reset_mode(nodes, state):
    """The mode that fits the elements that are open (reset the insertion mode appropriately)."""
    apart()
    for place in range(state[DEPTH] - 1, -1, -1):
        node = state[STACK + place]
        state[STEPS] += 1
        name = nodes[node, IDENTITY]
        mode = -1
        if (name == T_TD or name == T_TH) and place > 0:
            mode = IN_CELL
        elif name == T_TR:
            mode = IN_ROW
        elif name == T_TBODY or name == T_THEAD or name == T_TFOOT:
            mode = IN_TABLE_BODY
        elif name == T_CAPTION:
            mode = IN_CAPTION
        elif name == T_COLGROUP:
            mode = IN_COLUMN_GROUP
        elif name == T_TABLE:
            mode = IN_TABLE
        elif name == T_TEMPLATE:
            mode = IN_TEMPLATE
            if state[TEMPLATE_COUNT] > 0:
                mode = state[TEMPLATES + state[TEMPLATE_COUNT] - 1]
        elif name == T_HEAD and place > 0:
            mode = IN_HEAD
        elif name == T_BODY:
            mode = IN_BODY
        elif name == T_FRAMESET:
            mode = IN_FRAMESET
        elif name == T_HTML:
            mode = BEFORE_HEAD if state[HEAD_NODE] == NONE else AFTER_HEAD
        if mode >= 0:
            state[MODE] = mode
            return
    state[MODE] = IN_BODY


@small_kernel
def _clear_to(nodes, state, first, second, third):
    """Close elements down to one of these numbers, a template or the root (clear the stack back to a context)."""
    apart()
    while state[DEPTH] > 1:
        name = nodes[current(state), IDENTITY]
        if name == first or name == second or name == third or name == T_TEMPLATE:
            break
        state[STEPS] += 1
        state[DEPTH] -= 1


@small_kernel
def in_table(nodes, state):
    """Directly in a table; what does not belong there goes before it."""
    apart()
    token, tag = state[TOKEN], state[TAG]
    if token == TEXT_TOKEN:
        inside = rules_of(nodes, current(state)) & FOSTERED != 0 or is_html(nodes, current(state), T_TEMPLATE)
        if inside and state[TOKEN_SPACE] == state[TOKEN_END]:
            insert_text(nodes, state, state[TOKEN_START], state[TOKEN_END], TEXT)
            return True
    elif token == START_TAG:
        if GROUPS[tag] == TABLE_PART and not (tag == T_HEAD or tag == T_FRAME):
            return _start_table_part(nodes, state, tag)
        if tag == T_TABLE:
            if not in_scope(nodes, state, T_TABLE, TABLE_SCOPE):
                return True
            pop_until(nodes, state, T_TABLE)
            reset_mode(nodes, state)
            return False
        if tag == T_STYLE or tag == T_SCRIPT or tag == T_TEMPLATE:
            return in_head(nodes, state)
        if tag == T_INPUT and state[TRAITS] & TYPE_HIDDEN:
            insert_token(nodes, state)
            pop(state)
            return True
        if tag == T_FORM:
            if not open_count(nodes, state, T_TEMPLATE) and state[FORM_NODE] == NONE:
                state[FORM_NODE] = insert_token(nodes, state)
                pop(state)
            return True
    elif token == END_TAG:
        if tag == T_TABLE:
            if in_scope(nodes, state, T_TABLE, TABLE_SCOPE):
                pop_until(nodes, state, T_TABLE)
                reset_mode(nodes, state)
            return True
        if tag == T_TEMPLATE:
            return in_head(nodes, state)
        if _ends_above(tag) or _is_row_group(tag) or tag == T_TR or tag == T_TD or tag == T_TH:
            return True
    elif token == DOCTYPE:
        return True
    if token == END_OF_FILE:
        return in_body(nodes, state)
    state[FOSTERING] = 1
    done = in_body(nodes, state)
    state[FOSTERING] = 0
    return done


@inlined
def _start_table_part(nodes, state, tag):
    _clear_to(nodes, state, T_TABLE, T_TABLE, T_TABLE)
    if tag == T_CAPTION:
        add_marker(state)
        insert_token(nodes, state)
        state[MODE] = IN_CAPTION
    elif tag == T_COLGROUP:
        insert_token(nodes, state)
        state[MODE] = IN_COLUMN_GROUP
    elif tag == T_COL:
        insert_bare(nodes, state, T_COLGROUP)
        state[MODE] = IN_COLUMN_GROUP
        return False
    elif _is_row_group(tag):
        insert_token(nodes, state)
        state[MODE] = IN_TABLE_BODY
    else:
        insert_bare(nodes, state, T_TBODY)
        state[MODE] = IN_TABLE_BODY
        return False
    return True


@small_kernel
def _is_row_group(tag):
    return tag == T_TBODY or tag == T_THEAD or tag == T_TFOOT


@small_kernel
def _ends_above(tag):
    """End tags that mean nothing inside a table: body, caption, col, colgroup, html."""
    return tag == T_BODY or tag == T_CAPTION or tag == T_COL or tag == T_COLGROUP or tag == T_HTML


@small_kernel
def _opens_part(state):
    """Whether the token is the start tag of a part of a table."""
    tag = state[TAG]
    return state[TOKEN] == START_TAG and GROUPS[tag] == TABLE_PART and tag != T_HEAD and tag != T_FRAME


@inlined
def in_caption(nodes, state):
    """A caption of a table."""
    token, tag = state[TOKEN], state[TAG]
    own = token == END_TAG and tag == T_CAPTION
    if own or _opens_part(state) or (token == END_TAG and tag == T_TABLE):
        if not in_scope(nodes, state, T_CAPTION, TABLE_SCOPE):
            return True
        imply_end_tags(nodes, state, NONE)
        pop_until(nodes, state, T_CAPTION)
        clear_to_marker(state)
        state[MODE] = IN_TABLE
        return own
    if token == END_TAG and (
        _ends_above(tag) or _is_row_group(tag) or tag == T_TR or tag == T_TD or tag == T_TH
    ):
        return True
    return in_body(nodes, state)


@inlined
def in_column_group(nodes, state):
    """A group of columns."""
    token, tag = state[TOKEN], state[TAG]
    if token == TEXT_TOKEN:
        _insert_space(nodes, state)
        if state[TOKEN_START] == state[TOKEN_END]:
            return True
    elif token == START_TAG:
        if tag == T_HTML:
            return True
        if tag == T_COL:
            insert_token(nodes, state)
            pop(state)
            return True
        if tag == T_TEMPLATE:
            return in_head(nodes, state)
    elif token == END_TAG:
        if tag == T_COL:
            return True
        if tag == T_TEMPLATE:
            return in_head(nodes, state)
    elif token == END_OF_FILE:
        return in_body(nodes, state)
    elif token == DOCTYPE:
        return True
    if not is_html(nodes, current(state), T_COLGROUP):
        return True
    pop(state)
    state[MODE] = IN_TABLE
    return token == END_TAG and tag == T_COLGROUP


@small_kernel
def in_table_body(nodes, state):
    """A group of rows."""
    apart()
    token, tag = state[TOKEN], state[TAG]
    if token == START_TAG and (tag == T_TR or tag == T_TD or tag == T_TH):
        _clear_to(nodes, state, T_TBODY, T_THEAD, T_TFOOT)
        state[MODE] = IN_ROW
        if tag == T_TR:
            insert_token(nodes, state)
            return True
        insert_bare(nodes, state, T_TR)
        return False
    if token == END_TAG and _is_row_group(tag):
        if in_scope(nodes, state, tag, TABLE_SCOPE):
            _clear_to(nodes, state, T_TBODY, T_THEAD, T_TFOOT)
            pop(state)
            state[MODE] = IN_TABLE
        return True
    if _opens_part(state) or (token == END_TAG and tag == T_TABLE):
        if not (
            in_scope(nodes, state, T_TBODY, TABLE_SCOPE)
            or in_scope(nodes, state, T_THEAD, TABLE_SCOPE)
            or in_scope(nodes, state, T_TFOOT, TABLE_SCOPE)
        ):
            return True
        _clear_to(nodes, state, T_TBODY, T_THEAD, T_TFOOT)
        pop(state)
        state[MODE] = IN_TABLE
        return False
    if token == END_TAG and (_ends_above(tag) or tag == T_TR or tag == T_TD or tag == T_TH):
        return True
    return in_table(nodes, state)


@small_kernel
def in_row(nodes, state):
    """A row of a table."""
    apart()
    token, tag = state[TOKEN], state[TAG]
    if token == START_TAG and (tag == T_TD or tag == T_TH):
        _clear_to(nodes, state, T_TR, T_TR, T_TR)
        insert_token(nodes, state)
        state[MODE] = IN_CELL
        add_marker(state)
        return True
    own = token == END_TAG and tag == T_TR
    ends_group = token == END_TAG and _is_row_group(tag)
    if own or ends_group or _opens_part(state) or (token == END_TAG and tag == T_TABLE):
        if ends_group and not in_scope(nodes, state, tag, TABLE_SCOPE):
            return True
        if not in_scope(nodes, state, T_TR, TABLE_SCOPE):
            return True
        _clear_to(nodes, state, T_TR, T_TR, T_TR)
        pop(state)
        state[MODE] = IN_TABLE_BODY
        return own
    if token == END_TAG and (_ends_above(tag) or tag == T_TD or tag == T_TH):
        return True
    return in_table(nodes, state)


@small_kernel
def in_cell(nodes, state):
    """A cell of a table."""
    apart()
    token, tag = state[TOKEN], state[TAG]
    if token == END_TAG:
        if tag == T_TD or tag == T_TH:
            if in_scope(nodes, state, tag, TABLE_SCOPE):
                imply_end_tags(nodes, state, NONE)
                pop_until(nodes, state, tag)
                clear_to_marker(state)
                state[MODE] = IN_ROW
            return True
        if _ends_above(tag):
            return True
        if tag == T_TABLE or tag == T_TR or _is_row_group(tag):
            if not in_scope(nodes, state, tag, TABLE_SCOPE):
                return True
            _close_cell(nodes, state)
            return False
    elif _opens_part(state):
        _close_cell(nodes, state)
        return False
    return in_body(nodes, state)


@small_kernel
def _close_cell(nodes, state):
    apart()
    imply_end_tags(nodes, state, NONE)
    while state[DEPTH] > 1:
        name = nodes[current(state), IDENTITY]
        state[STEPS] += 1
        state[DEPTH] -= 1
        if name == T_TD or name == T_TH:
            break
    clear_to_marker(state)
    state[MODE] = IN_ROW


@inlined
def in_template(nodes, state):
    """The contents of a template: the first tag decides what they are part of."""
    token, tag = state[TOKEN], state[TAG]
    if token == START_TAG:
        if GROUPS[tag] == HEADISH:
            return in_head(nodes, state)
        if tag == T_CAPTION or tag == T_COLGROUP or _is_row_group(tag):
            _set_template_mode(state, IN_TABLE)
        elif tag == T_COL:
            _set_template_mode(state, IN_COLUMN_GROUP)
        elif tag == T_TR:
            _set_template_mode(state, IN_TABLE_BODY)
        elif tag == T_TD or tag == T_TH:
            _set_template_mode(state, IN_ROW)
        else:
            _set_template_mode(state, IN_BODY)
        return False
    if token == END_TAG:
        return in_head(nodes, state) if tag == T_TEMPLATE else True
    if token == END_OF_FILE:
        return _end_of_page(nodes, state)
    if token == TEXT_TOKEN:
        return in_body(nodes, state)
    return True


@inlined
def _is_foreign(nodes, state):
    """Whether the token goes by the rules for SVG and MathML."""
    if state[DEPTH] == 0:
        return False
    node = current(state)
    space = nodes[node, SPACE]
    if space == 0 or state[TOKEN] == END_OF_FILE:
        return False
    token, tag = state[TOKEN], state[TAG]
    if space & MATH_TEXT_POINT and (
        token == TEXT_TOKEN or (token == START_TAG and tag != T_MGLYPH and tag != T_MALIGNMARK)
    ):
        return False
    if space & HTML_POINT and (token == TEXT_TOKEN or token == START_TAG):
        return False
    return not (
        space & MATH_SPACE != 0
        and token == START_TAG
        and tag == T_SVG
        and nodes[node, IDENTITY] == T_ANNOTATION_XML | FOREIGN_NAME
    )


@small_kernel
def in_foreign(nodes, state):
    """In SVG or MathML; False if the token belongs to HTML after all."""
    apart()
    token, tag = state[TOKEN], state[TAG]
    if token == TEXT_TOKEN:
        insert_text(nodes, state, state[TOKEN_START], state[TOKEN_END], TEXT)
        if state[TOKEN_SPACE] < state[TOKEN_END]:
            state[FRAMESET_OK] = 0
        return True
    if token == DOCTYPE:
        return True
    if token == START_TAG:
        if RULES[tag] & BREAKOUT or (tag == T_FONT and state[TRAITS] & FONT_STYLE):
            _leave_foreign(nodes, state)
            return False
        _start_foreign(nodes, state)
        return True
    if tag == T_BR or tag == T_P:
        _leave_foreign(nodes, state)
        return False
    wanted = state[NAME] | FOREIGN_NAME
    for place in range(state[DEPTH] - 1, 0, -1):
        node = state[STACK + place]
        state[STEPS] += 1
        if nodes[node, SPACE] == 0:
            return False
        if nodes[node, IDENTITY] == wanted:
            state[DEPTH] = place
            return True
    return True


@small_kernel
def _leave_foreign(nodes, state):
    apart()
    while state[DEPTH] > 1:
        space = nodes[current(state), SPACE]
        if space == 0 or space & (MATH_TEXT_POINT | HTML_POINT):
            break
        state[STEPS] += 1
        state[DEPTH] -= 1


@inlined
def _start_foreign(nodes, state):
    """An element of SVG or MathML, as the one it stands in; some of them may hold HTML."""
    tag = state[TAG]
    space = nodes[current(state), SPACE] & (SVG_SPACE | MATH_SPACE)
    points = 0
    if space == SVG_SPACE:
        if tag == T_FOREIGN_OBJECT or tag == T_DESC or tag == T_TITLE:
            points = HTML_POINT
        border = points != 0
    else:
        border = tag == T_ANNOTATION_XML
        if tag == T_MI or tag == T_MO or tag == T_MN or tag == T_MS or tag == T_MTEXT:
            points = MATH_TEXT_POINT
            border = True
        elif border and state[TRAITS] & HTML_ENCODING:
            points = HTML_POINT
    node = insert_token(nodes, state)
    nodes[node, KIND] = FOREIGN_BORDER if border else FOREIGN
    nodes[node, IDENTITY] |= FOREIGN_NAME
    nodes[node, SPACE] = space | points
    if state[TRAITS] & SELF_CLOSING:
        pop(state)
