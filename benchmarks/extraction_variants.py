"""Pages changed so that what a classifier may have learned by heart is gone.

Names of classes and ids are those of the sites it was trained on, or of the frameworks that are common among them; a
site of tomorrow has others.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable

_NAMES = re.compile(
    rb"""(\s(?:class|id|role|itemprop|itemtype|data-testid|aria-label)\s*=\s*)("[^"]*"|'[^']*'|[^\s>"']+)""",
    re.I,
)


def without_names(html: bytes) -> bytes:
    """The page without classes, ids, roles and the like."""
    return _NAMES.sub(b"", html)


def renamed(html: bytes) -> bytes:
    """The page with every class, id, role and the like replaced by letters that mean nothing, equal ones by equal."""

    def other(match: re.Match[bytes]) -> bytes:
        digest = hashlib.md5(match[2]).hexdigest().translate(str.maketrans("0123456789", "ghijklmnop"))
        return match[1] + b'"' + digest[:8].encode() + b'"'

    return _NAMES.sub(other, html)


def without_landmarks(html: bytes) -> bytes:
    """The page with `div` for `main`, `article`, `nav`, `aside`, `header`, `footer` and `section`."""
    return re.sub(rb"<(/?)(?:main|article|nav|aside|header|footer|section)\b", rb"<\1div", html, flags=re.I)


VARIANTS: dict[str, Callable[[bytes], bytes]] = {
    "names removed": without_names,
    "names replaced": renamed,
    "landmarks removed": without_landmarks,
}
