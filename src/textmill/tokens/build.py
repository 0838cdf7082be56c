"""Encoding one shard of documents: the task that workers run.

The result depends on the item's documents, tokenizer and rule alone. A worker holds one row group of
documents (4 MiB of text, or one larger document) and its ids.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from textmill.documents import Batch, read_batches
from textmill.documents.shards import open_parquet_writer
from textmill.errors import UserError
from textmill.tokenizer.encode import Encoder, EncodingError
from textmill.tokenizer.load import load_encoder
from textmill.tokens.assignment import read_assignment
from textmill.tokens.shard_writer import TokenShardWriter, sha256_of
from textmill.tokens.split import SplitRule

if TYPE_CHECKING:
    from textmill.steps.stage import Report

FAILURE_SCHEMA = pa.schema(
    [pa.field("id", pa.binary(16), nullable=False), pa.field("reason", pa.string(), nullable=False)]
)


class Encoded(NamedTuple):
    """Documents as tokens.

    Attributes:
        tokens: all of them, each document with its EOS.
        lengths: tokens of each document, shape (n,).
        positions: which documents of the batch these are, shape (n,).
        failures: position and reason of those that could not be encoded.
    """

    tokens: npt.NDArray[np.uint32]
    lengths: npt.NDArray[np.int64]
    positions: npt.NDArray[np.int64]
    failures: list[tuple[int, str]]


def token_dtype(vocab_size: int) -> str:
    """The smallest of uint16 and uint32 that holds every id below ``vocab_size``."""
    if vocab_size > 2**32:
        raise ValueError(f"{vocab_size} ids do not fit into 32 bits")
    return "uint16" if vocab_size <= 2**16 else "uint32"


def encode_shard(item: Mapping[str, Any], report: Report) -> dict[str, Any]:
    """Encode the documents of one shard into one token shard per split.

    Args:
        item: ``documents`` (path of the shard), ``tokenizer`` (path of its folder), ``tokenizer_sha256``,
            ``scratch`` (folder for the files), ``compiled`` (whether to use the project's own kernels; changes
            no id), ``seed``, ``validation``, ``test``, ``vocab_size``, ``eos_id``, ``assignment`` (None, or
            path of a table and ordinal of this shard in it: see :mod:`textmill.tokens.assignment`).
        report: called with documents and bytes done.

    Returns:
        ``documents`` (number read), ``failed`` (number not encoded), ``failures`` (path or None), and
        ``splits``: per split ``tokens_path``, ``documents_path``, their SHA-256, and counts. ``fell_back``:
        why the library encoded although kernels were asked for, or None.

    Raises:
        UserError: the tokenizer is not the one that the item describes, or gives ids out of range.
    """
    encoder = open_encoder(item["tokenizer"], item["tokenizer_sha256"], item["compiled"])
    if (encoder.vocab_size, encoder.eos_id) != (item["vocab_size"], item["eos_id"]):
        raise UserError(
            "the tokenizer changed while tokens were made",
            expected=f"{item['vocab_size']} entries, end-of-text id {item['eos_id']}",
            found=f"{encoder.vocab_size} entries, end-of-text id {encoder.eos_id}",
            where=str(item["tokenizer"]),
            hint="run the tokenizer section again",
        )
    rule = SplitRule(item["seed"], item["validation"], item["test"])
    table = item.get("assignment")
    assigned = read_assignment(Path(table[0]), table[1]) if table else {}
    dtype = token_dtype(encoder.vocab_size)
    folder = Path(tempfile.mkdtemp(dir=item["scratch"], prefix="shard-"))
    writers: dict[str, TokenShardWriter] = {}
    failures = _FailureWriter(folder / "failures.parquet")
    documents = 0
    with one_thread():
        for batch in read_batches(item["documents"]):
            documents += len(batch)
            tokens, lengths, encoded, failed = encode_documents(encoder, batch)
            sizes = np.diff(batch.offsets)[encoded]
            ids = batch.ids
            for position, reason in failed:
                failures.write(ids[position], reason)
            roots = batch.records.column("root").to_pylist()
            splits = np.array(
                [assigned.get(roots[position]) or rule.of(roots[position]) for position in encoded], object
            )
            for name in sorted(set(splits)):
                if name not in writers:
                    (folder / name).mkdir()
                    writers[name] = TokenShardWriter(folder / name, dtype)
                chosen = splits == name
                writers[name].write(
                    tokens if chosen.all() else tokens[np.repeat(chosen, lengths)],
                    lengths[chosen],
                    [ids[position] for position in encoded[chosen]],
                    sizes[chosen],
                )
            report(documents=len(batch), bytes=batch.text_bytes)
    return {
        "documents": documents,
        "failed": failures.count,
        "failures": failures.close(),
        "fell_back": getattr(encoder, "fell_back", None),
        "splits": {name: _finish(writers[name]) for name in sorted(writers)},
    }


def encode_documents(encoder: Encoder, batch: Batch) -> Encoded:
    """Encode the documents of a batch, an EOS after each; those that cannot be encoded come with the reason.

    Raises:
        UserError: the tokenizer gives an id that is not in its vocabulary.
    """
    failures: list[tuple[int, str]] = []
    try:
        ids, offsets = encoder.encode_utf8(batch.data, batch.offsets)
        encoded = np.arange(len(batch))
    except EncodingError:
        # One text spoils the batch: find it, and keep the others.
        pieces = [np.zeros(0, np.uint32)]
        good = []
        for position in range(len(batch)):
            try:
                one, _ = encoder.encode_utf8(batch.data, batch.offsets[position : position + 2])
            except EncodingError as error:
                failures.append((position, str(error)))
            else:
                pieces.append(one)
                good.append(position)
        encoded = np.array(good, np.int64)
        ids = np.concatenate(pieces)
        offsets = np.cumsum([0, *map(len, pieces[1:])])
    if len(ids) and int(ids.max()) >= encoder.vocab_size:
        raise UserError(
            "the tokenizer gives an id that is not in its vocabulary",
            expected=f"ids below {encoder.vocab_size}",
            found=str(int(ids.max())),
            hint="the tokenizer is damaged; use another one",
        )
    tokens = np.insert(ids, offsets[1:], encoder.eos_id)
    return Encoded(tokens, np.diff(offsets) + 1, encoded, failures)


def _finish(writer: TokenShardWriter) -> dict[str, Any]:
    writer.close()
    return {
        "tokens_path": str(writer.tokens_path),
        "tokens_sha256": sha256_of(writer.tokens_path),
        "documents_path": str(writer.documents_path),
        "documents_sha256": sha256_of(writer.documents_path),
        "tokens": writer.tokens,
        "documents": writer.documents,
        "text_bytes": writer.text_bytes,
    }


class _FailureWriter:
    """Documents that could not be encoded, in a table that exists only if there are any."""

    def __init__(self, path: Path) -> None:
        self.count = 0
        self._path = path
        self._rows: list[tuple[bytes, str]] = []
        self._writer: Any = None

    def write(self, identifier: bytes, reason: str) -> None:
        self.count += 1
        self._rows.append((identifier, reason[:500]))
        if len(self._rows) == 4096:
            self._flush()

    def close(self) -> str | None:
        self._flush()
        if self._writer is None:
            return None
        self._writer.close()
        return str(self._path)

    def _flush(self) -> None:
        if not self._rows:
            return
        if self._writer is None:
            self._writer = open_parquet_writer(self._path, FAILURE_SCHEMA)
        identifiers, reasons = zip(*self._rows, strict=True)
        columns = [pa.array(identifiers, pa.binary(16)), pa.array(reasons, pa.string())]
        self._writer.write_table(pa.Table.from_arrays(columns, schema=FAILURE_SCHEMA))
        self._rows = []


@lru_cache(maxsize=2)
def open_encoder(folder: str, sha256: str, compiled: bool, eos_token: str | None = None) -> Encoder:
    """The tokenizer of a task, kept open for the next one."""
    # The digest is part of the key: a worker that lives on must not encode with yesterday's tokenizer.
    return load_encoder(Path(folder), eos_token, compiled=compiled)


@contextmanager
def one_thread() -> Iterator[None]:
    """Keep the tokenizers library to this thread: the engine already gives every core a worker."""
    before = os.environ.get("TOKENIZERS_PARALLELISM")
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    try:
        yield
    finally:
        if before is None:
            del os.environ["TOKENIZERS_PARALLELISM"]
        else:
            os.environ["TOKENIZERS_PARALLELISM"] = before
