"""Sources into numbered shards: ``train_000000.npy``, ... of exactly so many tokens, and ``tokens.json``.

::

    source ─► splits ─► workers: .building/part-000123.npy ─┐ in the order of the splits,
                                                            │ or all of them, then ranges of a keyed hash
                                                            └─► train_000007.npy + .documents.parquet
                                                                tokens.json, failures.jsonl

Shards depend on the documents, the tokenizer and their size alone, not on workers. After each shard the state
is written: how many shards are finished, and which token of which piece comes next. The same command
continues there, and makes only the pieces that are not there yet; finished shards are never written twice.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from textmill.errors import UserError
from textmill.steps.source import SourceSettings
from textmill.tokenizer.folder import TOKENIZER, tokenizer_files
from textmill.tokenizer.load import load_encoder
from textmill.tokens.build import token_dtype
from textmill.tokens.build_state import FAILURES, BuildState
from textmill.tokens.consolidated import MANIFEST as CONSOLIDATED
from textmill.tokens.encode_part import encoded_source
from textmill.tokens.folder_lock import only_writer
from textmill.tokens.numbered_shards import blocks, read_header
from textmill.tokens.part_files import ranges_of, read_record, remove_tokens
from textmill.tokens.shard_filler import FilledShard, ShardFiller
from textmill.tokens.shard_manifest import ShardManifest
from textmill.tokens.shard_writer import sha256_of
from textmill.tokens.test_shard import threshold_of

Map = Callable[[str, Sequence[Mapping[str, Any]]], Iterator[tuple[int, Any]]]
"""Runs a task (``package.module:function``) on items; gives position and result as they finish."""

SPLIT_BYTES = 64 * 2**20
# Tokens of a shuffled corpus that a worker sorts at a time.
PIECE_TOKENS = 2**26
COMPILED_FROM_BYTES = 32 * 2**20
# Raised whenever the same input and settings would give other files.
BUILD_VERSION = 2


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
        shuffle_seed: documents stand in the order of a hash of their ids keyed by this; None: in the order
            of the input.
    """

    output: Path
    tokenizer: Path
    shard_tokens: int = 1024**3
    total: int = 150 * 1024**3
    token_dtype: str | None = None
    eos_token: str | None = None
    seed: int = 0
    test_shard: bool = False
    shuffle_seed: int | None = None

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
        split_bytes: text per part, about; what a worker's part takes on disk until it is in a shard. With a
            shuffle all parts stay on disk until the last shard is full.
        say: told what a person should know.
        progress: called with pieces done, pieces in all, and tokens so far.

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
    plan.output.mkdir(parents=True, exist_ok=True)
    with only_writer(plan.output):
        state = BuildState.read(plan.output, _key(plan, common, parts))
        if state.finished:
            say("these shards are finished already: nothing to do")
            return _finished_before(plan.output)
        return _Build(plan, state, common, parts, run, say, progress).build()


def _finished_before(folder: Path) -> ShardManifest:
    manifest = ShardManifest.read(folder)
    assert manifest is not None
    gone = [shard.name for shard in manifest.shards if not (folder / shard.name).is_file()]
    if gone and not (folder / CONSOLIDATED).is_file():
        raise UserError(
            "Shards of this finished build are gone.",
            expected=f"{len(manifest.shards)} shards",
            found=f"no {gone[0]}",
            where=str(folder),
            hint="fetch them again, or add --restart to build anew",
        )
    return manifest


@dataclass
class _Build:
    """One attempt: from the state it finds to the finished shards."""

    plan: BuildPlan
    state: BuildState
    common: dict[str, Any]
    parts: list[dict[str, Any]]
    run: Map
    say: Callable[[str], None]
    progress: Callable[[int, int, int], None]

    def build(self) -> ShardManifest:
        if self.plan.test_shard and self.state.threshold is None:
            self.state.threshold = threshold_of(self.measured(), self.plan.budget)
            self.state.write()
        paths = [self.state.folder / f"part-{number:06d}" for number in range(len(self.parts))]
        items = [
            {**self.common, **part, "path": str(path), "threshold": self.state.threshold}
            for part, path in zip(self.parts, paths, strict=True)
        ]
        if self.state.shards or self.state.piece:
            self.say(f"going on: {len(self.state.shards)} shards are finished")
        encode = "textmill.tokens.encode_part:encode_part"
        if self.plan.shuffle_seed is None:
            used = self.fill(encode, items)
            return self.finish(paths[:used])
        for number, _ in enumerate(self.pieces(encode, items, 0), 1):
            self.progress(number, len(items), 0)
        self.fill("textmill.tokens.part_files:gather_range", self.ranges(paths))
        return self.finish(paths)

    def measured(self) -> Iterator[dict[str, Any]]:
        """Bytes of text by hash of the document, and bytes per token, of each part."""
        items = [self.common | part for part in self.parts]
        for done, (_, result) in enumerate(self.run("textmill.tokens.encode_part:measure_part", items), 1):
            self.progress(done, len(items), 0)
            yield result

    def ranges(self, parts: Sequence[Path]) -> list[dict[str, Any]]:
        """Ranges of the hash, to be taken out of all parts."""
        return [
            {
                "parts": [str(part) for part in parts],
                "first": first,
                "last": last,
                "dtype": self.common["dtype"],
                "path": str(self.state.folder / f"range-{number:06d}"),
            }
            for number, (first, last) in enumerate(ranges_of(parts, PIECE_TOKENS))
        ]

    def pieces(
        self, task: str, items: Sequence[Mapping[str, Any]], first: int
    ) -> Iterator[tuple[Path, dict[str, Any]]]:
        """Path and record of each piece from ``first`` on, in order; those that are not there yet are made."""
        paths = [Path(item["path"]) for item in items]
        missing = [items[number] for number in range(first, len(items)) if read_record(paths[number]) is None]
        results = self.run(task, missing)
        warned = False
        for path in paths[first:]:
            while (record := read_record(path)) is None:
                _, result = next(results)
                if result.get("fell_back") and not warned:
                    warned = True
                    self.say(f"encoding by the tokenizers library, which is slower: {result['fell_back']}")
            yield path, record

    def fill(self, task: str, items: Sequence[Mapping[str, Any]]) -> int:
        """Fill shards from pieces; returns how many pieces were needed before the budget was spent."""
        state, budget = self.state, self.plan.budget
        for leftover in self.plan.output.glob("train_*.partial"):
            leftover.unlink()
        written = sum(shard.tokens for shard in state.shards)
        start = removed = state.piece
        current, token = start, state.token

        def finished(shard: FilledShard, place: int) -> None:
            state.shards.append(shard)
            state.piece, state.token = current, place
            state.write()

        filler = ShardFiller(
            self.plan.output, self.common["dtype"], self.plan.shard_tokens, finished, first=len(state.shards)
        )
        pieces = self.pieces(task, items, start) if written < budget else iter(())
        for current, (path, record) in enumerate(pieces, start):
            stop = min(record["tokens"], token + budget - written)
            filler.fill(path.with_suffix(".npy"), token, stop)
            written += stop - token
            token = 0
            # Pieces that the unfinished shard began with stay: after an interruption it is filled anew.
            for old in range(removed, state.piece):
                remove_tokens(Path(items[old]["path"]))
            removed = max(removed, state.piece)
            self.progress(current + 1, len(items), written)
            if written >= budget:
                break
        if written < budget:
            current = len(items)
        filler.close()
        return len(items) if written < budget else state.piece + 1

    def finish(self, used: Sequence[Path]) -> ShardManifest:
        """Write the list of failures and ``tokens.json``, and delete the pieces."""
        output, state, common = self.plan.output, self.state, self.common
        failed = documents = 0
        partial = output / f"{FAILURES}.partial"
        with partial.open("wb") as file:
            for path in used:
                counts = read_record(path) or {}
                failed += counts["failed"]
                documents += counts["documents"]
                file.write(path.with_suffix(".failures.jsonl").read_bytes())
        if not state.shards:
            partial.unlink()
            raise UserError(
                "There is nothing to write.",
                expected="documents in the input",
                found=f"{documents} documents, {failed} records that could not be read",
                where=str(output),
                hint="check --input and --text-field",
            )
        partial.replace(output / FAILURES)
        if not failed:
            (output / FAILURES).unlink()
        shard = read_header(output / state.shards[-1].name)
        last = next(blocks(shard, shard.tokens - 1))
        manifest = ShardManifest(
            **{name: common[name] for name in _MADE_WITH},
            shard_tokens=self.plan.shard_tokens,
            failed=failed,
            cut=int(last[0]) != common["eos_id"],
            shards=tuple(state.shards),
        )
        manifest.write(output)
        for pattern in ("part-*", "range-*"):
            for path in state.folder.glob(pattern):
                path.unlink()
        return manifest


_MADE_WITH = ("dtype", "vocab_size", "eos_id", "eos_token", "tokenizer_sha256", "shuffle_seed")


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
        "shuffle_seed": plan.shuffle_seed,
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
