"""Which tokens a filter counts: those of Unicode's rules, of English tokenizers, of dictionaries."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from textmill.errors import UserError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from textmill.documents import Batch
    from textmill.text import Words
    from textmill.text.dictionary import DictionaryWords

Tokens = Literal["auto", "english", "unicode"]
TOKENS_DESCRIPTION = (
    "What is counted: ``english`` tokens, as the reference implementation cuts them and the paper's numbers mean "
    "them (``don't`` is two, ``24/7`` and ``a.m.`` are one); ``unicode`` words, by rules for every language; "
    "``auto``: english, unless the step names another ``language``."
)
DICTIONARY_DESCRIPTION = (
    "Find the words of texts that are mostly Chinese, Japanese, Thai, Lao, Khmer or Burmese by ICU's dictionaries "
    "(the extra ``cjk``); without, every character of these is a token."
)


def require_dictionaries(step: str) -> None:
    """Make sure that words can be looked up.

    Raises:
        UserError: the library is not installed.
    """
    from textmill.text.dictionary import has_dictionaries

    if not has_dictionaries():
        raise UserError(
            "the words of Chinese, Japanese, Thai, Lao, Khmer and Burmese need a library that is not installed",
            expected="icu4py, the extra cjk of textmill",
            where=f"{step}.dictionary",
            hint="pip install 'textmill[cjk]', or leave out dictionary",
        )


def tokens_of(batch: Batch, tokens: Tokens, dictionary: bool = False, language: str | None = None) -> Words:
    """The tokens of a batch, found once for all filters that count the same ones."""
    tokens = chosen(tokens, language)
    if dictionary:
        return batch.shared(
            ("tokens", tokens, "dictionary"),
            lambda batch: dictionary_words_of(batch).instead_of(tokens_of(batch, tokens)),
        )
    return batch.words if tokens == "unicode" else batch.shared("english tokens", _english_tokens)


def chosen(tokens: Tokens, language: str | None) -> Tokens:
    """What ``auto`` stands for."""
    if tokens != "auto":
        return tokens
    return "english" if language in (None, "en") else "unicode"


def is_mostly_unspaced(batch: Batch) -> npt.NDArray[np.bool_]:
    """Which documents are mostly in scripts without spaces, so that every character is a word: bool[documents]."""
    from textmill.text.dictionary import mostly_unspaced

    return batch.shared("mostly unspaced", lambda batch: mostly_unspaced(batch.data, batch.offsets))


def dictionary_words_of(batch: Batch) -> DictionaryWords:
    """Which documents of a batch have no spaces, and their words: looked up once."""
    from textmill.text.dictionary import dictionary_words

    return batch.shared("dictionary words", lambda batch: dictionary_words(batch.data, batch.offsets))


def _english_tokens(batch: Batch) -> Words:
    from textmill.text.english import english_tokens

    return english_tokens(batch.data, batch.offsets)
