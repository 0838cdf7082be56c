"""Both sides of the benchmark of steps, on a few texts: the same answers, and not the empty ones."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest
from benchmarks.peer_steps import NGRAM, PEERS
from benchmarks.steps import ROWS, Peer, Step, agreement, lists_for, told

from benchmarks import steps

NEEDS = {
    "ftfy_encoding": "ftfy",
    "pyahocorasick": "ahocorasick",
    "datatrove_addresses": "datatrove",
}
SAID = "It was the best of times, it was the worst of times, it was the age of wisdom. "
TEXTS = [
    SAID
    + "Twenty-one more words of this text stand here for nobody but the one who counts them, line by line.",
    "caf\xc3\xa9 au lait\u00a0\r\n\n\n\n  and a table,   a chair \t\n\x07and a table.\n\n",
    "A LINE THAT STANDS   in two texts\nand one that does not stand anywhere else\nshort\n",
    "a line that stands in two texts\n\n\tÉté indien, à l'ombre des jeunes filles en fleurs\n",
    "indented line below\n    def f(x): return x_table + table2 - table\n\n\nlast",
    "",
    "\n",
    SAID * 3,
    SAID * 3,
]
LISTS = {
    "keywords": ["table", "line", "times", "wisdom", "able"],
    "addresses": [
        "https://blog.bad.com/a/b.html",
        "https://notbad.com/",
        "https://fine.org/some-casino/x?page=1",
        "https://fine.org/slots-here",
        "https://fine.org/slots/poker",
        "https://fine.org/mega/bucks",
        "https://www.bad.co.uk/",
    ],
    "domains": ["bad.com", "bad.co.uk"],
    "words": ["casino"],
    "soft_words": ["slots", "poker"],
    "parts": ["megabucks"],
    "questions": [SAID, "Nothing of this question stands in any text " * 3],
}


@pytest.mark.parametrize("row", [row for row in ROWS if row.same], ids=lambda row: row.name)
def test_a_step_and_its_peer_find_the_same(row: Peer, tmp_path: Path) -> None:
    if importlib.util.find_spec(NEEDS.get(row.name, "json")) is None:
        pytest.skip(f"{NEEDS[row.name]} is not installed here")
    step = Step(row.step, LISTS, tmp_path)
    units = LISTS["addresses"] if row.of_addresses else TEXTS
    here = step.found(step.batches(units))
    there = told(row.step, json.loads(json.dumps(PEERS[row.name](LISTS)(units), default=bytes.hex)))
    assert here == there
    assert len({json.dumps(answer) for answer in here}) > 1


def test_what_the_plain_sides_find() -> None:
    addresses = PEERS["plain_addresses"](LISTS)(LISTS["addresses"])
    assert addresses == ["blocked_domain", None, "words", None, "soft_words", "parts", "blocked_domain"]
    phrases = PEERS["plain_phrases"](LISTS)(TEXTS)
    assert [place for place, hit in enumerate(phrases) if hit] == [0, 7, 8]
    assert PEERS["words_in_a_set"](LISTS)(["Table, tables, able: TABLE"]) == [[2, 3]]
    assert PEERS["plain_counts"](LISTS)(["a1 b\nc", ""]) == [[6, 3, 2], [0, 0, 0]]


def test_differences_outside_ascii_are_counted_and_in_ascii_they_fail() -> None:
    assert agreement(["é", "e", "o"], [1, 2, 3], [0, 2, 3]) == (2, True)
    assert agreement(["é", "e", "o"], [1, 2, 3], [1, 0, 3]) == (2, False)


def test_lists_hold_something_to_find() -> None:
    texts = [f"{SAID} number{chr(97 + n)} of {'abcdefgh'[n] * 9}" * 9 for n in range(8)]
    lists = lists_for(texts, [text.upper() for text in texts])
    assert lists == lists_for(texts, [text.upper() for text in texts])
    assert any(PEERS["plain_phrases"](lists)(texts))
    assert all(len(question.split()) >= NGRAM for question in lists["questions"])
    assert len(lists["addresses"]) == steps.ADDRESSES
