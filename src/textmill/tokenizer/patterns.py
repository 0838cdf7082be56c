"""Pre-tokenisation patterns by name: where a text may be cut before any merge is looked for.

The expressions are those that the vocabularies of the same name were made with, as regular expressions of
Oniguruma (the engine inside the tokenizers library).

* ``gpt2``: Radford et al., "Language Models are Unsupervised Multitask Learners", 2019.
* ``cl100k``: tiktoken's ``cl100k_base``, in the form in which LLaMA-3's ``tokenizer.json`` writes it.
* ``o200k``: tiktoken's ``o200k_base``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

PATTERNS: dict[str, str] = {
    "gpt2": r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
    "cl100k": (
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
        r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
    ),
    "o200k": (
        r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+"
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
        r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*"
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
        r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
    ),
}

# How digits may be cut before the pattern is looked for, as regular expressions.
DIGITS: dict[str, str] = {"single": r"\p{N}", "three": r"\p{N}{1,3}"}

# Han and Kana, code points from the first to the last: what ``cjk="character"`` cuts one by one. Written out
# instead of \p{Han}, so that the cut does not move with somebody's version of Unicode.
CJK_RANGES: tuple[tuple[int, int], ...] = (
    (0x3005, 0x3007),
    (0x3041, 0x3096),
    (0x309D, 0x309F),
    (0x30A1, 0x30FA),
    (0x30FC, 0x30FF),
    (0x31F0, 0x31FF),
    (0x3400, 0x4DBF),
    (0x4E00, 0x9FFF),
    (0xF900, 0xFAFF),
    (0xFF66, 0xFF9F),
    (0x20000, 0x323AF),
)

NORMALIZERS = {"none": None, "nfc": "NFC", "nfd": "NFD", "nfkc": "NFKC", "nfkd": "NFKD"}


@dataclass(frozen=True)
class Cuts:
    """Where a tokenizer cuts texts before it merges, and what it does to them before.

    Attributes:
        pattern: a name of :data:`PATTERNS`.
        digits: ``pattern``, ``single`` (each digit by itself) or ``three`` (up to three, from the left).
        cjk: ``pattern``, or ``character`` (each Han or Kana character by itself).
        normalizer: a name of :data:`NORMALIZERS`: Unicode's normalization forms (UAX #15).
    """

    pattern: str = "cl100k"
    digits: str = "pattern"
    cjk: str = "pattern"
    normalizer: str = "none"

    def pre_tokenizer(self) -> dict[str, Any]:
        """The ``pre_tokenizer`` part of a ``tokenizer.json``: digits first, then characters, then the pattern."""
        cuts = []
        if self.digits != "pattern":
            cuts.append(DIGITS[self.digits])
        if self.cjk == "character":
            cuts.append("[" + "".join(f"{chr(first)}-{chr(last)}" for first, last in CJK_RANGES) + "]")
        whole = pre_tokenizer(self.pattern)
        whole["pretokenizers"][:0] = [_split(cut) for cut in cuts]
        return whole

    def normalizer_part(self) -> dict[str, Any] | None:
        """The ``normalizer`` part of a ``tokenizer.json``."""
        name = NORMALIZERS[self.normalizer]
        return None if name is None else {"type": name}


def pre_tokenizer(pattern: str) -> dict[str, Any]:
    """The ``pre_tokenizer`` part of a ``tokenizer.json`` that cuts by the pattern of this name."""
    split = _split(PATTERNS[pattern])
    byte_level = {
        "type": "ByteLevel",
        "add_prefix_space": False,
        "trim_offsets": True,
        "use_regex": False,
    }
    return {"type": "Sequence", "pretokenizers": [split, byte_level]}


def _split(expression: str) -> dict[str, Any]:
    return {"type": "Split", "pattern": {"Regex": expression}, "behavior": "Isolated", "invert": False}


def pattern_of(tokenizer: dict[str, Any]) -> str | None:
    """Which of the patterns a ``tokenizer.json`` (as parsed) cuts by; None when it is another one.

    A tokenizer that changes the text before cutting it counts as another one.
    """
    found = tokenizer.get("pre_tokenizer")
    if tokenizer.get("normalizer") or not isinstance(found, dict):
        return None
    if found.get("type") == "ByteLevel":
        # The bare byte-level pre-tokenizer carries GPT-2's pattern inside.
        plain = found.get("use_regex", True) and not found.get("add_prefix_space", True)
        return "gpt2" if plain else None
    for name in PATTERNS:
        if _without_offsets(found) == _without_offsets(pre_tokenizer(name)):
            return name
    return None


# A line feed between a visible character and an ASCII letter ends a piece in each of the three patterns,
# and nothing on its left looks further to the right (white space before the line feed would: ``\s+(?!\S)``).
_SAFE_CUT = re.compile(r"(?<=\S\n)(?=[A-Za-z])")


def cut_text(text: str, characters: int) -> list[str]:
    """Cut a long text where all three patterns cut as well, into parts of at least ``characters``.

    The pieces of the parts, one after the other, are the pieces of the text; so are its tokens. A text
    without such a place stays whole, however long.
    """
    if len(text) < 2 * characters:
        return [text]
    parts = []
    start = 0
    while len(text) - start >= 2 * characters:
        cut = _SAFE_CUT.search(text, start + characters)
        if cut is None:
            break
        parts.append(text[start : cut.start()])
        start = cut.start()
    parts.append(text[start:])
    return parts


def _without_offsets(part: Any) -> Any:
    # trim_offsets moves reported character positions, never ids.
    if isinstance(part, dict):
        return {key: _without_offsets(value) for key, value in part.items() if key != "trim_offsets"}
    if isinstance(part, list):
        return [_without_offsets(value) for value in part]
    return part
