"""Speed of every text kernel on a text file, beside the plain-Python oracle of the tests in the same run.

    python -m benchmarks.text_kernels FILE [--document-bytes 4000] [--oracle-bytes 100000]

The file is cut into documents at line ends. CPU time of one thread, best of five; the oracle runs once on the
first bytes. Figures are MB of UTF-8 text per CPU second.
"""

from __future__ import annotations

import argparse
import platform
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from tests.text import oracle

from textmill import text

STOP_WORDS = ("the", "be", "to", "of", "and", "that", "have", "with")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("file", type=Path)
    parser.add_argument("--document-bytes", type=int, default=4000)
    parser.add_argument("--oracle-bytes", type=int, default=100_000)
    arguments = parser.parse_args()
    documents = cut(arguments.file.read_text(encoding="utf-8"), arguments.document_bytes)
    data, offsets = oracle.buffer(documents)

    start = time.process_time()
    text.warm_up()
    print(f"{platform.processor() or platform.machine()}, Python {platform.python_version()}")
    print(
        f"warm_up: {time.process_time() - start:.1f} s CPU; {data.size:,} bytes in {len(documents):,} documents\n"
    )

    words = text.segment_words(data, offsets)
    lines, paragraphs = text.split_lines(data, offsets), text.split_paragraphs(data, offsets)
    sample: list[str] = []
    while len(sample) < len(documents) and sum(map(len, sample)) < arguments.oracle_bytes:
        sample.append(documents[len(sample)])
    rows: list[tuple[str, Callable[[], object], Callable[[str], object]]] = [
        ("segment_words", lambda: text.segment_words(data, offsets), oracle.tokens),
        ("split_lines", lambda: text.split_lines(data, offsets), oracle.lines),
        ("split_paragraphs", lambda: text.split_paragraphs(data, offsets), oracle.paragraphs),
        (
            "quality_statistics",
            lambda: text.quality_statistics(data, offsets, words, lines, STOP_WORDS),
            lambda document: oracle.quality(document, STOP_WORDS),
        ),
        (
            "repetition_statistics",
            lambda: text.repetition_statistics(data, offsets, words, lines, paragraphs),
            oracle.repetition,
        ),
        ("hash_spans (words)", lambda: text.hash_spans(data, words.starts, words.ends), lambda _: None),
    ]
    print(f"{'':24}{'MB/s':>8}{'oracle':>10}{'ratio':>8}")
    total = 0.0
    for name, run, reference in rows:
        seconds = min(timed(run) for _ in range(5))
        speed = data.size / seconds / 1e6
        line = f"{name:24}{speed:8.0f}"
        if not name.startswith("hash"):
            total += seconds
            slow = timed(lambda reference=reference: [reference(document) for document in sample])  # type: ignore[misc]
            slow_speed = sum(len(document.encode()) for document in sample) / slow / 1e6
            line += f"{slow_speed:10.3f}{speed / slow_speed:8.0f}"
        print(line)
    print(f"\n{'all five, in sequence':24}{data.size / total / 1e6:8.0f}")
    print("The oracle's quality and repetition segment the text again; the kernels share one segmentation.")


def cut(content: str, size: int) -> list[str]:
    """Documents of at least `size` bytes of whole lines."""
    documents: list[str] = []
    pending: list[str] = []
    length = 0
    for line in content.splitlines(keepends=True):
        pending.append(line)
        length += len(line.encode())
        if length >= size:
            documents.append("".join(pending))
            pending, length = [], 0
    return [*documents, "".join(pending)] if pending else documents


def timed(run: Callable[[], object]) -> float:
    start = time.thread_time()
    run()
    return max(time.thread_time() - start, 1e-9)


if __name__ == "__main__":
    np.seterr(all="raise")
    main()
