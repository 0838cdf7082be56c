"""Encoding one split of a source: the tasks that workers run for numbered shards."""

from __future__ import annotations

import importlib
import json
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from textmill.documents import Batch, Document
from textmill.steps.context import StepContext
from textmill.steps.source import SourceSettings, Split
from textmill.tokenizer.sampling import sample_hash
from textmill.tokens.build import encode_documents, one_thread, open_encoder
from textmill.tokens.part_files import HashedPart, OrderedPart, Rows, write_record

if TYPE_CHECKING:
    from textmill.steps.stage import Report

BATCH_CHARACTERS = 2 * 2**20
BATCH_DOCUMENTS = 1024
# Resolution of the histogram by which the documents of a test shard are chosen.
BUCKETS = 4096
# Of the documents read while measuring, one in so many is encoded, and the first of each split.
MEASURED = 64


def encode_part(item: Mapping[str, Any], report: Report) -> dict[str, Any]:
    """Encode the documents of one split into the files of a part (see :mod:`textmill.tokens.part_files`).

    Args:
        item: ``source`` (class and values), ``split`` (work, version, bytes), ``tokenizer``,
            ``tokenizer_sha256``, ``compiled``, ``eos_token``, ``dtype``, ``path`` (of the part, without
            ending), ``seed``, ``threshold`` (only documents whose hash is below it; None: all),
            ``shuffle_seed`` (None: documents keep their order).
        report: called with documents and bytes done.

    Returns:
        ``tokens``, ``documents``, ``failed``, ``fell_back``; the same stands in ``<path>.json``, written last.
    """
    encoder = open_encoder(item["tokenizer"], item["tokenizer_sha256"], item["compiled"], item["eos_token"])
    dtype = np.dtype(item["dtype"]).newbyteorder("<")
    path = Path(item["path"])
    shuffled = item["shuffle_seed"] is not None
    documents = failed = 0
    with (
        one_thread(),
        HashedPart(path, dtype, item["shuffle_seed"]) if shuffled else OrderedPart(path, dtype) as part,
        path.with_suffix(".failures.jsonl").open("w", encoding="utf-8") as failures,
    ):
        for batch, failed_records in _batches(item):
            tokens, lengths, good, failed_documents = encode_documents(encoder, batch)
            part.write(tokens, _rows(batch, good, lengths))
            locators = batch.records.column("locator")
            failed_records += [(locators[position].as_py(), reason) for position, reason in failed_documents]
            for locator, reason in failed_records:
                failures.write(json.dumps({"locator": locator, "reason": reason}, ensure_ascii=False) + "\n")
            documents += len(good)
            failed += len(failed_records)
            report(documents=len(batch), bytes=batch.text_bytes)
    fell_back = getattr(encoder, "fell_back", None)
    return write_record(
        path, {"tokens": part.tokens, "documents": documents, "failed": failed, "fell_back": fell_back}
    )


def measure_part(item: Mapping[str, Any], report: Report) -> dict[str, Any]:
    """Read a split without encoding it: bytes of text by hash of the document, and bytes per token.

    Returns:
        ``bytes``: a list of :data:`BUCKETS` sums; ``documents``; ``sample_bytes`` and ``sample_tokens`` of the
        documents that were encoded, each with its end-of-text token.
    """
    encoder = open_encoder(item["tokenizer"], item["tokenizer_sha256"], item["compiled"], item["eos_token"])
    histogram = np.zeros(BUCKETS, np.int64)
    documents = sample_bytes = sample_tokens = 0
    with one_thread():
        for batch, _ in _batches(dict(item) | {"threshold": None}):
            sizes = np.diff(batch.offsets)
            hashes = [sample_hash(identifier, item["seed"]) for identifier in batch.ids]
            np.add.at(histogram, [value >> 52 for value in hashes], sizes)
            chosen = np.array(
                [documents + row == 0 or h % MEASURED == 0 for row, h in enumerate(hashes)], bool
            )
            if chosen.any():
                sample = batch.select(chosen)
                ids, _, good, _ = encode_documents(encoder, sample)
                sample_tokens += len(ids)
                sample_bytes += int(np.diff(sample.offsets)[good].sum())
            documents += len(batch)
            report(documents=len(batch), bytes=batch.text_bytes)
    return {
        "bytes": histogram.tolist(),
        "documents": documents,
        "sample_bytes": sample_bytes,
        "sample_tokens": sample_tokens,
    }


def encoded_source(settings: SourceSettings) -> dict[str, Any]:
    """A source as plain JSON values, for the item of a task."""
    kind = type(settings)
    return {"class": f"{kind.__module__}:{kind.__qualname__}", "values": settings.model_dump(mode="json")}


def _batches(item: Mapping[str, Any]) -> Iterator[tuple[Batch, list[tuple[str, str]]]]:
    """Documents of the split, and locator and reason of what could not be read."""
    module, _, name = item["source"]["class"].partition(":")
    kind = getattr(importlib.import_module(module), name)
    settings: SourceSettings = kind.model_validate(item["source"]["values"])
    pending: list[Document] = []
    failures: list[tuple[str, str]] = []
    size = 0
    with tempfile.TemporaryDirectory(prefix="tokens-") as scratch:
        reader = settings.open(StepContext(seed=item["seed"], scratch=Path(scratch)))
        for record in reader.read(Split(**item["split"])):
            if isinstance(record, Document):
                pending.append(record)
                size += len(record.text)
            else:
                failures.append((record.locator, record.reason))
            if size >= BATCH_CHARACTERS or len(pending) + len(failures) >= BATCH_DOCUMENTS:
                yield _chosen(settings, pending, item), failures
                pending, failures, size = [], [], 0
        yield _chosen(settings, pending, item), failures


def _chosen(settings: SourceSettings, documents: list[Document], item: Mapping[str, Any]) -> Batch:
    batch = Batch.from_documents(settings.source_name, documents)
    if item["threshold"] is None or not documents:
        return batch
    mask = [sample_hash(identifier, item["seed"]) < item["threshold"] for identifier in batch.ids]
    return batch.select(np.array(mask, bool))


def _rows(batch: Batch, good: Any, lengths: Any) -> Rows:
    records = batch.records.take(pa.array(good))
    return Rows(
        records.column("id").to_pylist(),
        lengths,
        np.diff(batch.offsets)[good],
        records.column("source").to_pylist(),
        [_language(value) for value in records.column("metadata").to_pylist()],
    )


def _language(metadata: str | None) -> str | None:
    value = json.loads(metadata).get("language") if metadata and '"language"' in metadata else None
    return value if isinstance(value, str) else None
