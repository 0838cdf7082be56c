"""What kind of page a page is: an article, a product, a discussion, a list of links to more.

Annotators, as readers, take different things for the main text of different pages: the whole thread of a forum, but
not the comments below an article; the description of a product, but not the twenty products beside it. A linear model
over signs that a page shows guesses the type; its probabilities are features of the block classifier, which may
distrust them. Signs are parts of class names and the like, the declared types (`og:type`, JSON-LD `@type`, generator),
the parts and the shape of the page's own address where the page or the caller tells it, and words, if seen on enough
domains. A sign counts once, weighted by its rarity; their number is divided out.
"""

# Kernels have no annotations: Numba infers their types.
# mypy: allow-untyped-defs, no-check-untyped-defs

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from urllib.parse import urlsplit

import numpy as np
import numpy.typing as npt

from textmill.extract.layout import END_ATTRIBUTE, FIRST_ATTRIBUTE, NAME, TAG, VALUE_END, VALUE_START
from textmill.extract.names import ATTRIBUTE_IDS, TAG_IDS, token_hash
from textmill.extract.tree import Page
from textmill.extract.vocabulary import Slots, row_of, vocabulary_slots
from textmill.text.compilation import inner_kernel, kernel

PAGE_TYPES = ("article", "collection", "documentation", "forum", "listing", "product", "service")
"""The types of the Web Content Extraction Benchmark (https://github.com/Murrough-Foley/web-content-extraction-benchmark)."""

ADDRESS = 16
"""Kind of the tokens of an address, beside the kinds of `tree`."""
_WORD_SALT = np.uint32(0x85EBCA77)


@dataclass(frozen=True)
class PageTypeModel:
    """Multinomial logistic regression over the signs of a page.

    Attributes:
        keys: uint32[signs], hashes.
        weights: int8[signs, len(PAGE_TYPES)], in `units`, the rarity of the sign multiplied in.
        units: float32[len(PAGE_TYPES)].
        rarity: float32[signs], log of pages per page that shows the sign.
        biases: float32[len(PAGE_TYPES)].
    """

    keys: npt.NDArray[np.uint32]
    weights: npt.NDArray[np.int8]
    units: npt.NDArray[np.float32]
    rarity: npt.NDArray[np.float32]
    biases: npt.NDArray[np.float32]

    @cached_property
    def slots(self) -> Slots:
        """Where `vocabulary.row_of` finds the keys."""
        slots: Slots = vocabulary_slots(self.keys)
        return slots

    def probabilities(self, page: Page, url: str | None = None) -> npt.NDArray[np.float32]:
        """float32[len(PAGE_TYPES)], summing to 1."""
        logits: npt.NDArray[np.float64] = _logits(
            *(page.tokens, page.words, _address_hashes(page, url)),
            *(self.keys, self.slots, self.weights, self.units, self.rarity, self.biases),
        )
        odds = np.exp(logits - logits.max())
        probabilities: npt.NDArray[np.float32] = (odds / odds.sum()).astype(np.float32)
        return probabilities


@kernel
def _logits(tokens, words, address, keys, slots, weights, units, rarity, biases):
    shown = np.zeros(keys.size, np.bool_)
    sums = np.zeros(biases.size, np.int64)
    square = 0.0
    for kind, hashes in enumerate((tokens, words, address)):
        for place in range(hashes.size):
            row = row_of(keys, slots, hashes[place] ^ _WORD_SALT if kind == 1 else hashes[place])
            if row >= 0 and not shown[row]:
                shown[row] = True
                square += np.float64(rarity[row]) ** 2
                for page_type in range(biases.size):
                    sums[page_type] += weights[row, page_type]
    logits = biases.astype(np.float64)
    if square > 0:
        for page_type in range(biases.size):
            logits[page_type] += sums[page_type] * np.float64(units[page_type]) / np.sqrt(square)
    return logits


def page_signs(page: Page, url: str | None = None) -> npt.NDArray[np.uint32]:
    """uint32[n]: the signs that a page shows, repeated as they come.

    Args:
        page: a parsed page.
        url: its address, for pages that do not tell their own by `link rel=canonical` or `og:url`.
    """
    return np.concatenate((page.tokens, page.words ^ _WORD_SALT, _address_hashes(page, url)))


def _address_hashes(page: Page, url: str | None) -> npt.NDArray[np.uint32]:
    tokens = address_tokens(declared_address(page) or url or "")
    return np.array([token_hash(token, ADDRESS) for token in tokens], np.uint32)


def declared_address(page: Page) -> str | None:
    """The address that a page gives as its own."""
    start, end = _declared_address(page.data, page.elements, page.attributes)
    return page.data[start:end].tobytes().decode("utf-8", "replace") if end > start else None


@kernel
def _declared_address(data, elements, attributes):
    """Where in `data` the first address stands that a page gives as its own; (0, 0) without one."""
    for e in range(elements.shape[0]):
        if elements[e, TAG] == _LINK or elements[e, TAG] == _META:
            is_own = False
            start = end = 0
            for a in range(elements[e, FIRST_ATTRIBUTE], elements[e, END_ATTRIBUTE]):
                name = attributes[a, NAME]
                if name in (_REL, _PROPERTY):
                    wanted = _CANONICAL if name == _REL else _OG_URL
                    is_own |= _equal_folded(
                        data, attributes[a, VALUE_START], attributes[a, VALUE_END], wanted
                    )
                elif name in (_HREF, _CONTENT):
                    start, end = attributes[a, VALUE_START], attributes[a, VALUE_END]
            if is_own and end > start:
                return start, end
    return 0, 0


@inner_kernel
def _equal_folded(data, start, end, lower):
    if end - start != lower.size:
        return False
    for place in range(lower.size):
        byte = data[start + place]
        if 0x41 <= byte <= 0x5A:
            byte |= 0x20
        if byte != lower[place]:
            return False
    return True


_LINK, _META = TAG_IDS["link"], TAG_IDS["meta"]
_REL, _HREF, _PROPERTY, _CONTENT = (ATTRIBUTE_IDS[name] for name in ("rel", "href", "property", "content"))
_CANONICAL = np.frombuffer(b"canonical", np.uint8)
_OG_URL = np.frombuffer(b"og:url", np.uint8)


def address_tokens(address: str) -> list[str]:
    """Parts of an address that tell what kind of page it is: words of host and path, and their shape.

    >>> address_tokens("https://shop.example.org/products/blue-socks?size=4")
    ['host:shop', 'host:example', 'host:org', 'path:products', 'path:blue', 'path:socks', 'depth:2', 'slug:2', 'query']
    """
    try:
        parts = urlsplit(address)
        host = parts.hostname or ""
    except ValueError:  # no address at all
        return []
    if not host and not parts.path:
        return []
    segments = [segment for segment in parts.path.lower().split("/") if segment]
    words = re.findall(r"[^\W\d_]{2,}", parts.path.lower())
    tokens = [f"host:{part}" for part in host.split(".") if part]
    tokens += [f"path:{word}" for word in words]
    tokens.append(f"depth:{min(6, len(segments))}")
    if segments:
        pieces = re.split(r"[-_+]|%20", segments[-1])
        tokens.append(f"slug:{min(8, len(pieces))}")
        if re.search(r"\d{4,}", segments[-1]):
            tokens.append("slug:number")
        if re.search(r"/(19|20)\d\d/", parts.path):
            tokens.append("dated")
        if "." in segments[-1]:
            tokens.append(f"ending:{segments[-1].rpartition('.')[2][:8]}")
    if parts.query:
        tokens.append("query")
    return tokens
