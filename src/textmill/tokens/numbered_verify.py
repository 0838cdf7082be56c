"""Every promise of a folder of numbered shards, or of consolidated files, checked against the files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from textmill.errors import UserError
from textmill.tokens.consolidate import validate
from textmill.tokens.consolidated import MANIFEST as CONSOLIDATED
from textmill.tokens.consolidated import ConsolidatedTokens, Manifest
from textmill.tokens.document_tables import table_path
from textmill.tokens.numbered_shards import blocks, list_shards, shard_numbers
from textmill.tokens.sample_ids import sample_ids
from textmill.tokens.shard_manifest import ShardManifest
from textmill.tokens.shard_writer import sha256_of
from textmill.tokens.verify import Finding

# Samples whose ids are computed again, evenly spaced.
SAMPLES = 256


def verify_numbered(folder: Path, vocab_size: int | None = None) -> list[Finding]:
    """Check ``train_%06d.npy`` (and ``tokens.json``), and ``tokens.bin`` where there is one.

    Always: no number missing, headers and sizes (``files``). With ``tokens.json``: SHA-256 (``files``), ids
    below the vocabulary size (``ids``), an EOS at the end of each document and nowhere else (``borders``),
    tokens and bytes equal to the sums over documents (``counts``). With ``consolidated.json``: SHA-256 and
    counts of both files, and ids of some samples (``files``). Memory: one block.

    Args:
        folder: where they lie.
        vocab_size: every id must be below it; the manifest's if left out.

    Raises:
        UserError: neither shards nor consolidated files there.
    """
    findings: list[Finding] = []
    consolidated = (folder / CONSOLIDATED).is_file()
    if shard_numbers(folder) or not consolidated:
        findings += _check_shards(folder, vocab_size)
    if consolidated:
        findings += _check_consolidated(folder)
    return findings


def _check_shards(folder: Path, vocab_size: int | None) -> Iterator[Finding]:
    if not shard_numbers(folder):
        list_shards(folder)  # says what is missing
    manifest = ShardManifest.read(folder)
    try:
        shards = list_shards(folder, manifest.dtype if manifest else None)
    except UserError as error:
        yield Finding("files", error.where or str(folder), f"{error.message} {error.found or ''}".strip())
        return
    if manifest is None:
        for shard in shards:
            yield from _check_ids(shard, vocab_size or 2**32, None)[1]
        return
    names = [shard.path.name for shard in shards]
    promised = [shard.name for shard in manifest.shards]
    if names != promised:
        odd = sorted(set(names) ^ set(promised))
        yield Finding("files", str(folder), f"{len(promised)} shards in tokens.json; only one has {odd[:5]}")
        return
    end_tokens = tokens = next_document = 0
    for shard, promise in zip(shards, manifest.shards, strict=True):
        for path, sha256 in (
            (shard.path, promise.sha256),
            (table_path(shard.path), promise.documents_sha256),
        ):
            if not path.is_file():
                yield Finding("files", path.name, "the file is missing")
                return
            found = sha256_of(path)
            if found != sha256:
                yield Finding("files", path.name, f"SHA-256 is {found}, expected {sha256}")
        ends, wrong = _check_ids(shard, vocab_size or manifest.vocab_size, manifest.eos_id)
        yield from wrong
        end_tokens += len(ends)
        borders, next_document = _check_table(shard, promise, tokens, next_document, ends)
        yield from borders
        tokens += shard.tokens
    if next_document != tokens:
        yield Finding(
            "counts", "tokens.json", f"{next_document} tokens over the documents, {tokens} in shards"
        )
    if end_tokens != manifest.documents - manifest.cut:
        yield Finding("borders", str(folder), f"{end_tokens} ends of text for {manifest.documents} documents")


def _check_ids(shard: Any, vocab_size: int, eos_id: int | None) -> tuple[Any, list[Finding]]:
    """Places of the end-of-text token, and ids that are not in the vocabulary."""
    ends, start = [np.zeros(0, np.int64)], 0
    for block in blocks(shard):
        if int(block.max()) >= vocab_size:
            bad = int(np.argmax(block >= vocab_size))
            message = f"token {start + bad} is {block[bad]}, the vocabulary has {vocab_size} entries"
            return np.concatenate(ends), [Finding("ids", shard.path.name, message)]
        if eos_id is not None:
            ends.append(np.flatnonzero(block == eos_id) + start)
        start += len(block)
    return np.concatenate(ends), []


def _check_table(
    shard: Any, promise: Any, start: int, next_document: int, ends: Any
) -> tuple[list[Finding], int]:
    """Documents follow each other without a gap, and each that ends here ends in an end of text."""
    name = table_path(shard.path).name
    table = pq.read_table(table_path(shard.path), columns=["offset", "length", "bytes"], use_threads=False)
    offsets, lengths = table.column("offset").to_numpy() + start, table.column("length").to_numpy()
    expected = np.concatenate([[next_document], offsets + lengths])
    findings = []
    if (offsets != expected[:-1]).any() or (lengths < 1).any():
        row = int(np.argmax((offsets != expected[:-1]) | (lengths < 1)))
        findings.append(
            Finding("borders", name, f"document {row} starts at {offsets[row]}, expected {expected[row]}")
        )
    else:
        inside = expected[(expected > start) & (expected <= start + shard.tokens)] - start - 1
        odd = np.setdiff1d(inside, ends)
        # The budget may have cut the last document of all; the count of all ends tells the rest.
        if len(odd) and not (len(odd) == 1 and odd[0] == shard.tokens - 1):
            findings.append(Finding("borders", shard.path.name, f"no end of text at token {odd[0]}"))
    for what, found, wanted in (
        ("documents", len(offsets), promise.documents),
        ("tokens", shard.tokens, promise.tokens),
        ("bytes of text", int(table.column("bytes").to_numpy().sum()), promise.text_bytes),
    ):
        if found != wanted:
            findings.append(Finding("counts", name, f"{found} {what}, {wanted} in tokens.json"))
    return findings, int(expected[-1])


def _check_consolidated(folder: Path) -> Iterator[Finding]:
    manifest = Manifest.read(folder)
    try:
        for check in validate(folder, manifest):
            if not check.passed:
                yield Finding(
                    "files",
                    check.name,
                    f"{check.elements} elements, SHA-256 {check.sha256}; expected "
                    f"{check.expected_elements} and {check.expected_sha256}",
                )
        tokens = ConsolidatedTokens(folder)
    except UserError as error:
        yield Finding("files", error.where or str(folder), f"{error.message} {error.found or ''}".strip())
        return
    if manifest.sample_ids == "correct":
        for sample in range(0, len(tokens), max(1, len(tokens) // SAMPLES)):
            if int(sample_ids(tokens[sample], tokens.seq_len)[0]) != tokens.sample_id(sample):
                yield Finding("ids", manifest.ids.name, f"sample {sample} has another id than its tokens")
                return
