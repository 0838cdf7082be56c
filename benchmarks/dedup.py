"""Deduplication: signatures beside datatrove and Daft, whole runs beside datatrove and text-dedup, and quality.

    python -m benchmarks dedup [--data FOLDER ...] [--only signatures sizes peers quality] [--megabytes 20]

signatures  MB of text per CPU second: 112 MinHash hashes of 5-word shingles, the texts in memory in each side's own
            form. The slice is cut into parts; on each every side runs once (textmill five times, median), in turns.
sizes       `textmill run` with near_dedup alone on 10 MB to --largest MB of graded copies: seconds, CPU seconds, peak
            memory of all processes together.
peers       the same run on --slice MB beside datatrove's four stages and text-dedup (--text-dedup PYTHON).
quality     graded copies beside an exhaustive comparison: is every removal verified, is any pair missed?
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks import corpus, peers
from benchmarks.dedup_quality import quality
from benchmarks.dedup_runs import beside_peers, sizes
from benchmarks.filters import cut, spread
from benchmarks.machine import describe
from textmill.documents import Batch
from textmill.text import shingle_hashes, text_signatures, warm_up

PARTS = ("signatures", "peers", "quality", "sizes")
REPEATS = 5


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, nargs="+", help="folders or files of text (TEXTMILL_DATA)")
    parser.add_argument("--peers", type=Path, help="folder of the peers' environment")
    parser.add_argument("--text-dedup", type=Path, help="a Python interpreter that has text-dedup")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--megabytes", type=float, default=20, help="slice for signatures")
    parser.add_argument("--parts", type=int, default=5, help="parts that it is cut into")
    parser.add_argument(
        "--slice", type=float, default=50, help="MB for the runs beside peers and for quality"
    )
    parser.add_argument("--largest", type=float, default=200, help="MB of the largest run: up to 2000")
    parser.add_argument("--rounds", type=int, default=3, help="turns of the runs beside peers")
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    print(describe())
    found = corpus.sample(corpus.data_folders(options.data), max(40, options.megabytes))
    python = None
    try:
        python = peers.peers_python(options.peers)
    except peers.NoPeersError as error:
        print(error, file=sys.stderr)
        if {"signatures", "peers"} & set(options.only):
            return 2
    if "signatures" in options.only and python:
        signatures(found, options.megabytes, options.parts, python)
    if "peers" in options.only and python:
        beside_peers(found, options.slice, options.rounds, options.workers, python, options.text_dedup)
    if "quality" in options.only:
        quality(found, options.slice, options.workers)
    if "sizes" in options.only:
        sizes(found, options.largest, options.workers)
    return 0


def signatures(found: list[corpus.Document], megabytes: float, parts: int, python: Path) -> None:
    """MB per CPU second of every side, and how many times textmill's that is."""
    chosen, size = [], 0
    for document in found:
        if size < megabytes * 1e6:
            chosen.append(document)
            size += len(document[1].encode())
    print(
        f"\nsignatures: {len(chosen):,} documents, {size / 1e6:.1f} MB, in {parts} parts; MB per CPU second"
    )
    warm_up()
    rows = [one_part(part, python) for part in cut(chosen, parts)]
    for name in rows[0]:
        values = tuple(row[name] for row in rows)
        ratios = tuple(row["textmill, 112 hashes"] / row[name] for row in rows)
        print(f"{name:44}{spread(values)}{spread(ratios) if 'textmill' not in name else ''}")


def one_part(part: list[corpus.Document], python: Path) -> dict[str, float]:
    path = peers.ROOT / "build" / "bench" / "part.jsonl"
    size = corpus.write_lines(part, path) / 1e6
    speeds = {}
    for name in ("datatrove", "daft"):
        if name == "datatrove" or peers.has(python, name):
            done = json.loads(
                peers.run(python, "peer_dedup.py", "signatures", name, str(path)).splitlines()[-1]
            )
            speeds[name] = size / done["cpu"]
        else:
            print(f"  without {name}: it is not in the peers' environment")
    batch = Batch.from_texts([text for _, text in part])
    data, offsets = batch.data, batch.offsets
    work: dict[str, Callable[[], object]] = {
        "textmill, 112 hashes": lambda: text_signatures(data, offsets, 112),
        "textmill, 128 hashes": lambda: text_signatures(data, offsets, 128),
        "textmill, 256 hashes": lambda: text_signatures(data, offsets, 256),
        "textmill, the sets of shingles instead": lambda: shingle_hashes(data, offsets),
    }
    for name, call in work.items():
        speeds[name] = size / statistics.median(cpu(call) for _ in range(REPEATS))
    return speeds


def cpu(work: Callable[[], object]) -> float:
    begin = time.process_time()
    work()
    return max(time.process_time() - begin, 1e-9)


if __name__ == "__main__":
    np.seterr(all="raise")
    sys.exit(main())
