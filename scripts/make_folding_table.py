"""Write src/textmill/text/unicode_folding.tsv: simple case folding, which shingles are made with.

The mappings (status C and S of CaseFolding.txt) come from the `regex` module, like the classes that
`make_unicode_tables.py` writes: the interpreter's own version of Unicode must not change a result.

    python scripts/make_folding_table.py            # writes the file
    python scripts/make_folding_table.py --check    # exit code 1 if the file would change
"""

from __future__ import annotations

import argparse
import sys

from regex import _regex, _regex_core

from textmill.text.classes import unicode_version
from textmill.text.folded_words import FOLDING

SURROGATES = range(0xD800, 0xE000)


def folded(point: int) -> int:
    """The code point that one folds to by simple case folding; itself for most."""
    if point in SURROGATES:
        return point
    if point == ord("I"):
        return ord("i")  # the module leaves it alone, because Turkish folds it to a dotless i
    # Without the flag of full case folding one character gives one character.
    found: str = _regex.fold_case(_regex_core.UNICODE | _regex_core.IGNORECASE, chr(point))
    return ord(found)


def rows() -> list[str]:
    """One tab-separated row per run of code points, a step apart, that move by the same difference."""
    runs: list[list[int]] = []  # first, last, step, difference
    for point in range(0x110000):
        difference = folded(point) - point
        if difference == 0:
            continue
        if runs and runs[-1][3] == difference:
            run = runs[-1]
            step = point - run[1]
            if step <= 2 and (run[0] == run[1] or step == run[2]):
                run[1:3] = [point, step]
                continue
        runs.append([point, point, 1, difference])
    return [f"{first:X}\t{last:X}\t{step}\t{difference}" for first, last, step, difference in runs]


def main() -> None:
    """Write the file, or compare it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--check", action="store_true", help="compare only")
    arguments = parser.parse_args()
    heading = [
        f"# Unicode {unicode_version()}, simple case folding",
        "# written by scripts/make_folding_table.py; do not edit",
        "# first, last (hexadecimal), step, difference to the folded code point",
    ]
    text = "\n".join([*heading, *rows()]) + "\n"
    if arguments.check:
        sys.exit(0 if FOLDING.read_text(encoding="utf-8") == text else f"{FOLDING} differs")
    FOLDING.write_text(text, encoding="utf-8", newline="\n")
    print(f"{FOLDING}: {len(text):,} bytes, {text.count(chr(10)) - 3:,} runs")


if __name__ == "__main__":
    main()
