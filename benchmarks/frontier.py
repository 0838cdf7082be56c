"""The crawler's frontier as it grows: resident memory, addresses per CPU second, bytes on disk.

    python -m benchmarks frontier --addresses 10_000_000

Pages of 50 links, half of them known already, on many hosts; each page is leased and settled, 64 pages to a
transaction, as a crawl does it. The first line that memory is compared with is that of a tenth of the addresses.
"""

from __future__ import annotations

import argparse
import itertools
import json
import random
import resource
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks import machine
from textmill.crawl.frontier import Frontier
from textmill.crawl.frontier_rows import Link, Settled
from textmill.crawl.outcomes import ARCHIVED

LINKS = 50
PAGES = 64
HOSTS = 20_000


def grow(path: Path, addresses: int, steps: int = 10) -> Iterator[dict[str, float]]:
    """Fill a frontier; yields its figures at every `steps`-th part of the way."""
    frontier = Frontier(path / "frontier.sqlite", max_per_prefix=20_000, max_per_path=500)
    rng = random.Random(5)
    marks = itertools.count(1)
    mark = next(marks)
    made = 0
    began = time.process_time()
    while made < addresses:
        frontier.begin()
        for host in frontier.hosts_in_turn(PAGES, set()):
            frontier.settle(
                Settled(job, ARCHIVED, "page", status=200) for job in frontier.lease(host.id, 1, set())
            )
        for _ in range(PAGES):
            fresh = [made + n for n in range(LINKS // 2)]
            known = [rng.randrange(made + 1) for _ in range(LINKS // 2)]
            made += LINKS // 2
            frontier.add([_link(number) for pair in zip(fresh, known, strict=True) for number in pair])
        frontier.commit()
        if made >= addresses * mark // steps:
            seconds = time.process_time() - began
            yield {
                "addresses": made,
                "resident_mb": _resident() / 1e6,
                "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6,
                "per_cpu_second": (addresses // steps) * 2 / seconds,
                "disk_mb": sum(file.stat().st_size for file in path.iterdir()) / 1e6,
            }
            mark = next(marks)
            began = time.process_time()
    frontier.close()


def _link(number: int) -> Link:
    # Twenty addresses in a row are of one host, and five of five others.
    block, place = divmod(number, LINKS // 2)
    host = (block if place < 20 else block * 5 + place) % HOSTS
    origin = f"https://www.host-{host}.example"
    return Link(f"{origin}/articles/{number % 97}/a-page-about-the-mill-{number}.html", origin, number % 17)


def _resident() -> int:
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) * 1024


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--addresses", type=int, default=1_000_000)
    parser.add_argument("--folder", type=Path, help="where the frontier is kept meanwhile")
    parser.add_argument("--json", action="store_true", help="one JSON object per line, for programs")
    arguments = parser.parse_args()
    folder = Path(tempfile.mkdtemp(dir=arguments.folder))
    if not arguments.json:
        print(machine.describe())
        print(f"{'addresses':>12}{'resident MB':>13}{'peak MB':>9}{'links/CPU s':>13}{'bytes/address':>15}")
    try:
        for row in grow(folder, arguments.addresses):
            if arguments.json:
                print(json.dumps(row), flush=True)
                continue
            print(
                f"{row['addresses']:>12,.0f}{row['resident_mb']:>13.1f}{row['peak_mb']:>9.1f}"
                f"{row['per_cpu_second']:>13,.0f}{row['disk_mb'] * 1e6 / row['addresses']:>15.0f}",
                flush=True,
            )
    finally:
        shutil.rmtree(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
