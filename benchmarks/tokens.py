"""Tokens: shards and flat files beside a plain script; batches beside plain slices of a memory map.

    python -m benchmarks.tokens [--data FOLDER ...] [--megabytes 100] [--rounds 3] [--only build|load]

*build*: JSON lines to `train_%06d.npy`, then to `tokens.bin` and `sample_ids.bin` with SHA-256 of both, by the
commands and by a script of tokenizers and NumPy that does no more than that (`--plain`), with as many workers.
The flat files must be the same to the byte. *load*: batches of random windows as int64 tensors. CPU seconds
(user and system, of all processes), taking turns.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import multiprocessing
import os
import resource
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.corpus import data_folders, sample, write_lines
from benchmarks.machine import describe
from benchmarks.peers import ROOT

EOS = "<|endoftext|>"
FOLDER = ROOT / "build" / "bench" / "tokens"
SHARD_TOKENS = 4_000_000
SEQ_LEN = 2048


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, nargs="+")
    parser.add_argument("--megabytes", type=float, default=100)
    parser.add_argument("--vocab-size", type=int, default=32_000)
    parser.add_argument("--workers", type=int, default=max(1, (os.cpu_count() or 1) * 3 // 4))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", choices=("build", "load"))
    parser.add_argument("--plain", type=Path, nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args(argv)
    if arguments.plain:
        return plain_script(*arguments.plain, arguments.workers)
    print(describe())
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    same = True
    if arguments.only != "load":
        same = bench_build(arguments)
    if arguments.only != "build":
        bench_load(arguments.rounds)
    shutil.rmtree(FOLDER)
    return 0 if same else 1


# --- build and consolidate -------------------------------------------------------------------------------------


def bench_build(arguments: argparse.Namespace) -> bool:
    """Print CPU seconds of both; whether their files are the same."""
    from textmill.tokenizer.folder import write_config
    from textmill.tokenizer.training import train_bpe

    found = sample(data_folders(arguments.data), arguments.megabytes)
    size = write_lines(found, FOLDER / "in" / "documents.jsonl")
    times = max(1, -(-int(arguments.megabytes * 1e6) // size))
    size = write_lines(found * times, FOLDER / "in" / "documents.jsonl")
    tokenizer = FOLDER / "tokenizer"
    tokenizer.mkdir()
    content = train_bpe([text for _, text in found[: len(found) // 5 + 1]], vocab_size=arguments.vocab_size)
    (tokenizer / "tokenizer.json").write_text(content, "utf-8")
    write_config(tokenizer, EOS, [], {})
    workers = str(arguments.workers)
    mill = [sys.executable, "-m", "textmill.cli", "tokens"]
    build = [*mill, "build", str(FOLDER / "in"), "--tokenizer", str(tokenizer), "--output", str(FOLDER / "ours"),
             "--shard-tokens", str(SHARD_TOKENS), "--workers", workers]  # fmt: skip
    join = [*mill, "consolidate", "--data-root", str(FOLDER / "ours"), "--seq-len", str(SEQ_LEN)]
    plain = [sys.executable, "-m", "benchmarks.tokens", "--workers", workers, "--plain",
             str(FOLDER / "in" / "documents.jsonl"), str(tokenizer / "tokenizer.json"),
             str(FOLDER / "plain")]  # fmt: skip
    sides: dict[str, list[list[str]]] = {"textmill": [build, join], "shuffled": [[*build, "--shuffle-seed", "1"]],
                                         "plain": [plain]}  # fmt: skip
    timed: dict[str, list[tuple[float, float]]] = {name: [] for name in sides}
    digests = {}
    subprocess.run(
        [*build, "--total", "1000"], check=True, capture_output=True
    )  # compile, fill the page cache
    for _ in range(arguments.rounds):
        for name, commands in sides.items():
            for folder in ("ours", "plain"):
                if name == "shuffled" or folder != "ours" or name != "plain":
                    shutil.rmtree(FOLDER / folder, ignore_errors=True)
            timed[name].append(measured(commands))
            if name != "shuffled":
                side = FOLDER / ("ours" if name == "textmill" else "plain")
                digests[name] = [file_digest(side / file) for file in ("tokens.bin", "sample_ids.bin")]
    same = digests["textmill"] == digests["plain"]
    print(
        f"\nbuild + consolidate, {size / 1e6:.0f} MB of text, {len(found):,} documents "
        f"{times} times, {workers} workers"
    )
    print(f"{'':<28}{'MB per CPU s':>14}{'MB per s':>10}   plain/it min median max")
    for name, label in (
        ("textmill", "textmill"),
        ("shuffled", "build alone, shuffled"),
        ("plain", "plain script"),
    ):
        cpu, wall = (statistics.median(pair[i] for pair in timed[name]) for i in (0, 1))
        pairs = zip(timed["plain"], timed[name], strict=True)
        ratios = sorted(theirs[0] / ours[0] for theirs, ours in pairs)
        print(f"{label:<28}{size / cpu / 1e6:>14.2f}{size / wall / 1e6:>10.2f}   "
              f"{ratios[0]:.2f} {statistics.median(ratios):.2f} {ratios[-1]:.2f}")  # fmt: skip
    print("tokens.bin and sample_ids.bin are the same" if same else f"FILES DIFFER: {digests}")
    return same


def measured(commands: Sequence[Sequence[str]]) -> tuple[float, float]:
    """CPU seconds of the commands and all of their children, and seconds on the clock."""
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    for command in commands:
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=ROOT)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    return cpu, time.perf_counter() - started


def file_digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def plain_script(source: Path, tokenizer: Path, output: Path, workers: int) -> int:
    """What row D describes, by tokenizers and NumPy."""
    output.mkdir(parents=True)
    shard, filled, number = np.empty(SHARD_TOKENS, np.uint16), 0, 0
    with multiprocessing.Pool(workers, _load_tokenizer, (str(tokenizer),)) as pool, source.open() as lines:
        for tokens in pool.imap(_encode, lines, chunksize=16):
            while len(tokens):
                part = tokens[: SHARD_TOKENS - filled]
                shard[filled : filled + len(part)] = part
                filled += len(part)
                tokens = tokens[len(part) :]
                if filled == SHARD_TOKENS:
                    np.save(output / f"train_{number:06d}.npy", shard)
                    filled, number = 0, number + 1
    if filled:
        np.save(output / f"train_{number:06d}.npy", shard[:filled])
    with (output / "tokens.bin").open("wb") as joined:
        for path in sorted(output.glob("train_*.npy")):
            np.load(path, mmap_mode="r").tofile(joined)
    data = np.memmap(output / "tokens.bin", np.uint16, "r")
    samples = len(data) // SEQ_LEN
    ids = np.empty(samples, np.uint64)
    for i in range(samples):
        digest = hashlib.blake2b(data[i * SEQ_LEN : (i + 1) * SEQ_LEN].tobytes(), digest_size=8).digest()
        ids[i] = int.from_bytes(digest, "little")
    ids.tofile(output / "sample_ids.bin")
    for name in ("tokens.bin", "sample_ids.bin"):
        print(name, file_digest(output / name))
    return 0


def _load_tokenizer(path: str) -> None:
    global _TOKENIZER, _EOS_ID
    from tokenizers import Tokenizer

    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    _TOKENIZER = Tokenizer.from_file(path)
    _TOKENIZER.encode_special_tokens = True
    _EOS_ID = _TOKENIZER.token_to_id(EOS)


def _encode(line: str) -> np.ndarray:
    ids = _TOKENIZER.encode(json.loads(line)["text"], add_special_tokens=False).ids
    return np.array([*ids, _EOS_ID], np.uint16)


# --- load ------------------------------------------------------------------------------------------------------


def bench_load(rounds: int, tokens: int = 30_000_000, rows: int = 32) -> None:
    """Print tokens per CPU second of batches of int64 tensors."""
    import torch

    from textmill.tokens.consolidated import ConsolidatedTokens
    from textmill.tokens.loader import Loader
    from textmill.tokens.packing import pack_documents
    from textmill.tokens.windows import PackedWindows, StreamWindows

    torch.set_num_threads(1)
    folder = FOLDER / "bins"
    folder.mkdir()
    random = np.random.default_rng(0)
    random.integers(0, 50_000, tokens, np.uint16).tofile(folder / "tokens.bin")
    sizes = random.lognormal(6, 1, tokens // 300).astype(np.int64) + 1
    borders = np.append(0, np.cumsum(sizes))
    borders = np.append(borders[borders < tokens], tokens)

    for seq_len in (SEQ_LEN, 512):
        np.zeros(tokens // seq_len, np.uint64).tofile(folder / "sample_ids.bin")
        stream = ConsolidatedTokens(folder, seq_len, "uint16")
        steps = len(stream) // rows
        windows: dict[str, Any] = {
            "windows": StreamWindows(stream, seq_len),
            "windows, documents known": StreamWindows(stream, seq_len, borders=borders),
            "documents packed": PackedWindows(stream, pack_documents(borders, seq_len)),
        }
        work: dict[str, Callable[[], Iterator[Any]]] = {
            "plain slices": lambda s=steps, n=seq_len: plain_batches(folder, n, rows, s)
        }
        for name, each in windows.items():
            data = Loader(each, batch_size=rows, seed=1).as_torch(steps)
            work[name] = lambda data=data: (data[step]["tokens"] for step in range(len(data)))
        seconds: dict[str, list[float]] = {name: [] for name in work}
        for _ in range(rounds + 1):
            for name, batches in work.items():
                start = time.process_time()
                for _batch in batches():
                    pass
                seconds[name].append(time.process_time() - start)
        print(f"\nload, {tokens:,} tokens, windows of {seq_len:,} in random order, {rows} a batch")
        print(f"{'':<28}{'million tokens per CPU s':>26}   plain/it min median max")
        for name, times in seconds.items():
            ratios = sorted(a / b for a, b in zip(seconds["plain slices"][1:], times[1:], strict=True))
            print(f"{name:<28}{steps * rows * seq_len / statistics.median(times[1:]) / 1e6:>26.0f}   "
                  f"{ratios[0]:.2f} {statistics.median(ratios):.2f} {ratios[-1]:.2f}")  # fmt: skip


def plain_batches(folder: Path, seq_len: int, rows: int, steps: int) -> Iterator[Any]:
    """As nanoGPT's training script does it: a memory map, random places, a stack of int64 tensors."""
    import torch

    data = np.memmap(folder / "tokens.bin", np.uint16, "r")
    for _ in range(steps):
        places = torch.randint(len(data) - seq_len, (rows,))
        yield torch.stack([torch.from_numpy(data[i : i + seq_len].astype(np.int64)) for i in places.tolist()])


if __name__ == "__main__":
    sys.exit(main())
