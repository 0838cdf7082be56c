"""Words beside other libraries: the same borders, and the same number of words, by script.

    python -m benchmarks words --udhr FOLDER [--characters 3000]

uniseg knows UAX #29 alone, as textmill does by default. ICU (where PyICU is installed) adds dictionaries for Thai, Lao,
Khmer, Burmese, Chinese and Japanese, as textmill does with `dictionary: true`. Segmenters made for one language
(jieba, Sudachi, PyThaiNLP, each where it is installed) tell how far two dictionaries agree.
"""

from __future__ import annotations

import argparse
import json
import sys
import unicodedata
from collections import Counter, defaultdict
from pathlib import Path

from benchmarks import corpus, peers
from textmill.curate.tokens import dictionary_words_of, tokens_of
from textmill.documents import Batch
from textmill.text.dictionary import has_dictionaries


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
    for peer in ("uniseg", "icu"):
        compare(python, peer, found, dictionary=False)
    if not has_dictionaries():
        print("icu4py (the extra cjk) is not installed: words by dictionary are left out")
        return 0
    unspaced = [(name, text) for name, text in found if len(text) > 200 and is_unspaced(text)]
    compare(python, "icu", unspaced, dictionary=True)
    for peer, languages in SPECIALISTS.items():
        compare(python, peer, [each for each in unspaced if each[0].startswith(languages)], dictionary=True)
    return 0


# Segmenters made for one language, and how files in it are named.
SPECIALISTS = {"rjieba": ("cmn_hans",), "sudachipy": ("jpn",), "pythainlp": ("tha",)}


def compare(python: Path, peer: str, found: list[corpus.Document], dictionary: bool) -> None:
    if not found or not peers.has(python, peer):
        print(f"{peer}: not installed in the peers' environment, or no such texts: left out")
        return
    path = peers.ROOT / "build" / "bench" / "words.jsonl"
    corpus.write_lines(found, path)
    ours = [segments(text, dictionary) for _, text in found]
    lines = peers.run(python, "peer_text.py", "words", peer, str(path)).splitlines()
    print("\nwords by dictionary" if dictionary else "\nwords by UAX #29", end="")
    report(peer, found, ours, [json.loads(line) for line in lines])


def is_unspaced(text: str) -> bool:
    return bool(dictionary_words_of(Batch.from_texts([text])).unspaced[0])


def segments(text: str, dictionary: bool) -> list[str]:
    words = tokens_of(Batch.from_texts([text]), "unicode", dictionary)
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
