"""The tokens section at work: one task per document shard, published and recorded as it finishes.

A record per document shard says what it became and from which contents and settings, so that a run that was
interrupted encodes only what is missing. Records name published files only, and are published last.
"""

from __future__ import annotations

import hashlib
import json
import re
import tempfile
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from textmill.errors import ConservationError, UserError
from textmill.steps.stage import StageResult
from textmill.tokenizer.folder import TOKENIZER
from textmill.tokenizer.load import load_encoder
from textmill.tokens.assignment import Assignment, Given, assign_splits
from textmill.tokens.build import token_dtype
from textmill.tokens.index import INDEX, TokenFile, TokenIndex
from textmill.tokens.shard_writer import sha256_of
from textmill.tokens.split import SPLITS, SplitRule

if TYPE_CHECKING:
    from textmill.steps.stage import StageContext
    from textmill.tokens.settings import TokensSection

# Raised whenever the same documents, tokenizer and split would give other files.
ENCODING_VERSION = 1
# Compiling the kernels once takes as long as the library needs for some 30 MB of text.
COMPILED_FROM_BYTES = 32 * 2**20


def run_tokens(settings: TokensSection, context: StageContext) -> StageResult:
    """Make ``tokens/``; continues where an interrupted attempt stopped.

    Raises:
        UserError: no documents, or nothing left to train on.
        ConservationError: documents in are not documents encoded and failed.
    """
    shards = list(context.upstream("documents").outputs)
    tokenizer = context.local("tokenizer")
    encoder = load_encoder(tokenizer)
    task = {
        "tokenizer_sha256": sha256_of(tokenizer / TOKENIZER),
        "vocab_size": encoder.vocab_size,
        "eos_id": encoder.eos_id,
        "seed": context.seed,
        "validation": settings.split.validation,
        "test": settings.split.test,
    }
    compiled = context.upstream("documents").numbers.get("text_bytes", 0) >= COMPILED_FROM_BYTES
    with tempfile.TemporaryDirectory(dir=context.scratch, prefix="tokens-") as scratch:
        assignment = _assign(settings, context, shards, Path(scratch))
        digests = assignment.digests if assignment else {}
        keys = [
            _key(ordinal, _content_of(path, context), task, digests.get(ordinal))
            for ordinal, path in enumerate(shards)
        ]
        records = _finished(context, keys)
        missing = [ordinal for ordinal in range(len(shards)) if ordinal not in records]
        items = [
            task
            | {
                "documents": str(context.local(shards[ordinal])),
                "tokenizer": str(tokenizer),
                "compiled": compiled,
                "scratch": scratch,
                "assignment": [str(assignment.path), ordinal] if assignment and ordinal in digests else None,
            }
            for ordinal in missing
        ]
        tokens = 0
        warned = False
        for position, result in context.map("textmill.tokens.build:encode_shard", items):
            ordinal = missing[position]
            records[ordinal] = _publish(context, ordinal, keys[ordinal], result, Path(scratch))
            if result["fell_back"] and not warned:
                warned = True
                context.say(f"encoding by the tokenizers library, which is slower: {result['fell_back']}")
            tokens += sum(split["tokens"] for split in records[ordinal]["splits"].values())
            context.progress("encoding documents", len(records), len(shards), tokens=tokens)
        ordered = [records[ordinal] for ordinal in range(len(shards))]
        index = _index(settings, context, encoder, task, ordered, assignment)
        _check(index, context)
        file = Path(scratch) / INDEX
        index.write(file)
        outputs = [context.publish(file, f"tokens/{INDEX}")]
    for files in index.files.values():
        for shard in files:
            outputs += [f"tokens/{shard.path}", f"tokens/{shard.documents_path}"]
    outputs += [f"tokens/{path}" for path in index.failures]
    outputs += [record["record"] for record in ordered]
    _remove_leftovers(context, set(outputs))
    return StageResult(outputs, index.numbers())


def _assign(
    settings: TokensSection, context: StageContext, shards: list[str], scratch: Path
) -> Assignment | None:
    """Families that do not follow their own hash."""
    split = settings.split
    files = {"validation": split.validation_ids, "test": split.test_ids}
    assignment = assign_splits(
        [context.local(path) for path in shards],
        [context.local(path) for path in context.published("passes") if "/events/" in path],
        _rule(settings, context),
        Given(split.field, {name: Path(path) for name, path in files.items() if path is not None}),
        scratch,
    )
    if assignment is not None and assignment.clusters:
        context.say(
            f"{assignment.clusters:,} clusters of verified near-duplicates stay together in the splits"
        )
    if assignment is not None and assignment.unknown:
        context.say(f"{assignment.unknown:,} ids given for a split belong to no document that is left")
    return assignment


def _rule(settings: TokensSection, context: StageContext) -> SplitRule:
    return SplitRule(context.seed, settings.split.validation, settings.split.test)


def _key(ordinal: int, content: str, task: dict[str, Any], assigned: str | None) -> str:
    """Names everything that the task's result depends on."""
    parts = {"version": ENCODING_VERSION, "ordinal": ordinal, "content": content, **task}
    parts |= {"assigned": assigned} if assigned else {}
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _content_of(path: str, context: StageContext) -> str:
    """Digits of the SHA-256 of a document shard: its name ends in them, so that nothing need be fetched."""
    digits = re.search(r"-([0-9a-f]{16})\.parquet$", path)
    return digits[1] if digits else sha256_of(context.local(path))[:16]


def _finished(context: StageContext, keys: list[str]) -> dict[int, dict[str, Any]]:
    """Records of an earlier attempt that still hold, by ordinal."""
    published = set(context.published("tokens"))
    records = {}
    for path in sorted(published):
        if not path.startswith("tokens/records/"):
            continue
        record = json.loads(context.local(path).read_text("utf-8"))
        ordinal = record["ordinal"]
        files = [split[kind] for split in record["splits"].values() for kind in ("path", "documents_path")]
        files += [record["failures"]] if record["failures"] else []
        there = all(f"tokens/{file}" in published for file in files)
        if there and ordinal < len(keys) and record["key"] == keys[ordinal]:
            records[ordinal] = record | {"record": path}
    return records


def _publish(
    context: StageContext, ordinal: int, key: str, result: dict[str, Any], scratch: Path
) -> dict[str, Any]:
    """Publish the files of one task, then the record that vouches for them."""

    def publish(file: str, path: str) -> str:
        return str(PurePosixPath(context.publish(Path(file), f"tokens/{path}")).relative_to("tokens"))

    splits = {}
    for name, made in result["splits"].items():
        splits[name] = {
            "path": publish(made["tokens_path"], f"{name}/{ordinal:06d}-{{sha}}.npy"),
            "sha256": made["tokens_sha256"],
            "tokens": made["tokens"],
            "documents_path": publish(
                made["documents_path"], f"{name}/{ordinal:06d}-{{sha}}.documents.parquet"
            ),
            "documents_sha256": made["documents_sha256"],
            "documents": made["documents"],
            "text_bytes": made["text_bytes"],
        }
    failures = result["failures"] and publish(result["failures"], f"failed/{ordinal:06d}-{{sha}}.parquet")
    record = {
        "ordinal": ordinal,
        "key": key,
        "documents": result["documents"],
        "failed": result["failed"],
        "failures": failures,
        "splits": splits,
    }
    file = scratch / f"{ordinal:06d}.json"
    file.write_text(json.dumps(record, indent=1) + "\n", "utf-8")
    return record | {"record": context.publish(file, f"tokens/records/{ordinal:06d}-{{sha}}.json")}


def _index(
    settings: TokensSection,
    context: StageContext,
    encoder: Any,
    task: dict[str, Any],
    records: list[Any],
    assignment: Assignment | None,
) -> TokenIndex:
    occurring = {*_rule(settings, context).names, *(assignment.split_names() if assignment else ())}
    names = [name for name in SPLITS if name in occurring]
    return TokenIndex(
        seq_len=settings.seq_len,
        dtype=token_dtype(encoder.vocab_size),
        vocab_size=encoder.vocab_size,
        eos_id=encoder.eos_id,
        tokenizer_sha256=task["tokenizer_sha256"],
        documents=sum(record["documents"] for record in records),
        failed=sum(record["failed"] for record in records),
        failures=tuple(record["failures"] for record in records if record["failures"]),
        files={
            name: tuple(TokenFile(**r["splits"][name]) for r in records if name in r["splits"])
            for name in names
        },
    )


def _check(index: TokenIndex, context: StageContext) -> None:
    numbers = index.numbers()
    encoded = sum(split["documents"] for split in numbers["splits"].values())
    expected = context.upstream("documents").numbers.get("documents", index.documents)
    if not expected == index.documents == encoded + index.failed:
        raise ConservationError(
            f"tokens: {expected} documents came in, {index.documents} were read, "
            f"{encoded} encoded, {index.failed} failed"
        )
    if index.failed:
        context.say(f"{index.failed:,} documents could not be encoded; tokens/failed/ says why")
    if numbers["splits"]["train"]["tokens"] == 0:
        raise UserError(
            "there are no tokens to train on",
            expected="documents in the train split",
            found=f"{index.documents} documents, {index.failed} failed, {encoded} held out or encoded",
            where="tokens:",
            hint="hold out less (tokens.split), or see in textmill status which step dropped the documents",
        )
    for name, split in numbers["splits"].items():
        if split["samples"] == 0:
            context.say(
                f"the {name} split has {split['tokens']:,} tokens in {split['documents']:,} documents: "
                f"not one sample of {index.seq_len:,}"
            )


def _remove_leftovers(context: StageContext, outputs: set[str]) -> None:
    """Delete what other settings, or an attempt killed before its record, left."""
    for path in context.published("tokens"):
        if path not in outputs:
            context.remove(path)
