"""Crawling beside Scrapy 2.19: pages per CPU second of the crawler's own process, the same site, taking turns.

    python -m benchmarks crawling [--hosts 60] [--pages 30] [--rounds 3] [--only textmill,scrapy,…]

The site is `benchmarks.crawl_site`: hosts 127.0.x.y, pages of about 60 KB with 50 links each, a robots.txt that
excludes a directory of every host. Both sides fetch every page once, obey robots.txt, find all links, and write
every answer to WARC files; what their process spends from its start to its end is counted, user and system, and
nothing of the server's. A side that did not fetch all pages is an error.

- *textmill*: `textmill crawl`, frontier and archive on disk and settled as it goes.
- *scrapy*: as its documentation tunes broad crawls, links by LxmlLinkExtractor, archived by warcio as it is.
- *scrapy-seen*: the same, and the spider keeps a set of links, so that no request is made for one it has seen.
- *scrapy-fast*: with that set, and warcio's gzip at level 1.
- *scrapy-bare*: with that set, nothing is archived.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks import peers
from benchmarks.machine import describe

SCRAPY = "2.19"
WAYS = {
    "textmill": [],
    "scrapy": ["--archive"],
    "scrapy-seen": ["--archive", "--remember"],
    "scrapy-fast": ["--archive", "--remember", "--level", "1"],
    "scrapy-bare": ["--remember"],
}


@dataclass
class Turn:
    """What one crawl took: CPU and wall seconds, peak of resident memory and size of the archive in bytes."""

    cpu: float
    wall: float
    memory: int
    archive: int


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--hosts", type=int, default=60)
    parser.add_argument("--pages", type=int, default=30, help="per host")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", help="ways, joined by commas: " + ",".join(WAYS))
    parser.add_argument("--concurrency", type=int, default=64, help="hosts at the same time, of textmill")
    options = parser.parse_args()
    ways = options.only.split(",") if options.only else list(WAYS)
    python = _scrapy_python() if any(way != "textmill" for way in ways) else None
    print(describe())
    turns: dict[str, list[Turn]] = {way: [] for way in ways}
    with served(options.hosts, options.pages) as site, tempfile.TemporaryDirectory(dir=_folder()) as folder:
        print(
            f"{options.hosts} hosts of {options.pages} pages, {len(site.seeds)} seeds, {options.rounds} turns each"
        )
        if "textmill" in ways:  # kernels are compiled once and kept
            warm = Path(folder, "warm")
            _run([*_textmill(site, warm, options), "--max-pages", "1"], warm)
            site.counts()
        for number in range(options.rounds):
            for way in ways:
                out = Path(folder, f"{way}-{number}")
                command = (
                    _textmill(site, out, options) if way == "textmill" else _scrapy(site, out, way, python)
                )
                turn = _run(command, out)
                site.expect(options.hosts * options.pages, way)
                turns[way].append(turn)
                print(f"  {way}: {turn.cpu:.1f} CPU s, {turn.wall:.1f} s", flush=True)
                shutil.rmtree(out)
    _print(turns, options.hosts * options.pages)
    return 0


# --- the site --------------------------------------------------------------------------------------------------


@dataclass
class Served:
    """The site in its own process; `counts` asks how many requests it has seen since it was asked last."""

    seeds: list[str]
    process: subprocess.Popen[str]

    def counts(self) -> dict[str, int]:
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        found: dict[str, int] = json.loads(self.process.stdout.readline())
        return found

    def expect(self, pages: int, who: str) -> None:
        """Every page once."""
        counts = self.counts()
        if counts.get("pages") != pages:
            raise SystemExit(f"{who} asked for {counts.get('pages', 0):,} pages, there are {pages:,}")


@contextlib.contextmanager
def served(hosts: int, pages: int) -> Iterator[Served]:
    """The site while it is needed."""
    command = [sys.executable, "-m", "benchmarks.crawl_site", "--hosts", str(hosts), "--pages", str(pages)]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=peers.ROOT, env=os.environ
    )
    assert process.stdin
    assert process.stdout
    try:
        yield Served(json.loads(process.stdout.readline()), process)
    finally:
        process.stdin.close()
        process.wait(10)


# --- the two sides ---------------------------------------------------------------------------------------------


def _textmill(site: Served, out: Path, options: argparse.Namespace) -> list[str]:
    seeds = out.with_suffix(".txt")
    seeds.write_text("\n".join(site.seeds))
    return [
        *(sys.executable, "-m", "textmill.cli", "crawl", "--seeds", str(seeds), "--output", str(out)),
        *("--allow-addresses", "127.0.0.0/8", "--delay", "0", "--concurrency", str(options.concurrency)),
    ]


def _scrapy(site: Served, out: Path, way: str, python: Path | None) -> list[str]:
    seeds = out.with_suffix(".json")
    seeds.write_text(json.dumps(site.seeds))
    script = Path(__file__).with_name("peer_scrapy.py")
    return [str(python), str(script), str(seeds), str(out), *WAYS[way]]


def _run(command: list[str], out: Path) -> Turn:
    began = time.perf_counter()
    with out.with_suffix(".log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
        _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{command}\nfailed:\n{out.with_suffix('.log').read_text()[-3000:]}")
    archive = sum(path.stat().st_size for path in out.rglob("*.warc.gz"))
    wall = time.perf_counter() - began
    return Turn(usage.ru_utime + usage.ru_stime, wall, usage.ru_maxrss * 1024, archive)


def _scrapy_python() -> Path:
    """The interpreter of the peers' environment, with Scrapy in it."""
    python = peers.default_folder() / "bin" / "python"
    if not (python.exists() and peers.has(python, "scrapy") and peers.has(python, "warcio")):
        python = peers.peers_python()
    code = "import scrapy; print(scrapy.__version__)"
    version = subprocess.run(
        [str(python), "-c", code], capture_output=True, text=True, check=True
    ).stdout.strip()
    if not version.startswith(SCRAPY):
        raise SystemExit(f"Scrapy {version} in {python}; the figures are about {SCRAPY}")
    return python


def _folder() -> Path:
    folder = peers.ROOT / "build" / "bench"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


# --- figures ---------------------------------------------------------------------------------------------------


def _print(turns: dict[str, list[Turn]], pages: int) -> None:
    ours = turns.get("textmill")
    print(f"{'':14}{'pages/CPU s':>22}{'pages/s':>10}{'ratio':>24}{'peak MB':>9}{'archive MB':>12}")
    for way, each in turns.items():
        rates = sorted(pages / turn.cpu for turn in each)
        ratio = ""
        if ours and way != "textmill":
            ratios = sorted(peer.cpu / turn.cpu for peer, turn in zip(each, ours, strict=True))
            ratio = f"{statistics.median(ratios):.1f} ({ratios[0]:.1f}-{ratios[-1]:.1f})"
        print(
            f"{way:14}{f'{statistics.median(rates):.0f} ({rates[0]:.0f}-{rates[-1]:.0f})':>22}"
            f"{pages / statistics.median(turn.wall for turn in each):>10.0f}{ratio:>24}"
            f"{max(turn.memory for turn in each) / 1e6:>9.0f}{each[0].archive / 1e6:>12.1f}"
        )


if __name__ == "__main__":
    sys.exit(main())
