"""Training byte-level BPE: textmill's kernels beside the trainer of Hugging Face tokenizers.

    python -m benchmarks.tokenizer_training [--data FOLDER] [--megabytes 24] [--rounds 3] [--vocab-sizes 16000 ...]
    python -m benchmarks.tokenizer_training --large 2000 [--vocab-size 65000]

Both get the same texts from memory, take turns, and work on one thread; CPU seconds are compared, and the two
`tokenizer.json` must be equal byte by byte, or it says so and exits with 1. `--large` trains on so many MB, made
from the same texts over and over with one letter in 300 (`--vary`) changed at random each time (so that new words
keep coming, faster than in real text), in a process of its own, and tells its peak of memory.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from benchmarks.corpus import data_folders, sample
from textmill.tokenizer.patterns import PATTERNS, Cuts
from textmill.tokenizer.training import train


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, nargs="+")
    parser.add_argument("--megabytes", type=float, default=24)
    parser.add_argument("--vocab-sizes", type=int, nargs="+", default=[16_000, 65_000])
    parser.add_argument("--patterns", nargs="+", choices=list(PATTERNS), default=["cl100k"])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--large", type=float, metavar="MB")
    parser.add_argument(
        "--vary", type=int, default=300, help="with --large: one letter in so many is changed"
    )
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args(argv)
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    if arguments.large and not arguments.child:
        given = [str(each) for each in (sys.argv[1:] if argv is None else argv)]
        command = [sys.executable, "-m", "benchmarks.tokenizer_training", *given, "--child"]
        return subprocess.run(command, check=False).returncode
    texts = [text for _, text in sample(data_folders(arguments.data), arguments.megabytes)]
    if arguments.child:
        large(texts, arguments.large * 1e6, arguments)
        return 0
    differ = False
    train(texts, cuts=Cuts(), vocab_size=arguments.vocab_sizes[0], compiled=True, threads=1)  # compiles
    for pattern in arguments.patterns:
        for vocab_size in arguments.vocab_sizes:
            differ |= not measure(texts, pattern, vocab_size, arguments.rounds)
    return 1 if differ else 0


def measure(texts: list[str], pattern: str, vocab_size: int, rounds: int) -> bool:
    """Print one line; whether both made the same."""
    size = sum(len(text.encode()) for text in texts)
    seconds: dict[bool, list[float]] = {True: [], False: []}
    contents: dict[bool, str] = {}
    for _ in range(rounds):
        for compiled, turns in seconds.items():
            gc.collect()
            start = time.process_time()
            trained = train(texts, cuts=Cuts(pattern), vocab_size=vocab_size, compiled=compiled, threads=1)
            turns.append(time.process_time() - start)
            contents[compiled] = trained.content
    speeds = {side: size / 1e6 / statistics.median(turns) for side, turns in seconds.items()}
    ratios = sorted(theirs / ours for ours, theirs in zip(seconds[True], seconds[False], strict=True))
    same = contents[True] == contents[False]
    merges = len(json.loads(contents[True])["model"]["merges"])
    print(
        f"{pattern}, {size / 1e6:.1f} MB, {merges:,} merges: {speeds[True]:.1f} MB per CPU second, tokenizers "
        f"{speeds[False]:.2f}; ratio {ratios[0]:.1f} {statistics.median(ratios):.1f} {ratios[-1]:.1f}"
        f"{'; equal' if same else '; THEY DIFFER'}",
        flush=True,
    )
    return same


def large(texts: list[str], size: float, arguments: argparse.Namespace) -> None:
    """Train on ``size`` bytes of varied text and print what it took."""
    vocab_size, pattern = arguments.vocab_sizes[0], arguments.patterns[0]
    rate = arguments.vary
    made = [0.0]
    base = peak()
    start = time.process_time()
    wall = time.perf_counter()
    trained = train(varied(texts, size, rate, made), cuts=Cuts(pattern), vocab_size=vocab_size, compiled=True)
    spent = time.process_time() - start - made[0]
    assert trained.cut is not None
    print(
        f"{pattern}, {trained.text_bytes / 1e6:,.0f} MB, {vocab_size:,} entries: {spent:.1f} CPU seconds "
        f"({trained.text_bytes / 1e6 / spent:.1f} MB/s), {time.perf_counter() - wall:.0f} s by the clock "
        f"({made[0]:.0f} of them to make the text)\n{trained.cut.words:,} distinct words; merges from the "
        f"{trained.cut.words_kept:,} that occur {trained.cut.least_count} times or more, "
        f"{trained.cut.occurrences_kept / trained.cut.occurrences:.2%} of all occurrences\n"
        f"peak of the process {peak() >> 20:,} MiB, {base >> 20} of them before training"
    )


def varied(texts: list[str], size: float, rate: int, made: list[float]) -> Iterator[str]:
    """The texts over and over, each time with other letters changed; adds the seconds it takes to ``made``."""
    choose = np.random.default_rng(1)
    letters = np.frombuffer(b"etaoinshrdlucmfwypvbgkjqxz", np.uint8)
    while size > 0:
        for text in texts:
            start = time.thread_time()
            content = np.frombuffer(text.encode(), np.uint8).copy()
            places = choose.integers(0, len(content), len(content) // rate)
            places = places[(content[places] >= 97) & (content[places] <= 122)]
            content[places] = choose.choice(letters, len(places))
            result = content.tobytes().decode()
            made[0] += time.thread_time() - start
            yield result
            size -= len(content)
            if size <= 0:
                return


def peak() -> int:
    """Highest resident size of this process so far, in bytes."""
    status = Path("/proc/self/status").read_text("ascii")
    return int(status.split("VmHWM:")[1].split()[0]) * 1024


if __name__ == "__main__":
    sys.exit(main())
