"""Which documents are HTML pages: what their metadata says, else what they begin with."""

from __future__ import annotations

import json
import re
from typing import Any

PAGE_TYPES = frozenset(("text/html", "application/xhtml+xml", "application/vnd.wap.xhtml+xml"))
HEAD = 2048
"""Characters looked at where nothing is said."""


def metadata_of(stored: str | None) -> dict[str, Any]:
    """A document's metadata; what is no JSON object says nothing."""
    if not stored:
        return {}
    try:
        content = json.loads(stored)
    except (ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def is_page(text: str, metadata: dict[str, Any]) -> bool:
    """Whether a document is an HTML page that has not been extracted yet.

    ``media_type`` or ``content_type`` in its metadata decide (sources ``warc`` and ``crawl`` write them). Without them
    a document is a page if it begins as one: with a doctype, with ``html``, ``head`` or ``body``, with a comment or an
    XML declaration and one of these, or with another tag of a page's structure that is closed within the first 2,048
    characters or is followed by more tags.

    >>> is_page("<!doctype html><p>Hello", {}), is_page("1 < 2, they say.", {})
    (True, False)
    >>> is_page("<p>Hello</p>", {"media_type": "text/plain"})
    False
    """
    if "extracted" in metadata:
        return False
    for name in ("media_type", "content_type"):
        stated = metadata.get(name)
        if isinstance(stated, str) and stated.strip():
            return stated.partition(";")[0].strip().lower() in PAGE_TYPES
    head = text[:HEAD].lstrip("\ufeff \t\r\n\f")
    if not head.startswith("<"):
        return False
    return _ROOT.match(head) is not None or _FRAGMENT.match(head) is not None


_MISC = r"(?:<!--(?:[^-]|-(?!->))*+-->\s*|<\?xml[^>]*>\s*)*+"
_ROOT = re.compile(_MISC + r"<(?:!doctype\s+html|html|head|body)\b", re.IGNORECASE)
_FRAGMENT = re.compile(
    _MISC + r"<(?P<tag>div|p|article|main|section|table|ul|ol|h[1-6]|header|nav|span|title|meta|link|script)"
    r"(?=[\s>/])[^>]*>.*?</(?:div|p|article|main|section|table|ul|ol|h[1-6]|header|nav|span|title|script|a|li|td)\s*>",
    re.IGNORECASE | re.DOTALL,
)
