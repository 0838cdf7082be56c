"""The four quality filters beside datatrove 0.10.1: MB of text per CPU second, each alone and in sequence.

    python -m benchmarks filters [--data FOLDER ...] [--megabytes 20] [--parts 5] [--large]

The slice is cut into parts; on each the peer runs once and textmill five times (the median counts), so both sides
see every byte and take turns. Measured is the CPU time of one thread around the filters alone, the texts in memory
in each side's own form (Python strings there, Arrow here), the analysis (words, lines) included every time.

In sequence: Gopher repetition, Gopher quality, C4 (without its rule on terminal punctuation), FineWeb, in the order in
which FineWeb was made. There, and here under `survivors`, a document that was dropped is not shown to the next
filter; under `all`, textmill's default, every filter scores every document.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks import corpus, peers
from benchmarks.machine import describe
from benchmarks.verdicts import PIPELINES, UNICODE, batches, judge, opened
from textmill.documents import Batch
from textmill.text import warm_up

NAMES = ("gopher_quality", "gopher_repetition", "c4", "fineweb", *PIPELINES)
REPEATS = 5


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, nargs="+", help="folders or files of text (TEXTMILL_DATA)")
    parser.add_argument("--peers", type=Path, help="folder of the peers' environment")
    parser.add_argument("--megabytes", type=float, default=20, help="size of the slice")
    parser.add_argument("--parts", type=int, default=5, help="parts that the slice is cut into")
    parser.add_argument("--only", nargs="+", choices=NAMES, default=NAMES)
    parser.add_argument("--large", action="store_true", help="ours alone on 1 GB made of the slice, too")
    options = parser.parse_args()
    try:
        python = peers.peers_python(options.peers)
    except peers.NoPeersError as error:
        print(error, file=sys.stderr)
        return 2
    found = corpus.sample(corpus.data_folders(options.data), options.megabytes)
    parts = cut(found, options.parts)
    size = sum(len(text.encode()) for _, text in found)
    print(describe())
    print(f"{len(found):,} documents, {size / 1e6:.1f} MB, in {len(parts)} parts")
    warm(found)
    print(f"\n{'':36}{'datatrove MB/s':>24}{'textmill MB/s':>24}{'ratio per CPU second':>28}")
    for name in options.only:
        for survivors in (False, True) if name in PIPELINES else (False,):
            rows = [measure(name, part, python, survivors) for part in parts]
            label = f"{name}, {'survivors' if survivors else 'all'}" if name in PIPELINES else name
            print(f"{label:36}" + "".join(spread(column) for column in zip(*rows, strict=True)), flush=True)
    if options.large:
        large(found)
    return 0


def cut(found: list[corpus.Document], count: int) -> list[list[corpus.Document]]:
    """Every count-th document, so that the parts are alike."""
    return [part for part in (found[start::count] for start in range(count)) if part]


def warm(found: list[corpus.Document]) -> None:
    """Compile the kernels, and touch everything once."""
    warm_up()
    for name in NAMES:
        judge(opened(name), Batch.from_texts([text for _, text in found[:20]]))


def measure(
    name: str, part: list[corpus.Document], python: Path, survivors: bool
) -> tuple[float, float, float]:
    """MB per CPU second there and here on one part, and their ratio."""
    path = peers.ROOT / "build" / "bench" / "part.jsonl"
    size = corpus.write_lines(part, path) / 1e6
    theirs = json.loads(peers.run(python, "peer_filters.py", "time", name.removesuffix(UNICODE), str(path)))[
        "cpu"
    ]
    runners = opened(name)
    prepared = batches([text for _, text in part])
    ours = statistics.median(seconds(runners, prepared, survivors) for _ in range(REPEATS))
    return size / theirs, size / ours, theirs / ours


def seconds(runners: list, prepared: list[Batch], survivors: bool) -> float:
    fresh = [Batch(batch.records) for batch in prepared]
    begin = time.process_time()
    for batch in fresh:
        judge(runners, batch, survivors)
    return max(time.process_time() - begin, 1e-9)


def spread(values: tuple[float, ...]) -> str:
    """Least, median and most."""
    digits = 2 if max(values) < 10 else 0
    low, middle, high = (
        f"{value:,.{digits}f}" for value in (min(values), statistics.median(values), max(values))
    )
    return f"{middle + f' ({low}-{high})':>26}"


def large(found: list[corpus.Document], bytes_wanted: float = 1e9) -> None:
    """Ours on 1 GB: the slice over and over, a word of every fifty changed each time."""
    print(f"\n{'1 GB, ours alone':36}{'MB':>10}{'CPU s':>10}{'MB/s':>10}{'peak RSS MiB':>15}")
    for survivors in (False, True):
        runners = opened("pipeline")
        spent, size = 0.0, 0
        for texts in repeated(found, bytes_wanted):
            for batch in batches(texts):
                spent += seconds(runners, [batch], survivors)
                size += batch.text_bytes
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        label = "survivors" if survivors else "all"
        print(
            f"{label:36}{size / 1e6:10,.0f}{spent:10.1f}{size / spent / 1e6:10,.0f}{peak:15,.0f}", flush=True
        )


def repeated(found: list[corpus.Document], bytes_wanted: float) -> Iterator[list[str]]:
    size, turn = 0, 0
    while size < bytes_wanted:
        for start in range(0, len(found), 1000):
            texts = [edited(text, turn) for _, text in found[start : start + 1000]]
            size += sum(len(text.encode()) for text in texts)
            yield texts
            if size >= bytes_wanted:
                return
        turn += 1


def edited(text: str, turn: int) -> str:
    parts = text.split(" ")
    for place in range(turn % 50, len(parts), 50):
        parts[place] += str(turn)
    return " ".join(parts)


if __name__ == "__main__":
    sys.exit(main())
