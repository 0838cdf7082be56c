"""The extractors that textmill is compared with, those of them that are installed."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable


def peers() -> dict[str, Callable[[bytes], str]]:
    """Functions from the bytes of a page (UTF-8) to its main text, by name."""
    found: dict[str, Callable[[bytes], str]] = {}
    if importlib.util.find_spec("resiliparse"):
        found["resiliparse"] = _resiliparse()
    if importlib.util.find_spec("trafilatura"):
        found["trafilatura fast"] = _trafilatura(fast=True)
        found["trafilatura"] = _trafilatura(fast=False)
    return found


def _resiliparse() -> Callable[[bytes], str]:
    from resiliparse.extract.html2text import extract_plain_text

    def extract(html: bytes) -> str:
        text: str = extract_plain_text(html.decode("utf-8", "replace"), main_content=True, alt_texts=False)
        return text

    return extract


def _trafilatura(fast: bool) -> Callable[[bytes], str]:
    import trafilatura

    def extract(html: bytes) -> str:
        return trafilatura.extract(html.decode("utf-8", "replace"), fast=fast) or ""

    return extract
