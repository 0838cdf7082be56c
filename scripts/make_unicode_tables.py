"""Write src/textmill/text/unicode_classes.tsv: the code-point classes that all kernels share.

The classes come from the `regex` module, which carries the Unicode Character Database of the version that
its metadata names. The Python interpreter's own `unicodedata` is not used: its version differs between
Python releases, and results must not.

    python scripts/make_unicode_tables.py            # writes the file
    python scripts/make_unicode_tables.py --check    # exit code 1 if the file would change
"""

from __future__ import annotations

import argparse
import re
import sys
from importlib.metadata import metadata
from itertools import groupby

import regex

from textmill.text.classes import CATEGORIES, SOURCE, WORD_BREAKS

CODE_POINTS = 0x110000

UNSPACED_SCRIPTS = ("Han", "Hiragana", "Katakana", "Thai", "Lao", "Khmer", "Myanmar")


def unicode_version() -> str:
    """The Unicode version of the installed `regex` module, from its description."""
    described = metadata("regex").get_payload()
    found = re.search(r"supports Unicode (\d+\.\d+\.\d+)", str(described))
    if found is None:
        sys.exit("the description of the regex module names no Unicode version")
    return found[1]


def members(pattern: str) -> list[int]:
    """Code points that match the pattern of one character, ascending."""
    every = "".join(map(chr, range(CODE_POINTS)))
    return [match.start() for match in regex.finditer(pattern, every)]


def rows() -> list[str]:
    """One tab-separated row per range of code points with the same classes."""
    word_break = ["Other"] * CODE_POINTS
    category = ["Cn"] * CODE_POINTS
    flags = [""] * CODE_POINTS
    for name in WORD_BREAKS[1:]:  # the first, Other, is the rest
        for point in members(rf"\p{{WB={name}}}"):
            word_break[point] = name
    for name in CATEGORIES[1:]:  # the first, Cn, is the rest
        for point in members(rf"\p{{gc={name}}}"):
            category[point] = name
    scripts = "".join(rf"\p{{Script={name}}}" for name in UNSPACED_SCRIPTS)
    for letter, pattern in (
        ("E", r"\p{Extended_Pictographic}"),
        ("W", r"\p{White_Space}"),
        ("U", f"[{scripts}]"),
    ):
        for point in members(pattern):
            flags[point] += letter
    classes = list(zip(word_break, category, flags, strict=True))
    table = []
    for value, run in groupby(range(CODE_POINTS), key=classes.__getitem__):
        points = list(run)
        if value != ("Other", "Cn", ""):
            table.append("\t".join((f"{points[0]:X}", f"{points[-1]:X}", *value)))
    return table


def main() -> None:
    """Write the file, or compare it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--check", action="store_true", help="compare only")
    arguments = parser.parse_args()
    heading = [
        f"# Unicode {unicode_version()}",
        "# written by scripts/make_unicode_tables.py; do not edit",
        "# first, last (hexadecimal), Word_Break, General_Category,"
        " E: Extended_Pictographic, W: White_Space, U: script written without spaces",
    ]
    text = "\n".join([*heading, *rows()]) + "\n"
    if arguments.check:
        sys.exit(0 if SOURCE.read_text(encoding="utf-8") == text else f"{SOURCE} differs")
    SOURCE.write_text(text, encoding="utf-8", newline="\n")
    print(f"{SOURCE}: {len(text):,} bytes, {text.count(chr(10)) - 3:,} ranges")


if __name__ == "__main__":
    main()
