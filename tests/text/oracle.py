"""The kernels' definitions once more, in plain Python over strings: slow, literal, and written separately."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Sequence

import numpy as np

from textmill.text.classes import CATEGORIES, WORD_BREAKS, class_of
from textmill.text.sentences import ABBREVIATIONS, terminals

JOINERS = {"Extend", "Format", "ZWJ"}
NEWLINES = {"Newline", "CR", "LF"}
LETTERS = {"ALetter", "Hebrew_Letter"}
MID_NUM_LET_Q = {"MidNumLet", "Single_Quote"}
TERMINALS = frozenset(terminals().tolist())
POLICY = (
    *("terms of use", "privacy policy", "cookie policy"),
    *("uses cookies", "use of cookies", "use cookies"),
)
# No class for numbers: theirs are those of the frozen tables.
DIGITS = "".join(chr(point) for point in range(0x110000) if CATEGORIES[class_of(point) >> 8] == "Nd")
CITATION = rf"\[[{DIGITS}]*\]|\[edit\]|\[citation needed\]"


def buffer(texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Documents as the kernels take them."""
    encoded = [text.encode() for text in texts]
    offsets = np.cumsum([0, *map(len, encoded)], dtype=np.int64)
    return np.frombuffer(b"".join(encoded), np.uint8), offsets


def word_break(character: str) -> str:
    return WORD_BREAKS[class_of(ord(character)) & 31]


def is_pictograph(character: str) -> bool:
    return bool(class_of(ord(character)) & 32)


def is_white(character: str) -> bool:
    return bool(class_of(ord(character)) & 64)


def is_unspaced(character: str) -> bool:
    return bool(class_of(ord(character)) & 128)


def category(character: str) -> str:
    return CATEGORIES[class_of(ord(character)) >> 8]


def is_boundary(text: str, at: int) -> bool:
    """Whether a word boundary lies before text[at], rule after rule as UAX #29 lists them."""
    if at in (0, len(text)):
        return True  # WB1, WB2
    before, after = word_break(text[at - 1]), word_break(text[at])
    if before == "CR" and after == "LF":
        return False  # WB3
    if before in NEWLINES or after in NEWLINES:
        return True  # WB3a, WB3b
    if before == "ZWJ" and is_pictograph(text[at]):
        return False  # WB3c
    if before == after == "WSegSpace":
        return False  # WB3d
    if after in JOINERS:
        return False  # WB4
    left = effective(text, at, -1)
    right = effective(text, at, 1)
    before, before_that = left[0], left[1]
    after, after_that = right[0], right[1]
    rules = (
        before in LETTERS and after in LETTERS,  # WB5
        before in LETTERS and after in MID_NUM_LET_Q | {"MidLetter"} and after_that in LETTERS,  # WB6
        before_that in LETTERS and before in MID_NUM_LET_Q | {"MidLetter"} and after in LETTERS,  # WB7
        before == "Hebrew_Letter" and after == "Single_Quote",  # WB7a
        before == "Hebrew_Letter" and after == "Double_Quote" and after_that == "Hebrew_Letter",  # WB7b
        before_that == "Hebrew_Letter" and before == "Double_Quote" and after == "Hebrew_Letter",  # WB7c
        before == after == "Numeric",  # WB8
        before in LETTERS and after == "Numeric",  # WB9
        before == "Numeric" and after in LETTERS,  # WB10
        before_that == "Numeric" and before in MID_NUM_LET_Q | {"MidNum"} and after == "Numeric",  # WB11
        before == "Numeric" and after in MID_NUM_LET_Q | {"MidNum"} and after_that == "Numeric",  # WB12
        before == after == "Katakana",  # WB13
        before in LETTERS | {"Numeric", "Katakana", "ExtendNumLet"} and after == "ExtendNumLet",  # WB13a
        before == "ExtendNumLet" and after in LETTERS | {"Numeric", "Katakana"},  # WB13b
        after == "Regional_Indicator" and indicators_before(text, at) % 2 == 1,  # WB15, WB16
    )
    return not any(rules)  # WB999


def effective(text: str, at: int, step: int) -> list[str]:
    """Two classes to the left (or right) of a place, with what WB4 skips left out."""
    classes: list[str] = []
    place = at - 1 if step < 0 else at
    while 0 <= place < len(text) and len(classes) < 2:
        here = word_break(text[place])
        starts_text = place == 0 or word_break(text[place - 1]) in NEWLINES
        if here not in JOINERS or starts_text:
            classes.append(here)
        place += step
    return [*classes, "", ""]


def indicators_before(text: str, at: int) -> int:
    count = 0
    place = at - 1
    while place >= 0 and word_break(text[place]) in JOINERS | {"Regional_Indicator"}:
        count += word_break(text[place]) == "Regional_Indicator"
        place -= 1
    return count


def segments(text: str) -> list[str]:
    borders = [at for at in range(len(text) + 1) if is_boundary(text, at)] if text else [0]
    return [text[start:end] for start, end in itertools.pairwise(borders)]


def tokens(text: str) -> list[str]:
    return [segment for segment in segments(text) if not all(map(is_white, segment))]


def kind(token: str) -> int:
    if any(category(character)[0] == "L" for character in token):
        return 2
    return int(any(category(character)[0] == "N" for character in token))


def strip(text: str) -> str:
    start, end = 0, len(text)
    while start < end and is_white(text[start]):
        start += 1
    while end > start and is_white(text[end - 1]):
        end -= 1
    return text[start:end]


def lines(text: str) -> list[str]:
    parts = re.split(r"\r?\n", text)
    return parts[:-1] if parts[-1] == "" else parts


def paragraphs(text: str) -> list[str]:
    return [part for part in re.split(r"(?:\r?\n){2,}", strip(text)) if part]


def quality(text: str, stop_words: Sequence[str]) -> dict[str, float]:
    words = tokens(text)
    real = [word for word in words if kind(word)]
    rows = lines(text)
    return {
        "words": len(real),
        "tokens": len(words),
        "mean_word_length": ratio(sum(map(len, real)), len(real)),
        "hash_ratio": ratio(text.count("#"), len(words)),
        "ellipsis_ratio": ratio(text.count("...") + text.count("…"), len(words)),
        "bullet_lines_ratio": ratio(sum(strip(row).startswith(("•", "-")) for row in rows), len(rows)),
        "ellipsis_lines_ratio": ratio(sum(strip(row).endswith(("...", "…")) for row in rows), len(rows)),
        "alphabetic_words_ratio": ratio(sum(kind(word) == 2 for word in words), len(words)),
        "stop_words": len(set(words) & set(stop_words)),
        "characters": len(text),
        "letters": sum(category(character)[0] == "L" for character in text),
        "white_space": sum(map(is_white, text)),
        "unspaced": sum(map(is_unspaced, text)),
        "lines": len(rows),
    }


def repetition(text: str) -> dict[str, float]:
    words = tokens(text)
    real = [word for word in words if kind(word)]
    result: dict[str, float] = {}
    for name, character_name, parts in (
        ("duplicate_lines", "duplicate_line_characters", lines(text)),
        ("duplicate_paragraphs", "duplicate_paragraph_characters", paragraphs(text)),
    ):
        parts = [part for part in parts if strip(part)]
        met: set[str] = set()
        copies: list[str] = []
        for part in parts:
            if part in met:
                copies.append(part)
            met.add(part)
        result[name] = ratio(len(copies), len(parts))
        result[character_name] = ratio(sum(map(len, copies)), len(text))
    for n in (2, 3, 4):
        grams = Counter(tuple(words[at : at + n]) for at in range(len(words) - n + 1))
        gram, count = grams.most_common(1)[0] if grams else ((), 0)
        result[f"top_{n}_gram"] = ratio(count * len(" ".join(gram)), len(text))
    for n in range(5, 11):
        seen: set[tuple[str, ...]] = set()
        copied = at = 0
        while at <= len(words) - n:
            gram = tuple(words[at : at + n])
            if gram in seen:
                copied += sum(map(len, gram))
                at += n
            else:
                seen.add(gram)
                at += 1
        result[f"duplicate_{n}_grams"] = ratio(copied, len(text))
    result["distinct_words_ratio"] = ratio(len(set(real)), len(real))
    return result


def ratio(part: float, whole: float) -> float:
    return part / whole if whole else 0.0


def sentences(text: str) -> int:
    """Sentences of a text, mark by mark."""
    text = strip(text)
    count = int(text != "")
    ended = False
    for at, character in enumerate(text):
        if category(character)[0] in "LNS":
            count += ended
            ended = False
        elif character in "!?":
            ended = ended or at + 1 == len(text) or category(text[at + 1])[0] not in "LN"
        elif character == ".":
            ended = ended or is_final_stop(text[:at], text[at + 1 :])
        elif ord(character) in TERMINALS:
            ended = True
    return count


def is_final_stop(before: str, after: str) -> bool:
    """Whether a full stop between the two ends a sentence."""
    if before.endswith(".") or after.startswith("."):
        return False
    last, first = before[-1:], after[:1]
    if first and category(first)[0] in "LNS":
        between = last != "" and category(last) == "Ll" and category(first) in ("Lu", "Lt")
        return between and not ends_in_abbreviation(before)
    if not last:
        return True
    if category(last)[0] == "S":
        return False
    if category(last)[0] not in "LM":
        return True
    if category(last) in ("Lu", "Lt"):
        return before[-2:-1] != "" and category(before[-2]) in ("Lu", "Lt")
    if before[-2:-1] in ("", ".", "(") or is_white(before[-2]):
        return category(last) != "Ll"
    return not ends_in_abbreviation(before)


def ends_in_abbreviation(text: str) -> bool:
    word = re.search(r"[A-Za-z]*\Z", text)[0]  # type: ignore[index]
    whole = len(word) == len(text) or category(text[-len(word) - 1])[0] not in "LN"
    return whole and word in ABBREVIATIONS


def cut_lines(
    text: str,
    *,
    max_word_length: int = 1000,
    citations: bool = True,
    terminal_punctuation: bool = True,
    min_words: int = 3,
    javascript: bool = True,
    policy: bool = True,
) -> tuple[str, list[int]]:
    """C4's rules about lines: what is left, and how often each rule struck."""
    counts = [0] * 6
    kept = []
    for line in map(strip, lines(text)):
        words = [word for word in split_white(line) if word]
        small = line
        removed = 0
        if citations:
            small, removed = re.subn(CITATION, "", line)
        low = "".join(character.lower() if character.isascii() else character for character in small)
        rule = None
        if max_word_length >= 0 and any(len(word) > max_word_length for word in words):
            rule, removed = 0, 0
        elif terminal_punctuation and (
            not small.endswith((".", "?", "!", '"', "'")) or small.endswith("...")
        ):
            rule = 1
        elif len(words) < min_words:
            rule = 2
        elif "lorem ipsum" in low:
            pass
        elif javascript and "javascript" in low:
            rule = 3
        elif "{" in low:
            pass
        elif policy and any(phrase in low for phrase in POLICY):
            rule = 4
        counts[5] += removed
        if rule is None:
            kept.append(small)
        elif line:
            counts[rule] += 1
    return strip("\n".join(kept)), counts


def split_white(text: str) -> list[str]:
    return "".join(" " if is_white(character) else character for character in text).split(" ")


def c4_statistics(text: str) -> dict[str, float]:
    rows = lines(text)
    return {
        "lorem_ipsum": sum(bool(re.search("(?ai:lorem ipsum)", row)) for row in rows),
        "curly_brackets": sum("{" in row for row in rows),
        "sentences": sum(map(sentences, rows)),
    }


def line_statistics(text: str, short_line: int) -> dict[str, float]:
    rows = [row for row in lines(text) if strip(row)]
    copies = [row for at, row in enumerate(rows) if row in rows[:at]]
    ends = {".", "!", "?", *map(chr, TERMINALS)}
    return {
        "punctuated_lines": ratio(sum(row[-1] in ends for row in rows), len(rows)),
        "short_lines": ratio(sum(len(row) <= short_line for row in rows), len(rows)),
        "duplicate_line_characters": ratio(sum(map(len, copies)), len(text.replace("\n", ""))),
        "newlines_per_word": ratio(text.count("\n"), len(tokens(text))),
    }
