"""A corpus with near-duplicates of every degree, of any size, the same on every machine.

    python -m benchmarks.dedup_corpus FILE --megabytes 50 [--data FOLDER ...]

writes FILE (JSON lines with `id` and `text`) and FILE.pairs (JSON lines: `first`, `second`, how the second was made,
and the Jaccard similarity that was aimed at).

Real pages and books make the first round. More are made of them by putting another word of the same texts in the
place of every fourth one, elsewhere in every round: lengths, layout and punctuation stay real, and no five words in a
row are those of another round. Four documents in ten have a near-copy some hundred lines later, at a similarity
spread evenly from 0.5 to 1.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks import corpus

SHARE = 0.4
DISTANCE = 500  # documents between an original and its copy
SHINGLE = 5
FEWEST_WORDS = 60  # of a document that is copied
WAYS = ("words", "words", "words", "block", "cut", "surface")


@dataclass(frozen=True)
class Pair:
    """An original and its copy, and how alike they were meant to be."""

    first: str
    second: str
    way: str
    similarity: float


def graded(
    found: list[corpus.Document], megabytes: float, share: float = SHARE, seed: int = 1
) -> Iterator[tuple[str, str, Pair | None]]:
    """Id, text, and the pair that a copy makes, until there is so much text (MB of UTF-8)."""
    vocabulary = sorted({word for _, text in found[:2000] for word in text.split() if word.isalpha()})
    waiting: deque[tuple[str, str, Pair]] = deque()
    size, turn = 0, 0
    while True:
        for number, (_, text) in enumerate(found):
            chance = random.Random(f"{seed}/{turn}/{number}")
            words = text.split(" ")
            if turn:
                words = replaced(words, vocabulary, chance)
            name = f"{turn}-{number}"
            fresh: list[tuple[str, str, Pair | None]] = [(name, " ".join(words), None)]
            if len(words) >= FEWEST_WORDS and chance.random() < share:
                way, similarity = chance.choice(WAYS), chance.uniform(0.5, 1.0)
                if way == "surface":
                    similarity = 1.0
                copy = " ".join(edited(words, way, similarity, vocabulary, chance))
                waiting.append((f"{name}c", copy, Pair(name, f"{name}c", way, similarity)))
            if len(waiting) > DISTANCE * share:
                fresh.append(waiting.popleft())
            for entry in fresh:
                yield entry
                size += len(entry[1].encode())
                if size >= megabytes * 1e6:
                    return
        turn += 1


def replaced(words: list[str], vocabulary: list[str], chance: random.Random) -> list[str]:
    """Every fourth word another one: no run of five is left as it was."""
    start = chance.randrange(4)
    there = range(start, len(words), 4)
    result = list(words)
    for place, word in zip(there, chance.choices(vocabulary, k=len(there)), strict=True):
        result[place] = word
    return result


def edited(
    words: list[str], way: str, similarity: float, vocabulary: list[str], chance: random.Random
) -> list[str]:
    """A copy of about this Jaccard similarity: single words, a block, or a cut; `surface` changes no shingle."""
    runs = max(1, len(words) - SHINGLE + 1)
    if way == "surface":
        return [
            word.upper() if chance.random() < 0.2 else word + "," * (chance.random() < 0.2) for word in words
        ]
    if way == "cut":  # what is left of n shingles is all that the copy has: J = left / n
        away = max(0, round((1 - similarity) * runs) - SHINGLE + 1)
        start = chance.randrange(len(words) - away + 1)
        return words[:start] + words[start + away :]
    broken = round(runs * (1 - similarity) / (1 + similarity))  # J = (n - d) / (n + d)
    result = list(words)
    if way == "block":
        size = max(0, broken - SHINGLE + 1)
        start = chance.randrange(len(words) - size + 1)
        result[start : start + size] = chance.choices(vocabulary, k=size)
        return result
    gone: set[int] = set()
    while len(gone) < broken:
        place = chance.randrange(len(words))
        result[place] = chance.choice(vocabulary)
        gone.update(range(max(0, place - SHINGLE + 1), min(place + 1, runs)))
    return result


def write(found: list[corpus.Document], megabytes: float, path: Path, seed: int = 1) -> tuple[int, int]:
    """Write the corpus and its pairs; returns documents and bytes of text."""
    path.parent.mkdir(parents=True, exist_ok=True)
    documents = size = 0
    with path.open("w", encoding="utf-8") as texts, pairs_path(path).open("w", encoding="utf-8") as pairs:
        for name, text, pair in graded(found, megabytes, seed=seed):
            texts.write(json.dumps({"id": name, "text": text}, ensure_ascii=False) + "\n")
            documents += 1
            size += len(text.encode())
            if pair:
                pairs.write(json.dumps(vars(pair)) + "\n")
    return documents, size


def pairs_path(path: Path) -> Path:
    return path.with_name(path.name + ".pairs")


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("file", type=Path)
    parser.add_argument("--data", type=Path, nargs="+", help="folders or files of text (TEXTMILL_DATA)")
    parser.add_argument("--megabytes", type=float, default=50)
    options = parser.parse_args()
    found = corpus.sample(corpus.data_folders(options.data), 40)
    documents, size = write(found, options.megabytes, options.file)
    print(f"{options.file}: {documents:,} documents, {size / 1e6:.1f} MB of text")
    return 0


if __name__ == "__main__":
    sys.exit(main())
