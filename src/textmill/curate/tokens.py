"""Which tokens a filter counts: those of Unicode's rules, or those of English tokenizers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal
from weakref import WeakKeyDictionary

if TYPE_CHECKING:
    from textmill.documents import Batch
    from textmill.text import Words

Tokens = Literal["unicode", "english"]
TOKENS_DESCRIPTION = (
    "What is counted: words by Unicode's rules, for every language, or ``english`` tokens as the reference "
    "implementation cuts them (``don't`` is two, ``24/7`` and ``a.m.`` are one)."
)

# Found once per batch, like the batch's own words, and forgotten with it.
_ENGLISH: WeakKeyDictionary[Batch, Words] = WeakKeyDictionary()


def tokens_of(batch: Batch, tokens: Tokens) -> Words:
    """The tokens of a batch, shared by all filters that count the same ones."""
    if tokens == "unicode":
        return batch.words
    found = _ENGLISH.get(batch)
    if found is None:
        from textmill.text.english import english_tokens

        found = _ENGLISH[batch] = english_tokens(batch.data, batch.offsets)
    return found
