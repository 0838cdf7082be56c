"""Names of elements and attributes that the parser knows, and what the standard says of each.

From the HTML standard (https://html.spec.whatwg.org/, sections 12.1, 13.2 and 15.3) as of 2026, with the parsing of
`select` that it has had since 2025.
"""

from __future__ import annotations

_NAMES = """
html head body title meta link base basefont bgsound script style noscript template noframes noembed frameset frame
svg math iframe textarea xmp plaintext listing select option optgroup button form fieldset legend label input keygen
datalist output progress meter img image br hr wbr area col embed param source track a b i u em strong span small big
font code tt nobr s strike pre p h1 h2 h3 h4 h5 h6 div section article main aside header footer nav search ul ol li
dir menu dl dt dd table caption thead tbody tfoot tr td th colgroup figure figcaption blockquote address details
summary dialog center hgroup video audio canvas object applet marquee picture map time cite sup sub abbr acronym q del
ins mark kbd samp var dfn bdo bdi data ruby rb rt rp rtc slot menuitem
mi mo mn ms mtext annotation-xml annotation mglyph malignmark foreignobject desc
"""

TAGS = ("", "-", *_NAMES.split())
"""Names of elements that have a number, their position: 0 is any other name, CUSTOM (1) any other with a hyphen."""
UNKNOWN, CUSTOM = 0, 1
TAG_IDS = {name: position for position, name in enumerate(TAGS) if position > CUSTOM}

FLAGS = (
    *("nav", "header", "footer", "aside", "article", "main", "form", "list", "table", "figure", "blockquote"),
    *(
        "pre",
        "button",
        "select",
        "dialog",
        "hidden",
        "noscript",
        "heading",
        "p",
        "li",
        "link",
        "section",
        "dl",
    ),
    *("label", "code", "aria_hidden", "details", "media"),
)
"""What an element hands down to all below it; bit i is FLAGS[i]. `hidden`: the attribute, or `display: none` or
`visibility: hidden` in its style; `media`: the contents of video, audio, canvas and object."""

_ATTRIBUTES = """
class id role itemprop itemtype itemscope style hidden aria-hidden aria-label data-testid property name content type
href src alt title lang xml:lang datetime rel charset http-equiv encoding color face size colspan rowspan open start
value
"""
ATTRIBUTES = tuple(_ATTRIBUTES.split())
"""Names of attributes that are kept; their number is their position."""
ATTRIBUTE_IDS = {name: position for position, name in enumerate(ATTRIBUTES)}

TOKEN_SEED, TOKEN_PRIME, TOKEN_SALT = 2166136261, 16777619, 0x9E3779B1


def token_hash(token: str, kind: int) -> int:
    """The hash of a lower-case part of an attribute value: FNV-1a, 32 bits, salted with the kind of token."""
    value = (TOKEN_SEED ^ (kind * TOKEN_SALT)) & 0xFFFFFFFF
    for byte in token.encode():
        value = ((value ^ byte) * TOKEN_PRIME) & 0xFFFFFFFF
    return value
