"""What it costs to score every document: `run.score=all`, the default, beside `survivors`.

    python -m benchmarks scores [--data FOLDER ...] [--megabytes 50] [--rounds 3]

The quickstart recipe's cleaning over JSON lines, one worker, from raw file to cleaned shards: CPU seconds of the
command and its workers, reading and writing included, the two ways in turn. Without data the input is the
quickstart's own: documentation of the installed Python, over and over with a word of every fifty changed.
"""

from __future__ import annotations

import argparse
import itertools
import resource
import statistics
import subprocess
import sys
import tempfile
from importlib.resources import files
from pathlib import Path

from benchmarks import corpus, peers
from benchmarks.filters import repeated
from benchmarks.machine import describe


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, nargs="+", help="folders or files of text")
    parser.add_argument("--megabytes", type=float, default=50)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    print(describe())
    found = corpus.sample(options.data or [], min(options.megabytes, 10))
    texts = itertools.chain.from_iterable(repeated(found, options.megabytes * 1e6))
    path = peers.ROOT / "build" / "bench" / "scores.jsonl"
    size = corpus.write_lines([(str(number), text) for number, text in enumerate(texts)], path)
    print(f"{size / 1e6:.1f} MB made of {len(found):,} documents")
    spent: dict[str, list[float]] = {"all": [], "survivors": []}
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        recipe = Path(folder, "recipe.yaml")
        recipe.write_text(cleaning(path), encoding="utf-8")
        for turn in range(options.rounds):
            for way in spent:
                spent[way].append(cpu_seconds(recipe, Path(folder, f"{way}{turn}"), way))
    for way, values in spent.items():
        print(f"{way:10}{statistics.median(values):8.1f} CPU s ({min(values):.1f}-{max(values):.1f})")
    ratios = [one / other for one, other in zip(spent["all"], spent["survivors"], strict=True)]
    print(f"{'ratio':10}{statistics.median(ratios):8.2f} ({min(ratios):.2f}-{max(ratios):.2f})")
    return 0


def cleaning(path: Path) -> str:
    """The quickstart recipe with another source and nothing behind `curate`."""
    text = files("textmill").joinpath("recipes/quickstart.yaml").read_text("utf-8")
    curate = text[text.index("\ncurate:") : text.index("\ntokenizer:")]
    return f"name: scores\nsources:\n  - files: {{paths: {str(path)!r}}}\n{curate}"


def cpu_seconds(recipe: Path, folder: Path, way: str) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = ["run", str(recipe), "--out", str(folder), "--set", f"run.score={way}", "--workers", "1"]
    subprocess.run([sys.executable, "-m", "textmill.cli", *command], check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


if __name__ == "__main__":
    sys.exit(main())
