"""The HTML parser beside lexbor: pages per CPU second, and how cost grows on pages that are made to cost.

    python -m benchmarks html_parser --data FOLDER [--pages 300] [--rounds 5]

FOLDER holds HTML files. lexbor parses into its tree and no more; textmill's parser goes on to blocks, words and counts.
Sides take turns, in CPU time of one process. With `--hostile` the families of the tests grow to a megabyte instead.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from pathlib import Path

from selectolax.lexbor import LexborHTMLParser

from benchmarks.machine import describe
from textmill.extract.tree import PageParser, PageTooLargeError
from textmill.web.charset import decode_page


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--data", type=Path, default=os.environ.get("TEXTMILL_WCXB"), help="folder of HTML files"
    )
    parser.add_argument("--pages", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--hostile", action="store_true")
    arguments = parser.parse_args()
    print(describe())
    if arguments.hostile:
        hostile()
        return 0
    if arguments.data is None:
        parser.error("--data is missing")
    files = sorted(arguments.data.rglob("*.html"))
    files = files[:: max(1, len(files) // arguments.pages)][: arguments.pages]
    pages = [decode_page(file.read_bytes()).text.encode() for file in files]
    print(f"{len(pages)} pages of {sum(map(len, pages)) / len(pages) / 1000:.0f} kB on average")
    ours = PageParser()
    ours.parse(pages[0])
    speeds: dict[str, list[float]] = {"textmill": [], "lexbor": []}
    for _ in range(arguments.rounds):
        for name, parse in (("textmill", ours.parse), ("lexbor", LexborHTMLParser)):
            began = time.process_time()
            for page in pages:
                parse(page)
            speeds[name].append(len(pages) / (time.process_time() - began))
    ratios = [one / other for one, other in zip(speeds["textmill"], speeds["lexbor"], strict=True)]
    for name, values in (*speeds.items(), ("ratio", ratios)):
        digits = 2 if name == "ratio" else 0
        least, middle, most = min(values), statistics.median(values), max(values)
        print(f"{name:10}{middle:9,.{digits}f} ({least:,.{digits}f} to {most:,.{digits}f})")
    return 0


def hostile() -> None:
    """Nanoseconds per byte; `!` marks pages that are refused."""
    from tests.extract.test_bad_input import FAMILIES

    parser = PageParser(max_bytes=1 << 28)
    sizes = (10_000, 100_000, 1_000_000)
    print(f"{'ns per byte':45}" + "".join(f"{size // 1000:>9,} kB" for size in sizes))
    for name, part in FAMILIES.items():
        cells = []
        for size in sizes:
            page = "".join(part.format(n) for n in range(size // len(part.format(1000)))).encode()
            began, refused = time.process_time(), ""
            try:
                parser.parse(page)
            except PageTooLargeError:
                refused = "!"
            cells.append(f"{(time.process_time() - began) / len(page) * 1e9:.0f}{refused}")
        print(f"{name:45}" + "".join(f"{cell:>12}" for cell in cells))


if __name__ == "__main__":
    raise SystemExit(main())
