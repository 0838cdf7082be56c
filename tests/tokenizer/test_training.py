import json
import os
import subprocess
import sys
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest
from tests.tokenizer.corpus import prose

from textmill.tokenizer.training import train_bpe

SCRIPT = """
import hashlib, sys
from tests.tokenizer.corpus import prose
from textmill.tokenizer.training import train_bpe
sys.stdout.write(hashlib.sha256(train_bpe(prose(), vocab_size=1500).encode()).hexdigest())
"""


def test_any_number_of_threads_gives_the_same_bytes() -> None:
    root = Path(__file__).parents[2]
    digests = set()
    for threads in ("1", "2", "5"):
        environment = os.environ | {"RAYON_NUM_THREADS": threads, "PYTHONHASHSEED": threads}
        environment["TOKENIZERS_PARALLELISM"] = "true" if threads != "1" else "false"
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT],
            cwd=root,
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        digests.add(done.stdout)
    assert len(digests) == 1
    assert len(digests.pop()) == 64


def test_the_order_of_texts_does_not_matter() -> None:
    texts = prose()
    assert train_bpe(texts, vocab_size=900) == train_bpe(list(reversed(texts)), vocab_size=900)


def merges_by_hand(text: str, merges: int) -> list[list[str]]:
    """Byte-pair encoding as Sennrich et al. wrote it down, on words split at spaces, ties by ids."""
    words = Counter(tuple("Ġ" + word) for word in text.split(" ")[1:])
    ids = {symbol: i for i, symbol in enumerate(sorted(BYTE_ALPHABET))}
    found = []
    for _ in range(merges):
        pairs: Counter[tuple[str, str]] = Counter()
        for word, count in words.items():
            for pair in pairwise(word):
                pairs[pair] += count
        if not pairs:
            break
        best = max(pairs, key=lambda pair: (pairs[pair], -ids[pair[0]], -ids[pair[1]]))
        found.append(list(best))
        ids.setdefault("".join(best), len(ids))
        merged: Counter[tuple[str, ...]] = Counter()
        for word, count in words.items():
            symbols: list[str] = []
            for symbol in word:
                if symbols and (symbols[-1], symbol) == best:
                    symbols[-1] = "".join(best)
                else:
                    symbols.append(symbol)
            merged[tuple(symbols)] += count
        words = merged
    return found


def byte_alphabet() -> list[str]:
    from tokenizers import pre_tokenizers

    return list(pre_tokenizers.ByteLevel.alphabet())


BYTE_ALPHABET = byte_alphabet()


def test_merges_are_those_of_the_algorithm_written_out() -> None:
    text = " low lower lowest newer wider new newest widest slow slower slowest" * 3
    learned = json.loads(train_bpe([text], vocab_size=256 + 20 + 1))["model"]["merges"]
    assert learned == merges_by_hand(text, 20)
    assert len(learned) == 20


def test_ids_are_bytes_then_merges_then_special_tokens() -> None:
    tokenizer = json.loads(
        train_bpe(prose(), vocab_size=500, eos_token="</s>", special_tokens=["<a>", "<b>"])
    )
    vocabulary = tokenizer["model"]["vocab"]
    assert sorted(vocabulary.values()) == list(range(497))
    assert sorted(vocabulary, key=vocabulary.__getitem__)[:256] == sorted(BYTE_ALPHABET)
    assert len(tokenizer["model"]["merges"]) == 497 - 256
    assert [(token["content"], token["id"]) for token in tokenizer["added_tokens"]] == [
        ("</s>", 497),
        ("<a>", 498),
        ("<b>", 499),
    ]


def test_a_small_text_gives_a_smaller_vocabulary() -> None:
    assert len(json.loads(train_bpe(["tiny"], vocab_size=5000))["model"]["vocab"]) == 256


def test_a_special_token_that_the_text_spells_as_a_word_is_refused() -> None:
    with pytest.raises(ValueError, match="ordinary word"):
        train_bpe(["end\nend\n"] * 20, vocab_size=300, eos_token="end")
