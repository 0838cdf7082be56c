"""Encoding: textmill's compiled encoder, tiktoken with the same vocabulary, Hugging Face tokenizers.

    python -m benchmarks.encoding [--data FOLDER] [--megabytes 24] [--rounds 5] [--patterns cl100k ...]

A vocabulary is trained on the texts (or on what the installed Python says about itself), the same merges are
given to all three, and they take turns on the same texts, in one process and on one thread. CPU seconds are
compared; ids must be identical, or it says so and exits with 1. Vocabulary and texts come from `--data`, or
TEXTMILL_DATA. Besides ordinary text: text that is hard on an encoder.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import random
import statistics
import string
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.corpus import data_folders, sample
from textmill.tokenizer.fast.encoder import FastEncoder
from textmill.tokenizer.patterns import PATTERNS
from textmill.tokenizer.tiktoken_file import tiktoken_ranks
from textmill.tokenizer.training import train_bpe

EOS = "<|endoftext|>"
FIRST = "ordinary text"


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, nargs="+")
    parser.add_argument("--megabytes", type=float, default=24)
    parser.add_argument("--vocab-size", type=int, default=32_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--patterns", nargs="+", choices=list(PATTERNS), default=["cl100k"])
    parser.add_argument("--hostile", action=argparse.BooleanOptionalAction, default=True)
    arguments = parser.parse_args(argv)
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    texts = [text for _, text in sample(data_folders(arguments.data), arguments.megabytes)]
    differ = False
    for pattern in arguments.patterns:
        content = train_bpe(texts[: len(texts) // 2 + 1], vocab_size=arguments.vocab_size, pattern=pattern)
        differ |= not measure(content, pattern, texts, arguments.rounds, arguments.hostile)
    return 1 if differ else 0


def measure(content: str, pattern: str, texts: list[str], rounds: int, with_hostile: bool) -> bool:
    """Print one line per kind of text; whether all ids were identical."""
    import tiktoken
    from tokenizers import Tokenizer

    fast = FastEncoder(content, EOS)
    peer = tiktoken.Encoding(
        pattern,
        pat_str=PATTERNS[pattern],
        mergeable_ranks=tiktoken_ranks(json.loads(content)),
        special_tokens={},
    )
    library = Tokenizer.from_str(content)
    library.encode_special_tokens = True
    fast.encode_batch(["compile"])
    kinds = {FIRST: texts} | (hostile() if with_hostile else {})
    same = True
    print(f"\n{pattern}, {fast.vocab_size:,} entries; MB per CPU second, median of {rounds} rounds")
    print(
        f"{'text':<28}{'MB':>6}{'textmill':>10}{'tiktoken':>10}{'HF':>7}   textmill/tiktoken min median max"
    )
    for kind, chosen in kinds.items():
        data, offsets = utf8(chosen)
        size = len(data)

        def ours(data: Any = data, offsets: Any = offsets) -> Any:
            return fast.encode_utf8(data, offsets)[0]

        def theirs(chosen: list[str] = chosen) -> Any:
            return [peer.encode_to_numpy(text, disallowed_special=()) for text in chosen]

        expected = np.concatenate(theirs())
        identical = np.array_equal(ours(), expected)
        mine, other = alternate(ours, theirs, rounds)
        if kind == FIRST:
            cold = [first_time(content, data, offsets) for _ in range(rounds)]
            print(
                f"{'the same, nothing remembered':<28}{size / 1e6:>6.1f}{size / statistics.median(cold) / 1e6:>10.1f}"
            )
        part = chosen[: max(1, len(chosen) * 2_000_000 // max(size, 2_000_000))]
        part_size = sum(len(text.encode()) for text in part)
        seconds, ids = timed(lambda part=part: library.encode_batch_fast(part, add_special_tokens=False))
        flat = np.concatenate([np.array(encoding.ids, np.uint32) for encoding in ids])
        identical &= np.array_equal(flat, expected[: len(flat)])
        same &= identical
        ratios = sorted(b / a for a, b in zip(mine, other, strict=True))
        print(
            f"{kind:<28}{size / 1e6:>6.1f}{size / statistics.median(mine) / 1e6:>10.1f}"
            f"{size / statistics.median(other) / 1e6:>10.1f}{part_size / seconds / 1e6:>7.2f}"
            f"   {ratios[0]:.1f} {statistics.median(ratios):.1f} {ratios[-1]:.1f}"
            f"{'' if identical else '   IDS DIFFER'}",
            flush=True,
        )
    return same


def utf8(texts: list[str]) -> tuple[Any, Any]:
    raw = [text.encode() for text in texts]
    offsets = np.cumsum([0, *map(len, raw)], dtype=np.int64)
    return np.frombuffer(b"".join(raw), np.uint8), offsets


def first_time(content: str, data: Any, offsets: Any) -> float:
    """CPU seconds of an encoder that remembers nothing yet."""
    encoder = FastEncoder(content, EOS)
    return timed(lambda: encoder.encode_utf8(data, offsets))[0]


def alternate(
    ours: Callable[[], Any], theirs: Callable[[], Any], rounds: int
) -> tuple[list[float], list[float]]:
    """CPU seconds of both, a round of one after a round of the other."""
    mine, other = [], []
    for _ in range(rounds):
        mine.append(timed(ours)[0])
        other.append(timed(theirs)[0])
    return mine, other


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    gc.collect()
    start = time.process_time()
    result = work()
    return time.process_time() - start, result


def hostile() -> dict[str, list[str]]:
    """Texts that no cache helps with, and pieces without an end."""
    choose = random.Random(1)

    def of(alphabet: Sequence[str], size: int) -> str:
        return "".join(choose.choices(alphabet, k=size))

    letters = string.ascii_lowercase
    han = [chr(point) for point in range(0x4E00, 0x9FA6)]
    return {
        "random ASCII": [of(string.printable, 4000) for _ in range(500)],
        "random bytes as Latin-1": [of([chr(b) for b in range(256)], 4000) for _ in range(500)],
        "random words": [
            " ".join(of(letters, choose.randint(1, 14)) for _ in range(500)) for _ in range(500)
        ],
        "Chinese without spaces": [of(han, 1300) for _ in range(500)],
        "Chinese, a megabyte": [of(han, 330_000)],
        "random letters, a megabyte": [of(letters, 10**6)],
        "one letter, a megabyte": ["a" * 10**6],
    }


if __name__ == "__main__":
    sys.exit(main())
