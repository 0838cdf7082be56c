"""Sources into numbered shards: ``train_000000.npy``, ... of exactly so many tokens, and ``tokens.json``.

::

    source ─► splits ─► workers: .building/part-000123.npy + documents ─┐ in the order of the splits
                                                                        └─► train_000007.npy + .documents.parquet
                                                                            tokens.json, failures.jsonl

Shards depend on the documents, the tokenizer and their size alone, not on workers. After each shard the state
is written: how many shards are finished, and which token of which part comes next. The same command
continues there, and encodes only the parts that are not there yet; finished shards are never written twice.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from textmill.errors import UserError
from textmill.steps.source import SourceSettings
from textmill.tokenizer.folder import TOKENIZER, tokenizer_files
from textmill.tokenizer.load import load_encoder
from textmill.tokens.build import token_dtype
from textmill.tokens.consolidated import MANIFEST as CONSOLIDATED
from textmill.tokens.document_tables import table_path
from textmill.tokens.encode_part import BUCKETS, encoded_source
from textmill.tokens.folder_lock import only_writer
from textmill.tokens.numbered_shards import blocks, read_header, shard_name, shard_numbers
from textmill.tokens.shard_filler import FilledShard, ShardFiller
from textmill.tokens.shard_manifest import NAME as MANIFEST
from textmill.tokens.shard_manifest import ShardManifest
from textmill.tokens.shard_writer import sha256_of

Map = Callable[[str, Sequence[Mapping[str, Any]]], Iterator[tuple[int, Any]]]
"""Runs a task (``package.module:function``) on items; gives position and result as they finish."""

BUILDING = ".building"
FAILURES = "failures.jsonl"
SPLIT_BYTES = 64 * 2**20
COMPILED_FROM_BYTES = 32 * 2**20
# Raised whenever the same input and settings would give other files.
BUILD_VERSION = 1


@dataclass(frozen=True)
class BuildPlan:
    """What to build.

    Attributes:
        output: folder of the shards.
        tokenizer: its folder or ``tokenizer.json``.
        shard_tokens: tokens of every shard but the last.
        total: tokens in all at most.
        token_dtype: uint16 or uint32; left out, the smallest that holds the vocabulary.
        eos_token: the end-of-text token, when the tokenizer's own files shall not decide.
        seed: chooses the documents of a test shard.
        test_shard: one shard of documents drawn from the whole input by hash.
    """

    output: Path
    tokenizer: Path
    shard_tokens: int = 1024**3
    total: int = 150 * 1024**3
    token_dtype: str | None = None
    eos_token: str | None = None
    seed: int = 0
    test_shard: bool = False

    @property
    def budget(self) -> int:
        """Tokens to write at most."""
        return min(self.total, self.shard_tokens) if self.test_shard else self.total


def build_shards(
    plan: BuildPlan,
    sources: Sequence[SourceSettings],
    run: Map,
    *,
    split_bytes: int = SPLIT_BYTES,
    say: Callable[[str], None] = lambda _line: None,
    progress: Callable[[int, int, int], None] = lambda _parts, _of, _tokens: None,
) -> ShardManifest:
    """Build the shards, or go on where an interrupted attempt stopped.

    Args:
        plan: what to build.
        sources: where the documents come from, in order.
        run: runs tasks on workers; see :data:`Map`.
        split_bytes: text per part, about; what a worker's part takes on disk until it is in a shard.
        say: told what a person should know.
        progress: called with parts done, parts in all, and tokens so far.

    Raises:
        UserError: no input, no tokenizer, a vocabulary that the dtype cannot hold, nothing to write, or a
            folder that holds the shards of another build.
    """
    common = _task(plan)
    parts = [
        {"source": encoded_source(source), "split": asdict(split)}
        for source in sources
        for split in source.plan(split_bytes)
    ]
    common["compiled"] = sum(part["split"]["bytes"] for part in parts) >= COMPILED_FROM_BYTES
    key = _key(plan, common, parts)
    plan.output.mkdir(parents=True, exist_ok=True)
    with only_writer(plan.output):
        return _build(plan, key, common, parts, run, say, progress)


def _build(
    plan: BuildPlan,
    key: str,
    common: dict[str, Any],
    parts: list[dict[str, Any]],
    run: Map,
    say: Callable[[str], None],
    progress: Callable[[int, int, int], None],
) -> ShardManifest:
    state = _State.read(plan, key)
    if state.finished:
        manifest = ShardManifest.read(plan.output)
        assert manifest is not None
        gone = [shard.name for shard in manifest.shards if not (plan.output / shard.name).is_file()]
        if gone and not (plan.output / CONSOLIDATED).is_file():
            raise UserError(
                "Shards of this finished build are gone.",
                expected=f"{len(manifest.shards)} shards",
                found=f"no {gone[0]}",
                where=str(plan.output),
                hint="fetch them again, or add --restart to build anew",
            )
        say("these shards are finished already: nothing to do")
        return manifest
    if plan.test_shard and state.threshold is None:
        state.threshold = _threshold(plan, common, parts, run, progress)
        state.write()
    if state.shards or state.part:
        say(
            f"going on: {len(state.shards)} shards are finished, part {state.part} of {len(parts)} comes next"
        )
    used = _fill(plan, state, common, parts, run, say, progress)
    return _finish(plan, state, common, used)


class _State:
    """Where the build stands, on disk after each shard."""

    def __init__(self, folder: Path, key: str) -> None:
        self.folder = folder
        self.key = key
        self.part = 0
        self.token = 0
        self.shards: list[FilledShard] = []
        self.threshold: int | None = None
        self.finished = False

    @classmethod
    def read(cls, plan: BuildPlan, key: str) -> _State:
        folder = plan.output / BUILDING
        state = cls(folder, key)
        path = folder / "state.json"
        if path.is_file():
            value = json.loads(path.read_text("utf-8"))
            if value["key"] == key:
                state.part, state.token, state.threshold = value["part"], value["token"], value["threshold"]
                state.shards = [FilledShard(**shard) for shard in value["shards"]]
                state.finished = (plan.output / MANIFEST).is_file()
            else:
                state = None  # type: ignore[assignment]
        elif shard_numbers(plan.output) or (plan.output / MANIFEST).is_file():
            state = None  # type: ignore[assignment]
        if state is None:
            raise UserError(
                "This folder holds the shards of another build.",
                expected="an empty folder, or one that the same command began with the same input",
                found=f"{len(shard_numbers(plan.output))} shards",
                where=str(plan.output),
                hint="name another folder, or add --restart to delete these shards and begin anew",
            )
        folder.mkdir(exist_ok=True)
        return state

    def write(self) -> None:
        value = {
            "key": self.key,
            "part": self.part,
            "token": self.token,
            "threshold": self.threshold,
            "shards": [asdict(shard) for shard in self.shards],
        }
        partial = self.folder / "state.json.partial"
        partial.write_text(json.dumps(value, indent=1) + "\n", "utf-8")
        partial.replace(self.folder / "state.json")


def remove_build(folder: Path) -> None:
    """Delete the shards of an earlier build, and nothing else."""
    for number in shard_numbers(folder):
        path = folder / shard_name(number)
        path.unlink()
        table_path(path).unlink(missing_ok=True)
    for name in (MANIFEST, FAILURES):
        (folder / name).unlink(missing_ok=True)
    for path in folder.glob("train_*.partial"):
        path.unlink()
    shutil.rmtree(folder / BUILDING, ignore_errors=True)


def _task(plan: BuildPlan) -> dict[str, Any]:
    files = tokenizer_files(plan.tokenizer)
    encoder = load_encoder(plan.tokenizer, plan.eos_token)
    dtype = plan.token_dtype or token_dtype(encoder.vocab_size)
    if encoder.vocab_size > 2 ** int(dtype.removeprefix("uint")):
        raise UserError(
            "The vocabulary is larger than the token dtype can hold.",
            expected=f"at most {2**16:,} entries for uint16",
            found=f"{encoder.vocab_size:,} entries",
            where="--token-dtype uint16",
            hint="leave --token-dtype out, or use uint32",
        )
    return {
        "tokenizer": str(plan.tokenizer.absolute()),
        "tokenizer_sha256": sha256_of(files[TOKENIZER]),
        "vocab_size": encoder.vocab_size,
        "eos_id": encoder.eos_id,
        "eos_token": encoder.eos_token,
        "dtype": dtype,
        "seed": plan.seed,
        "threshold": None,
    }


def _key(plan: BuildPlan, common: Mapping[str, Any], parts: Sequence[Mapping[str, Any]]) -> str:
    """Names everything that the shards depend on."""
    value = {
        "version": BUILD_VERSION,
        "shard_tokens": plan.shard_tokens,
        "budget": plan.budget,
        "test_shard": plan.test_shard,
        **{name: common[name] for name in common if name not in ("tokenizer", "compiled")},
        "parts": parts,
    }
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def _threshold(
    plan: BuildPlan,
    common: Mapping[str, Any],
    parts: Sequence[Mapping[str, Any]],
    run: Map,
    progress: Callable[[int, int, int], None],
) -> int:
    """The hash below which documents make up about one shard: every document has the same chance."""
    histogram = [0] * BUCKETS
    sample_bytes = sample_tokens = 0
    items = [{**common, **part} for part in parts]
    for done, (_, result) in enumerate(run("textmill.tokens.encode_part:measure_part", items), 1):
        histogram = [a + b for a, b in zip(histogram, result["bytes"], strict=True)]
        sample_bytes += result["sample_bytes"]
        sample_tokens += result["sample_tokens"]
        progress(done, len(parts), 0)
    if not sample_tokens:
        return 2**64
    wanted = plan.budget * sample_bytes / sample_tokens
    seen = 0.0
    for bucket, size in enumerate(histogram):
        if size and seen + size >= wanted:
            return min(2**64, (bucket << 52) + int((wanted - seen) / size * 2**52))
        seen += size
    return 2**64


def _fill(
    plan: BuildPlan,
    state: _State,
    common: Mapping[str, Any],
    parts: Sequence[Mapping[str, Any]],
    run: Map,
    say: Callable[[str], None],
    progress: Callable[[int, int, int], None],
) -> int:
    """Encode and fill; returns how many parts were needed before the budget was spent."""
    for leftover in plan.output.glob("train_*.partial"):
        leftover.unlink()
    written = sum(shard.tokens for shard in state.shards)
    current = state.part

    def finished(shard: FilledShard, place: int) -> None:
        state.shards.append(shard)
        state.part, state.token = current, place
        state.write()

    filler = ShardFiller(plan.output, common["dtype"], plan.shard_tokens, finished, first=len(state.shards))
    paths = [state.folder / f"part-{number:06d}" for number in range(len(parts))]
    missing = [number for number in range(state.part, len(parts)) if not _is_encoded(paths[number])]
    results = run(
        "textmill.tokens.encode_part:encode_part",
        [
            {**common, **parts[number], "path": str(paths[number]), "threshold": state.threshold}
            for number in missing
        ],
    )
    start, warned, removed = state.token, False, state.part
    for number in range(state.part, len(parts)):
        if written >= plan.budget:
            break
        while not _is_encoded(paths[number]):
            _, result = next(results)
            if result["fell_back"] and not warned:
                warned = True
                say(f"encoding by the tokenizers library, which is slower: {result['fell_back']}")
        tokens = json.loads(paths[number].with_suffix(".json").read_text("utf-8"))["tokens"]
        stop = min(tokens, start + plan.budget - written)
        current = number
        filler.fill(paths[number].with_suffix(".npy"), start, stop)
        written += stop - start
        start = 0
        # Parts that the unfinished shard began with stay: after an interruption it is filled anew.
        for old in range(removed, state.part):
            _remove_part(paths[old])
        removed = max(removed, state.part)
        progress(number + 1, len(parts), written)
    used = current + 1
    if written < plan.budget:
        current = used = len(parts)
    filler.close()
    return used


def _is_encoded(path: Path) -> bool:
    return path.with_suffix(".json").is_file()


def _remove_part(path: Path) -> None:
    """Delete a part's tokens; its record and its failures stay until the end."""
    path.with_suffix(".npy").unlink(missing_ok=True)
    table_path(path.with_suffix(".npy")).unlink(missing_ok=True)


def _finish(plan: BuildPlan, state: _State, common: Mapping[str, Any], used: int) -> ShardManifest:
    """Write the list of failures and ``tokens.json``, and delete the parts."""
    failed = documents = 0
    with (plan.output / f"{FAILURES}.partial").open("wb") as file:
        for record in [state.folder / f"part-{number:06d}.json" for number in range(used)]:
            counts = json.loads(record.read_text("utf-8"))
            failed += counts["failed"]
            documents += counts["documents"]
            file.write(record.with_suffix(".failures.jsonl").read_bytes())
    if not state.shards:
        raise UserError(
            "There is nothing to write.",
            expected="documents in the input",
            found=f"{documents} documents, {failed} records that could not be read",
            where=str(plan.output),
            hint="check --input and --text-field",
        )
    (plan.output / f"{FAILURES}.partial").replace(plan.output / FAILURES)
    if not failed:
        (plan.output / FAILURES).unlink()
    shard = read_header(plan.output / state.shards[-1].name)
    last = next(blocks(shard, shard.tokens - 1))
    manifest = ShardManifest(
        **{name: common[name] for name in ("dtype", "vocab_size", "eos_id", "eos_token", "tokenizer_sha256")},
        shard_tokens=plan.shard_tokens,
        failed=failed,
        cut=int(last[0]) != common["eos_id"],
        shards=tuple(state.shards),
    )
    manifest.write(plan.output)
    for path in state.folder.glob("part-*"):
        path.unlink()
    return manifest
