"""Curation steps that have no benchmark of their own, each beside what a user would put in its place.

    python -m benchmarks steps [--data FOLDER ...] [--megabytes 4] [--turns 3] [--only STEP ...]

Both sides get the same slice, in memory and in their own form (Python strings there, Arrow here), and take turns.
Measured is the CPU time around the work alone; here the middle of five runs each turn, words and lines found anew
every time. What the two find is compared text by text. Where a step and its peer mean the same, they must agree on
every text in ASCII, or the benchmark fails; outside ASCII, and where a library goes by other rules, differences are
counted.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import re
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from benchmarks import corpus, peers
from benchmarks.filters import spread
from benchmarks.machine import describe
from benchmarks.peer_steps import NGRAM, OF_ADDRESSES
from benchmarks.verdicts import batches
from textmill.curate import Decontaminate, ExactDedup, Heuristics, Keywords, LineDedup, Normalize, UrlFilter
from textmill.documents import Batch, Document
from textmill.steps import StepContext
from textmill.text import warm_up

REPEATS = 5
KEYWORDS = 1000
ADDRESSES = 20_000
QUESTIONS = 2000
QUESTION_WORDS = 60

Lists = dict[str, list[str]]


@dataclass(frozen=True)
class Peer:
    """One row of the table: a step beside a function of peer_steps.

    Attributes:
        step: its name.
        name: the function there.
        same: whether both mean the same, so that they must agree on ASCII.
    """

    step: str
    name: str
    same: bool = True

    @property
    def of_addresses(self) -> bool:
        return self.name in OF_ADDRESSES


ROWS = (
    Peer("normalize", "ftfy_defaults", same=False),
    Peer("normalize", "ftfy_encoding"),
    Peer("keywords", "pyahocorasick"),
    Peer("keywords", "words_in_a_set"),
    Peer("url_filter", "datatrove_addresses"),
    Peer("url_filter", "plain_addresses"),
    Peer("heuristics", "plain_counts"),
    Peer("decontaminate", "datatrove_phrases", same=False),
    Peer("decontaminate", "plain_phrases"),
    Peer("exact_dedup", "sha256_of_texts"),
    Peer("line_dedup", "blake2b_of_lines"),
)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    names = list(dict.fromkeys(row.step for row in ROWS))
    parser.add_argument("--data", type=Path, nargs="+", help="folders or files of text (TEXTMILL_DATA)")
    parser.add_argument("--peers", type=Path, help="folder of the peers' environment")
    parser.add_argument("--megabytes", type=float, default=4, help="size of the slice")
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--only", nargs="+", choices=names, default=names)
    options = parser.parse_args()
    try:
        python = peers.peers_python(options.peers)
    except peers.NoPeersError as error:
        print(error, file=sys.stderr)
        return 2
    folder = peers.ROOT / "build" / "bench" / "steps"
    texts, others = cut(corpus.sample(corpus.data_folders(options.data), options.megabytes * 1.25))
    lists = lists_for(texts, others)
    corpus.write_lines([(str(row), text) for row, text in enumerate(texts)], folder / "texts.jsonl")
    (folder / "lists.json").write_text(json.dumps(lists), "utf-8")
    print(describe())
    size = sum(len(text.encode()) for text in texts) / 1e6
    print(f"{len(texts):,} documents, {size:.1f} MB; {len(lists['addresses']):,} addresses")
    warm_up()
    print(f"\n{'step':15}{'peer':21}{'peer MB/s':>24}{'textmill MB/s':>26}{'ratio':>26}  same answer")
    failed = False
    for row in (row for row in ROWS if row.step in options.only):
        turns, here, there = measure(row, texts, lists, python, folder, options.turns)
        units = lists["addresses"] if row.of_addresses else texts
        same, alike = agreement(units, here, there)
        columns = "".join(spread(column) for column in zip(*turns, strict=True))
        print(f"{row.step:15}{row.name:21}{columns}  {same:,} of {len(units):,}", flush=True)
        if row.same and not alike:
            print(f"{row.step} and {row.name} differ on a text in ASCII", file=sys.stderr)
            failed = True
    return 1 if failed else 0


def cut(found: list[corpus.Document]) -> tuple[list[str], list[str]]:
    """Four fifths to work on, and a fifth that questions are made of."""
    texts = [text for _, text in found]
    border = -(-len(texts) * 4 // 5)
    return texts[:border], texts[border:]


def measure(
    row: Peer, texts: list[str], lists: Lists, python: Path, folder: Path, turns: int
) -> tuple[list[tuple[float, float, float]], list[Any], list[Any]]:
    """MB per CPU second there and here and their ratio, turn by turn; and what each side found."""
    step = Step(row.step, lists, folder)
    units = lists["addresses"] if row.of_addresses else texts
    size = sum(len(unit.encode()) for unit in units) / 1e6
    prepared = step.batches(units)
    here = step.found(prepared)
    rows, there = [], []
    for _ in range(turns):
        answer = json.loads(peers.run(python, "peer_steps.py", row.name, str(folder)))
        there = answer["found"]
        ours = statistics.median(seconds(step, prepared) for _ in range(REPEATS))
        rows.append((size / answer["cpu"], size / ours, answer["cpu"] / ours))
    return rows, here, told(row.step, there)


def seconds(step: Step, prepared: list[Batch]) -> float:
    fresh = [Batch(batch.records) for batch in prepared]  # a batch remembers what has been found out
    begin = time.process_time()
    for batch in fresh:
        step.work(batch)
    return max(time.process_time() - begin, 1e-9)


class Step:
    """An opened step, and its answers in the form that the peers give theirs in."""

    def __init__(self, name: str, lists: Lists, folder: Path) -> None:
        self.name = name
        self.settings = settings(name, lists, folder)
        runner = self.settings.open(StepContext())
        self.work: Callable[[Batch], Any] = next(
            getattr(runner, verb) for verb in ("scores", "transform", "fingerprint") if hasattr(runner, verb)
        )

    def batches(self, units: Sequence[str]) -> list[Batch]:
        """Texts as a pass reads them; addresses as documents without a text."""
        if self.name != "url_filter":
            return batches(units)
        found = [Document(str(place), "", url=unit) for place, unit in enumerate(units)]
        return [
            Batch.from_documents("addresses", found[start : start + 4096])
            for start in range(0, len(found), 4096)
        ]

    def found(self, prepared: list[Batch]) -> list[Any]:
        """Per unit what was found."""
        answers = [
            answer for batch in prepared for answer in self._answers(batch, self.work(Batch(batch.records)))
        ]
        return told(self.name, answers)

    def _answers(self, batch: Batch, result: Any) -> list[Any]:
        if self.name == "normalize":
            return list(result.texts.to_pylist())
        if self.name == "keywords":
            return [[int(a), int(b)] for a, b in zip(result["different"], result["matches"], strict=True)]
        if self.name == "url_filter":
            kept = [(rule.name, rule.keeps(result[rule.score])) for rule in self.settings.rules()]
            return [
                next((name for name, keeps in kept if not keeps[place]), None) for place in range(len(batch))
            ]
        if self.name == "heuristics":
            letters = (result["letters"] * result["characters"]).round()
            return [
                [int(value) for value in values]
                for values in zip(result["characters"], letters, result["lines"], strict=True)
            ]
        ids = result.column("id").to_pylist()
        if self.name == "decontaminate":
            phrases = result.column("phrase").to_pylist()
            hit = {one for one, phrase in zip(ids, phrases, strict=True) if phrase >= 0}
            return [one in hit for one in batch.ids]
        keys: dict[bytes, list[str]] = {one: [] for one in batch.ids}
        for one, key in zip(ids, result.column("key").to_pylist(), strict=True):
            keys[one].append(key.hex())
        return [keys[one] if self.name == "line_dedup" else keys[one][0] for one in batch.ids]


def settings(name: str, lists: Lists, folder: Path) -> Any:
    """The step with its defaults, and with these lists."""
    if name == "keywords":
        return Keywords(words=lists["keywords"])
    if name == "url_filter":
        return UrlFilter(**{each: lists[each] for each in ("domains", "words", "soft_words", "parts")})
    if name == "heuristics":
        return Heuristics(min_words=50, max_words=10_000, min_mean_word_length=3, min_letters=0.7)
    if name == "decontaminate":
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / "exam.jsonl"
        lines = (json.dumps({"question": question}) + "\n" for question in lists["questions"])
        path.write_text("".join(lines), "utf-8")
        return Decontaminate(tasks=[str(path)], ngram=NGRAM)
    return {"normalize": Normalize, "exact_dedup": ExactDedup, "line_dedup": LineDedup}[name]()


def told(name: str, answers: list[Any]) -> list[Any]:
    """What can be compared: of hashes by different functions, where the first text with the same one is."""
    if name != "exact_dedup":
        return answers
    first: dict[str, int] = {}
    return [first.setdefault(key, place) for place, key in enumerate(answers)]


def agreement(units: Sequence[str], here: list[Any], there: list[Any]) -> tuple[int, bool]:
    """Units that both sides answer alike, and whether all in ASCII are among them."""
    same = [a == b for a, b in zip(here, there, strict=True)]
    return sum(same), all(alike for alike, unit in zip(same, units, strict=True) if unit.isascii())


def lists_for(texts: Sequence[str], others: Sequence[str]) -> Lists:
    """Keywords, addresses and lists to judge them by, and questions: always the same from the same texts."""
    vocabulary = {word for text in texts for word in re.findall(r"\b[a-z]{4,12}\b", text.lower())}
    words = sorted(vocabulary, key=lambda word: hashlib.sha256(word.encode()).digest())
    chance = random.Random(3)
    hosts = [
        f"{prefix}{word}.{ending}"
        for word in words[:5000]
        for prefix, ending in [(chance.choice(("", "www.", "blog.")), chance.choice(("com", "org", "co.uk")))]
    ]

    def address() -> str:
        path = "/".join("-".join(chance.choices(words, k=chance.randint(1, 4))) for _ in range(2))
        return f"https://{chance.choice(hosts)}/{path}.html?page={chance.randint(1, 999)}"

    # Every tenth question lies in the slice; the others have to be looked for in vain.
    found = excerpts(texts, QUESTIONS // 10) + excerpts(others, QUESTIONS - QUESTIONS // 10)
    return {
        "keywords": words[:KEYWORDS],
        "addresses": [address() for _ in range(ADDRESSES)],
        "domains": [host.removeprefix("www.").removeprefix("blog.") for host in hosts[::20]]
        + [f"{word}.net" for word in words[:5000]],
        "words": words[:100],
        "soft_words": words[100:400],
        "parts": [word for word in words[400:] if len(word) > 8][:50],
        "questions": found,
    }


def excerpts(texts: Sequence[str], count: int) -> list[str]:
    """Runs of words, from as many texts as possible."""
    found = []
    for text in texts:
        words = text.split()
        for start, end in pairwise(range(0, len(words), QUESTION_WORDS)):
            found.append((start, " ".join(words[start:end])))
    # First runs of all texts, then second ones.
    return [text for _, text in sorted(found, key=lambda each: each[0])[:count]]


if __name__ == "__main__":
    sys.exit(main())
