"""Words beside ICU and uniseg: the same borders, and the same number of words, by script.

    python -m benchmarks words --udhr FOLDER [--characters 3000]

uniseg knows UAX #29 alone, as textmill does. ICU (where PyICU is installed) adds dictionaries for Thai, Lao, Khmer,
Burmese, Chinese and Japanese: what its words are, a rule by rule segmentation cannot know.
"""

from __future__ import annotations

import argparse
import json
import sys
import unicodedata
from collections import Counter, defaultdict
from pathlib import Path

from benchmarks import corpus, peers
from textmill.documents import Batch


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--udhr", type=Path, help="folder of texts, a file per language")
    parser.add_argument("--data", type=Path, nargs="+", help="other texts instead (TEXTMILL_DATA)")
    parser.add_argument("--peers", type=Path, help="folder of the peers' environment")
    parser.add_argument("--characters", type=int, default=3000, help="of every text")
    options = parser.parse_args()
    try:
        python = peers.peers_python(options.peers)
    except peers.NoPeersError as error:
        print(error, file=sys.stderr)
        return 2
    if options.udhr:
        paths = sorted(options.udhr.glob("*.txt"))
        found = [(path.stem, path.read_text("utf-8", "replace")[: options.characters]) for path in paths]
    else:
        sample = corpus.sample(corpus.data_folders(options.data), 1)
        found = [(name, text[: options.characters]) for name, text in sample]
    path = peers.ROOT / "build" / "bench" / "words.jsonl"
    corpus.write_lines(found, path)
    ours = [segments(text) for _, text in found]
    for peer in ("uniseg", "icu"):
        if not peers.has(python, peer):
            print(f"{peer} is not installed in the peers' environment: left out")
            continue
        lines = peers.run(python, "peer_text.py", "words", peer, str(path)).splitlines()
        report(peer, found, ours, [json.loads(line) for line in lines])
    return 0


def segments(text: str) -> list[str]:
    words = Batch.from_texts([text]).words
    raw = text.encode()
    return [raw[a:b].decode() for a, b in zip(words.starts, words.ends, strict=True)]


def report(peer: str, found: list[corpus.Document], ours: list[list[str]], theirs: list[list[str]]) -> None:
    groups: dict[str, list[tuple[list[str], list[str]]]] = defaultdict(list)
    for (_, text), here, there in zip(found, ours, theirs, strict=True):
        groups[script(text)].append((here, there))
    print(f"\n{peer:14}{'texts':>7}{'words there':>13}{'words here':>12}{'ratio':>8}{'same borders':>14}")
    for name, pairs in sorted(groups.items(), key=lambda group: -len(group[1])):
        here, there = (sum(map(count_words, (pair[side] for pair in pairs))) for side in (0, 1))
        shared = total = 0
        for left, right in pairs:
            a, b = borders(left), borders(right)
            shared, total = shared + len(a & b), total + len(a | b)
        print(
            f"{name:14}{len(pairs):7}{there:13,}{here:12,}{here / max(1, there):8.3f}{shared / max(1, total):14.2%}"
        )


def count_words(tokens: list[str]) -> int:
    return sum(any(unicodedata.category(c)[0] in "LN" for c in token) for token in tokens)


def borders(tokens: list[str]) -> set[int]:
    """Ends of tokens in the text without white space."""
    at, found = 0, set()
    for token in tokens:
        at += len("".join(token.split()))
        found.add(at)
    return found


def script(text: str) -> str:
    """The script of most letters, by their names."""
    names = Counter(
        unicodedata.name(c, "?").split()[0] for c in text if unicodedata.category(c).startswith("L")
    )
    first = names.most_common(1)[0][0].capitalize() if names else "?"
    joined = {"Cjk": "Han, Kana", "Hiragana": "Han, Kana", "Katakana": "Han, Kana"}
    return joined.get(first, first)


if __name__ == "__main__":
    sys.exit(main())
