"""Whole runs of near_dedup on graded copies: cost by size, and the same slice through datatrove and text-dedup."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmarks import corpus, dedup_corpus, peers
from benchmarks.dedup_truth import similar_pairs

THRESHOLD = 0.8
STEPS = (10, 50, 200, 1000, 2000)  # MB
PAUSE = 0.1  # seconds between two looks at memory


@dataclass(frozen=True)
class Cost:
    """What a command took: seconds on the clock and of CPU, and the memory of all its processes together.

    Attributes:
        resident: MiB; greatest sum of the resident sets, pages that processes share counted once (PSS).
    """

    seconds: float
    cpu: float
    resident: float


def sizes(found: list[corpus.Document], largest: float, workers: int) -> None:
    """Runs of growing size; CPU seconds per MB beside those of the 50 MB run tell whether it is linear."""
    print(f"\nsizes: near_dedup at 0.8 from JSON lines to cleaned shards, {workers} workers")
    print(
        f"{'MB':>8}{'documents':>12}{'removed':>10}{'seconds':>10}{'CPU s':>9}{'CPU s/GB':>10}{'peak MiB':>10}"
        f"{'CPU s without near_dedup':>28}"
    )
    for megabytes in (step for step in STEPS if step <= largest):
        with scratch() as folder:
            path = folder / "graded.jsonl"
            documents, size = dedup_corpus.write(found, megabytes, path)
            cost, run = near_dedup(path, folder, workers)
            bare, _ = near_dedup(path, folder, workers, steps="[]")
            print(
                f"{size / 1e6:8.0f}{documents:12,}{len(removals(run)):10,}{cost.seconds:10.1f}{cost.cpu:9.1f}"
                f"{cost.cpu / size * 1e9:10.1f}{cost.resident:10.0f}{bare.cpu:28.1f}",
                flush=True,
            )


def beside_peers(
    found: list[corpus.Document],
    megabytes: float,
    rounds: int,
    workers: int,
    python: Path,
    text_dedup: Path | None,
) -> None:
    """One slice, every tool from JSON lines to what it keeps, in turns."""
    with scratch() as folder:
        path = folder / "graded.jsonl"
        documents, size = dedup_corpus.write(found, megabytes, path)
        records = [json.loads(text) for text in path.read_text("utf-8").splitlines()]
        truth = Truth([record["id"] for record in records], [record["text"] for record in records])
        print(f"\npeers: {documents:,} documents, {size / 1e6:.1f} MB of graded copies, {workers} workers")
        print(
            f"{'':20}{'seconds':>9}{'CPU s':>9}{'MB/CPU s':>10}{'peak MiB':>10}{'kept':>9}{'false':>8}{'missed':>8}"
        )
        for turn in range(rounds):
            cost, run = near_dedup(path, folder, workers, name=f"run{turn}")
            show("textmill", cost, size, kept_of_run(run, path), truth)
            cost, kept = datatrove(path, folder / f"datatrove{turn}", workers, python)
            show("datatrove, 4 stages", cost, size, kept, truth)
            if text_dedup:
                cost, kept = run_text_dedup(path, folder / f"text-dedup{turn}", workers, text_dedup)
                show("text-dedup", cost, size, kept, truth)
        print(f"false: documents gone without a kept one at {THRESHOLD} or more;")
        print("missed: pairs at 0.85 or more of which both are kept")


class Truth:
    """The pairs that an exhaustive comparison finds."""

    def __init__(self, names: Sequence[str], texts: Sequence[str]) -> None:
        self._names = names
        self._first, self._second, self._similarity = similar_pairs(texts, THRESHOLD)

    def false(self, kept: set[str]) -> int:
        """Documents that are gone although no kept one is similar enough."""
        stays = self._stays(kept)
        excused = stays.copy()
        excused[self._first[stays[self._second]]] = True
        excused[self._second[stays[self._first]]] = True
        return int((~excused).sum())

    def missed(self, kept: set[str], least: float = 0.85) -> int:
        """Pairs at `least` or more of which both are kept."""
        stays = self._stays(kept)
        both = stays[self._first] & stays[self._second] & (self._similarity >= least)
        return int(both.sum())

    def _stays(self, kept: set[str]) -> npt.NDArray[np.bool_]:
        return np.array([name in kept for name in self._names], np.bool_)


def show(name: str, cost: Cost, size: int, kept: set[str], truth: Truth) -> None:
    print(
        f"{name:20}{cost.seconds:9.1f}{cost.cpu:9.1f}{size / 1e6 / cost.cpu:10.2f}{cost.resident:10.0f}"
        f"{len(kept):9,}{truth.false(kept):8,}{truth.missed(kept):8,}",
        flush=True,
    )


def near_dedup(
    path: Path, folder: Path, workers: int, name: str = "run", steps: str = "[near_dedup: {threshold: 0.8}]"
) -> tuple[Cost, Path]:
    """`textmill run` on JSON lines; the run folder."""
    recipe = folder / "recipe.yaml"
    recipe.write_text(
        f"name: dedup\nsources:\n  - files: {{paths: {str(path)!r}}}\ncurate: {steps}\n", "utf-8"
    )
    run = folder / (name if steps != "[]" else f"{name}-bare")
    command = [sys.executable, "-m", "textmill.cli", "run", str(recipe), "--out", str(run)]
    return measured([*command, "--workers", str(workers)]), run


def removals(run: Path) -> list[tuple[int, int, float]]:
    """Line of the document that went, line of the one that was kept, similarity; lines of the input from 0."""
    import textmill

    events = textmill.Run(run).ledger("events")
    documents = dict(textmill.Run(run).ledger("verdicts").project("id, locator").fetchall())
    rows = events.filter("step = 'near_dedup' AND matched_id IS NOT NULL").project(
        "locator, matched_id, similarity"
    )
    return [(line(gone), line(documents[kept]), similarity) for gone, kept, similarity in rows.fetchall()]


def line(locator: str) -> int:
    return int(locator.rpartition(":")[2]) - 1


def kept_of_run(run: Path, path: Path) -> set[str]:
    gone = {each[0] for each in removals(run)}
    with path.open(encoding="utf-8") as lines:
        return {json.loads(text)["id"] for number, text in enumerate(lines) if number not in gone}


def datatrove(path: Path, folder: Path, workers: int, python: Path) -> tuple[Cost, set[str]]:
    """The four stages, the input in as many files as there are workers."""
    source = folder / "in"
    source.mkdir(parents=True)
    files = [(source / f"{number}.jsonl").open("w", encoding="utf-8") for number in range(workers)]
    with path.open(encoding="utf-8") as lines:
        for number, text in enumerate(lines):
            files[number % workers].write(text)
    for file in files:
        file.close()
    script = str(Path(__file__).with_name("peer_dedup.py"))
    out = folder / "result.json"
    command = [str(python), script, "stages", str(source / "*.jsonl"), str(folder), str(workers), str(out)]
    cost = measured(command)
    return cost, set(json.loads(out.read_text("utf-8"))["kept"])


def run_text_dedup(path: Path, folder: Path, workers: int, python: Path) -> tuple[Cost, set[str]]:
    """Its MinHash command with 128 permutations and the threshold 0.8, which has it choose 9 bands of 13 rows."""
    out = folder / "out"
    command = [
        *(str(python), "-m", "text_dedup.minhash", "--path", "json", "--data_files", str(path)),
        *("--split", "train", "--column", "text", "--output", str(out), "--cache_dir", str(folder / "cache")),
        *("--num_perm", "128", "--threshold", "0.8", "--hash_func", "xxh3", "--num_proc", str(workers)),
    ]
    cost = measured(command)
    code = "import datasets,sys,json;print(json.dumps(datasets.load_from_disk(sys.argv[1])['id'][:]))"
    listed = subprocess.run([str(python), "-c", code, str(out)], capture_output=True, text=True, check=True)
    return cost, set(json.loads(listed.stdout.splitlines()[-1]))


@contextmanager
def scratch() -> Iterator[Path]:
    parent = peers.ROOT / "build" / "bench"
    parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=parent, prefix="dedup-") as folder:
        yield Path(folder)


def measured(command: list[str]) -> Cost:
    """Run a command to its end.

    Raises:
        RuntimeError: it failed; the message ends with what it said.
    """
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    begin = time.monotonic()
    peak = 0
    with tempfile.TemporaryFile("w+") as said:
        child = subprocess.Popen(
            command, stdout=said, stderr=said, env=os.environ | {"HF_HUB_OFFLINE": "1", "PYTHONUTF8": "1"}
        )
        done = threading.Event()

        def watch() -> None:
            nonlocal peak
            while not done.wait(PAUSE):
                peak = max(peak, sum(map(proportional, family(child.pid))))

        watcher = threading.Thread(target=watch)
        watcher.start()
        child.wait()
        done.set()
        watcher.join()
        if child.returncode:
            said.seek(0)
            raise RuntimeError(f"{' '.join(command)} failed:\n{said.read()[-3000:]}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Cost(time.monotonic() - begin, spent, peak / 1024)


def family(root: int) -> list[int]:
    """A process and all that come from it."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue
            children.setdefault(parent, []).append(int(entry.name))
    found = [root]
    for process in found:
        found.extend(children.get(process, []))
    return found


def proportional(process: int) -> int:
    """KiB resident, a page shared by n processes as an nth; 0 when the process is gone."""
    try:
        for row in Path(f"/proc/{process}/smaps_rollup").read_text().splitlines():
            if row.startswith("Pss:"):
                return int(row.split()[1])
    except OSError:
        pass
    return 0
