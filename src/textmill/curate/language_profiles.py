"""What the quality rules need to know of a language: its stop words, how long its words and its texts are.

Derived from one text in all languages, the Universal Declaration of Human Rights, by
``scripts/make_stop_words.py``, whose docstring says how.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from textmill.curate.language_codes import language_code

SOURCE = Path(__file__).with_name("data") / "languages.tsv"


@dataclass(frozen=True)
class LanguageProfile:
    """One language.

    Attributes:
        word_length: mean length of its words in relation to that of English words.
        text_length: characters that it takes to say what English says in one.
        unspaced: it is written without spaces, and its words are found in a dictionary.
        stop_words: frequent words that any ordinary text holds, the most frequent first.
    """

    word_length: float
    text_length: float
    unspaced: bool
    stop_words: tuple[str, ...]


@lru_cache(maxsize=1)
def language_profiles() -> dict[str, LanguageProfile]:
    """All languages that are known, by ISO 639-1 code, or ISO 639-3 if they have no other."""
    profiles = {}
    for line in SOURCE.read_text("utf-8").splitlines():
        if not line.startswith("#"):
            code, length, size, kind, words = line.split("\t")
            profiles[code] = LanguageProfile(
                float(length), float(size), kind == "dictionary", tuple(words.split())
            )
    return profiles


def profiled_language(value: str | None, otherwise: str) -> str | None:
    """The code of a language that is named in a recipe; ``auto`` and nothing stay.

    Args:
        value: a code or name of any standard that :func:`language_code` reads.
        otherwise: settings that say the same for a language of which nothing is known.

    Raises:
        ValueError: nothing is known about the language.
    """
    if value is None or value == "auto":
        return value
    code = language_code(value)
    if code not in language_profiles():
        raise ValueError(f"nothing is known about the language {value!r}; write auto, or {otherwise}")
    return code
