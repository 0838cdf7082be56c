"""Write src/textmill/curate/data/languages.tsv: stop words and word lengths of languages, for Gopher's rules.

    python scripts/make_stop_words.py UDHR_FOLDER ENGLISH_BOOK...

UDHR_FOLDER holds the Universal Declaration of Human Rights (public domain), a UTF-8 file per language named by
ISO 639-3 (udhr2 of nltk_data); the books are English prose in UTF-8. Nothing is taken from existing lists.

The declaration is one text in hundreds of languages, but a short one about few things: among its most frequent
words are "everyone", "right" and "freedom". They give themselves away, because all languages have them in the
same articles:

1. A file is cut at its headings, the short lines that hold the numbers 2 to 30, in order; the preamble and the
   first article are one part. Files in which these are not found are left out.
2. Content words of English: those that occur five times or more in the declaration and are not among the 150
   most frequent words of the books.
3. For every word, how its occurrences over the 30 parts differ from what the parts' lengths would give, scaled
   as in a chi-squared test. A word that correlates by more than 0.74 with a content word of English is left out.
4. Of what remains, the 16 most frequent words are stop words, if they make 0.4 % of the text or more.

Word lengths: the mean length of words in code points, and its ratio to that of English. Text lengths: code points
of the 30 parts, white space made single, in relation to English: how much room the same matter takes.

Words of Chinese, Japanese, Thai, Lao, Khmer and Burmese are those of ICU's dictionaries (the extra `cjk`), as the
filters find them with `dictionary: true`; headings are short by characters there, and their numbers may be Chinese.
"""

from __future__ import annotations

import argparse
import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from textmill.curate.language_codes import language_code
from textmill.curate.tokens import dictionary_words_of, tokens_of
from textmill.documents import Batch
from textmill.text.words import LETTER

TARGET = Path(__file__).parent.parent / "src/textmill/curate/data/languages.tsv"
PARTS = 30
LEAST_OCCURRENCES = 5
ORDINARY_WORDS = 150
CORRELATION = 0.74
STOP_WORDS = 16
LEAST_FREQUENCY = 0.004
LEAST_STOP_WORDS = 6
LONGEST_HEADING = 4
LONGEST_UNSPACED_HEADING = 12  # characters
CHINESE_DIGITS = {digit: value for value, digit in enumerate("一二三四五六七八九", 1)}
# ISO 639-3 and fastText's lid.176 mean different languages by als; the declaration's file is in Albanian.
RENAMED = {"als": "sq"}


@dataclass(frozen=True)
class Counts:
    """The words of one file: how often each occurs in each part, and how long the parts are."""

    words: dict[str, npt.NDArray[np.float64]]
    sizes: npt.NDArray[np.float64]


def main() -> None:
    """Derive all languages and write the file."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("udhr", type=Path)
    parser.add_argument("books", type=Path, nargs="+")
    options = parser.parse_args()
    ordinary = Counter(word for book in options.books for word in words([book.read_text("utf-8")])[0])
    english = counts(parts(options.udhr / "eng.txt"))
    content = content_words(english, {word for word, _ in ordinary.most_common(ORDINARY_WORDS)})
    profiles = [profile(english.words[word], english.sizes) for word in content]
    found: dict[str, list[str]] = defaultdict(list)
    lengths: dict[str, list[int]] = defaultdict(list)
    sizes: dict[str, list[int]] = defaultdict(list)
    unspaced = set()
    for path in sorted(options.udhr.glob("*.txt")):
        name = path.stem.partition("_")[0]
        pieces = parts(path)
        if name.isdigit() or len(pieces) != PARTS:
            continue
        listed = stop_words(counts(pieces), profiles)
        if len(listed) < LEAST_STOP_WORDS:
            continue
        code = RENAMED.get(name) or language_code(name)
        found[code] += [word for word in listed if word not in found[code]]
        lengths[code] += [len(word) for piece in words(pieces) for word in piece]
        sizes[code].append(len(" ".join(" ".join(pieces).split())))
        if is_unspaced(pieces):
            unspaced.add(code)
    base, size = mean(lengths["en"]), mean(sizes["en"])
    lines = [
        "# Written by scripts/make_stop_words.py from the Universal Declaration of Human Rights; do not edit.",
        "# language, mean word length and length of the text in relation to English, whether words stand between",
        "# spaces or in a dictionary, stop words by frequency",
    ]
    for code in sorted(found):
        ratios = f"{mean(lengths[code]) / base:.2f}\t{mean(sizes[code]) / size:.2f}"
        kind = "dictionary" if code in unspaced else "spaces"
        lines.append(f"{code}\t{ratios}\t{kind}\t{' '.join(found[code])}")
    TARGET.parent.mkdir(exist_ok=True)
    TARGET.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(f"{TARGET}: {len(found)} languages; content words: {', '.join(content)}")


def mean(numbers: Sequence[int]) -> float:
    """The mean of whole numbers, of which there is one at least."""
    return sum(numbers) / len(numbers)


def parts(path: Path) -> list[str]:
    """The declaration cut at its headings, headings and titles left out."""
    pieces: list[list[str]] = [[]]
    text = path.read_text("utf-8")
    unspaced = is_unspaced([text])
    for line in map(str.strip, text.split("\n")):
        short = len(line) <= LONGEST_UNSPACED_HEADING if unspaced else len(line.split()) <= LONGEST_HEADING
        if short and len(pieces) < PARTS and len(pieces) + 1 in numbers(line):
            pieces.append([])
        elif not short:
            pieces[-1].append(line)
    return ["\n".join(piece) for piece in pieces]


def numbers(line: str) -> set[int]:
    """The numbers of a heading, in digits of any script or in Chinese characters up to 99."""
    found = set(map(int, re.findall(r"\d+", line)))
    for tens, ten, units in re.findall(r"([一二三四五六七八九]?)(十?)([一二三四五六七八九]?)", line):
        value = (CHINESE_DIGITS.get(tens, 1) * 10 if ten else 0) + CHINESE_DIGITS.get(units, 0)
        found.add(value if ten else CHINESE_DIGITS.get(tens, 0))
    return found


def is_unspaced(texts: Sequence[str]) -> bool:
    """Whether most letters are of a script without spaces between words."""
    return bool(dictionary_words_of(Batch.from_texts([" ".join(texts)])).unspaced[0])


def words(texts: Sequence[str]) -> list[list[str]]:
    """The words with a letter of each text, in small letters."""
    batch = Batch.from_texts([text.lower() for text in texts])
    data, found = bytes(batch.data), tokens_of(batch, "unicode", dictionary=True)
    spans = list(zip(found.starts.tolist(), found.ends.tolist(), found.kinds.tolist(), strict=True))
    return [
        [
            data[start:end].decode()
            for start, end, kind in spans[found.document_offsets[d] : found.document_offsets[d + 1]]
            if kind == LETTER
        ]
        for d in range(len(batch))
    ]


def counts(pieces: Sequence[str]) -> Counts:
    """How often each word occurs in each part."""
    found = words(pieces)
    vocabulary = sorted({word for piece in found for word in piece})
    table = {word: np.zeros(len(found)) for word in vocabulary}
    for part, piece in enumerate(found):
        for word in piece:
            table[word][part] += 1
    return Counts(table, np.array([max(1, len(piece)) for piece in found], np.float64))


def content_words(english: Counts, ordinary: set[str]) -> list[str]:
    """Words that are frequent in the declaration and not in ordinary prose."""
    frequent = [word for word, row in english.words.items() if row.sum() >= LEAST_OCCURRENCES]
    return [word for word in frequent if word not in ordinary]


def profile(row: npt.NDArray[np.float64], sizes: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """In which parts a word is more frequent than elsewhere: a vector of length 1 (or 0)."""
    residual: npt.NDArray[np.float64] = (row - sizes * row.sum() / sizes.sum()) / np.sqrt(sizes)
    length = np.linalg.norm(residual)
    return residual / length if length > 0 else residual


def stop_words(language: Counts, content: Sequence[npt.NDArray[np.float64]]) -> list[str]:
    """The most frequent words that are not bound to the articles of a content word."""
    total = language.sizes.sum()
    frequent = sorted(language.words, key=lambda word: (-language.words[word].sum(), word))
    listed = []
    for word in frequent:
        row = language.words[word]
        if row.sum() / total < LEAST_FREQUENCY or len(listed) == STOP_WORDS:
            break
        here = profile(row, language.sizes)
        if max(float(here @ there) for there in content) <= CORRELATION:
            listed.append(word)
    return listed


if __name__ == "__main__":
    main()
