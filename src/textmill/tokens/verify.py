"""Every promise of a ``tokens/`` folder, checked against its files.

Memory: one block of tokens, one batch of rows, and what DuckDB is allowed (it spills to disk).
"""

from __future__ import annotations

import heapq
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow.dataset
import pyarrow.parquet as pq

from textmill.errors import UserError
from textmill.tokenizer.encode import Encoder
from textmill.tokens.dataset import open_shard
from textmill.tokens.index import TokenFile, TokenIndex
from textmill.tokens.shard_writer import DOCUMENT_TABLE_SCHEMA, sha256_of

BLOCK_TOKENS = 2**22
ROWS = 2**16
DUCKDB_MEMORY = "1GB"
SHOWN = 5


@dataclass(frozen=True)
class Finding:
    """A promise that does not hold.

    Attributes:
        check: which: ``files``, ``ids``, ``borders``, ``counts``, ``documents``, ``splits`` or ``text``.
        where: file or split.
        message: what was expected and what was found.
    """

    check: str
    where: str
    message: str

    def __str__(self) -> str:
        return f"{self.check}: {self.where}: {self.message}"


def verify_tokens(
    folder: Path,
    *,
    documents: Sequence[Path] = (),
    events: Sequence[Path] = (),
    encoder: Encoder | None = None,
    sample_documents: int = 64,
    scratch: Path | None = None,
) -> list[Finding]:
    """Check a ``tokens/`` folder; an empty list means PASS.

    Always: files and their SHA-256 (``files``), ids below the vocabulary size (``ids``), an EOS at the end of
    each document and nowhere else (``borders``), tokens and bytes equal to the sums over documents
    (``counts``), no document twice or in two splits (``splits``).
    With ``documents``: each is encoded once or failed, none is foreign (``documents``), no family lies in two
    splits (``splits``). With ``encoder`` too: a sample of documents, the same every time, is encoded again
    and decoded (``text``).

    Args:
        folder: the ``tokens/`` folder.
        documents: the shards of documents that the tokens were made of.
        events: the ledger's events: with ``documents``, no verified pair of near-duplicates lies in two splits.
        encoder: the tokenizer that they were made with.
        sample_documents: how many documents to encode again.
        scratch: where DuckDB may spill; the system's temporary folder if left out.
    """
    try:
        index = TokenIndex.read(folder)
    except UserError as error:
        return [Finding("files", str(folder), str(error))]
    findings: list[Finding] = []
    sample = _Sample(sample_documents)
    readable = True
    for split, files in index.files.items():
        for file in files:
            found = list(_check_file(folder, index, file, split, sample))
            readable &= not any(finding.check == "files" for finding in found)
            findings += found
    for path in index.failures:
        if not (folder / path).is_file():
            readable = False
            findings.append(Finding("files", path, "the table of failed documents is missing"))
    if not readable:
        # What follows reads all files together; with one of them broken it would only repeat that.
        return findings
    findings += _check_documents(folder, index, documents, events, scratch)
    if documents and encoder is not None:
        findings += _check_texts(folder, index, sample, documents, encoder)
    return findings


def _check_file(
    folder: Path, index: TokenIndex, file: TokenFile, split: str, sample: _Sample
) -> Iterator[Finding]:
    for path, sha256 in ((file.path, file.sha256), (file.documents_path, file.documents_sha256)):
        if not (folder / path).is_file():
            yield Finding("files", path, "the file is missing")
            return
        found = sha256_of(folder / path)
        if found != sha256:
            yield Finding("files", path, f"SHA-256 is {found}, expected {sha256}")
    try:
        tokens = open_shard(folder, file, np.dtype(index.dtype).newbyteorder("<"))
        table = pq.ParquetFile(folder / file.documents_path)
    except Exception as error:
        yield Finding("files", file.path, f"cannot be read: {error}")
        return
    with table:
        if table.schema_arrow != DOCUMENT_TABLE_SCHEMA:
            yield Finding("files", file.documents_path, f"unexpected columns {table.schema_arrow.names}")
            return
        end_tokens = 0
        for start in range(0, len(tokens), BLOCK_TOKENS):
            block = tokens[start : start + BLOCK_TOKENS]
            end_tokens += int(np.count_nonzero(block == index.eos_id))
            if int(block.max()) >= index.vocab_size:
                bad = int(np.argmax(block >= index.vocab_size))
                yield Finding(
                    "ids",
                    file.path,
                    f"token {start + bad} is {block[bad]}, the vocabulary has {index.vocab_size} entries",
                )
        if end_tokens != file.documents:
            yield Finding(
                "borders", file.path, f"{end_tokens} end-of-text tokens for {file.documents} documents"
            )
        yield from _check_table(table, tokens, index, file, split, sample)


def _check_table(
    table: Any,
    tokens: npt.NDArray[Any],
    index: TokenIndex,
    file: TokenFile,
    split: str,
    sample: _Sample,
) -> Iterator[Finding]:
    position = documents = text_bytes = 0
    broken = False
    for rows in table.iter_batches(batch_size=ROWS, use_threads=False):
        offsets = rows.column("offset").to_numpy()
        lengths = rows.column("length").to_numpy()
        expected = position + np.cumsum(lengths) - lengths
        inside = (lengths >= 1) & (offsets >= 0) & (offsets + lengths <= len(tokens))
        if not broken and not (inside & (offsets == expected)).all():
            broken = True
            row = int(np.argmin(inside & (offsets == expected)))
            yield Finding(
                "borders",
                file.documents_path,
                f"document {documents + row} starts at {offsets[row]} and has {lengths[row]} tokens; "
                f"the one before it ends at {expected[row]}",
            )
        if not broken:
            ends = tokens[offsets + lengths - 1]
            if (ends != index.eos_id).any():
                broken = True
                row = int(np.argmax(ends != index.eos_id))
                yield Finding(
                    "borders",
                    file.path,
                    f"document {documents + row} ends in {ends[row]}, not in {index.eos_id}",
                )
            sample.offer(rows.column("id").to_pylist(), offsets, lengths, split, file)
        documents += len(offsets)
        position += int(lengths.sum())
        text_bytes += int(rows.column("bytes").to_numpy().sum())
    for what, found, promised in (
        ("documents", documents, file.documents),
        ("tokens", position, file.tokens),
        ("bytes of text", text_bytes, file.text_bytes),
    ):
        if found != promised:
            yield Finding(
                "counts", file.documents_path, f"{found} {what} over its documents, {promised} in the index"
            )


def _check_documents(
    folder: Path, index: TokenIndex, shards: Sequence[Path], events: Sequence[Path], scratch: Path | None
) -> Iterator[Finding]:
    numbers = index.numbers()
    encoded = sum(split["documents"] for split in numbers["splits"].values())
    if index.documents != encoded + index.failed:
        yield Finding(
            "counts",
            "index.json",
            f"{index.documents} documents came in, {encoded} are encoded and {index.failed} failed",
        )
    import duckdb

    with tempfile.TemporaryDirectory(dir=scratch, prefix="verify-") as spill:
        connection = duckdb.connect(
            config={"memory_limit": DUCKDB_MEMORY, "temp_directory": spill, "threads": 2}
        )
        parts = ["SELECT NULL::BLOB AS id, NULL AS split WHERE false"]
        for split, files in index.files.items():
            if files:
                _register(connection, f"table_{split}", [folder / file.documents_path for file in files])
                parts.append(f"SELECT id, '{split}' AS split FROM table_{split}")
        if index.failures:
            _register(connection, "table_failed", [folder / path for path in index.failures])
            parts.append("SELECT id, 'failed' AS split FROM table_failed")
        connection.execute(f"CREATE VIEW tokens AS {' UNION ALL '.join(parts)}")
        yield from _findings(
            connection,
            "splits",
            "document {0} stands in {1}",
            "SELECT lower(hex(id)), string_agg(split, ' and ' ORDER BY split) FROM tokens "
            "GROUP BY id HAVING count(*) > 1",
        )
        if shards:
            _register(connection, "documents", shards)
            yield from _findings(
                connection,
                "documents",
                "document {0} is in the documents and not in the tokens",
                "SELECT lower(hex(id)) FROM documents ANTI JOIN tokens USING (id)",
            )
            yield from _findings(
                connection,
                "documents",
                "document {0} is in the tokens and not in the documents",
                "SELECT lower(hex(id)) FROM tokens ANTI JOIN documents USING (id)",
            )
            yield from _findings(
                connection,
                "splits",
                "the family of {0} stands in {1}",
                "SELECT lower(hex(root)), string_agg(DISTINCT split, ' and ' ORDER BY split) "
                "FROM documents JOIN tokens USING (id) WHERE split <> 'failed' "
                "GROUP BY root HAVING count(DISTINCT split) > 1",
            )
        if shards and events:
            _register(connection, "events", events)
            yield from _findings(
                connection,
                "splits",
                "the near-duplicates {0} and {1} stand in {2}",
                "SELECT lower(hex(e.id)), lower(hex(e.matched_id)), x.split || ' and ' || y.split FROM events e "
                "JOIN tokens x ON x.id = e.id JOIN tokens y ON y.id = e.matched_id "
                "WHERE e.action = 'matched' AND x.split <> y.split AND 'failed' NOT IN (x.split, y.split)",
            )
        connection.close()


def _register(connection: Any, name: str, paths: Sequence[Path]) -> None:
    # Through Arrow rather than DuckDB's own reader, which takes brackets in paths for patterns.
    connection.register(name, pyarrow.dataset.dataset([str(path) for path in paths], format="parquet"))


def _findings(connection: Any, check: str, message: str, query: str) -> list[Finding]:
    """A finding for each of the first rows, and one more with the number of all."""
    count = connection.execute(f"SELECT count(*) FROM ({query})").fetchall()[0][0]
    if not count:
        return []
    rows = connection.execute(f"{query} ORDER BY 1 LIMIT {SHOWN}").fetchall()
    findings = [Finding(check, "tokens", message.format(*row)) for row in rows]
    if count > SHOWN:
        findings.append(Finding(check, "tokens", f"and {count - SHOWN} more like it"))
    return findings


class _Sample:
    """The documents with the smallest ids: ids are hashes, so that is a fair sample and always the same."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.chosen: list[tuple[bytes, int, int, str, TokenFile]] = []

    def offer(
        self,
        ids: list[bytes],
        offsets: npt.NDArray[np.int64],
        lengths: npt.NDArray[np.int64],
        split: str,
        file: TokenFile,
    ) -> None:
        rows = [
            (identifier, int(offset), int(length), split, file)
            for identifier, offset, length in zip(ids, offsets, lengths, strict=True)
        ]
        self.chosen = heapq.nsmallest(self.size, [*self.chosen, *rows], key=lambda row: row[0])


def _check_texts(
    folder: Path, index: TokenIndex, sample: _Sample, shards: Sequence[Path], encoder: Encoder
) -> Iterator[Finding]:
    if (encoder.vocab_size, encoder.eos_id) != (index.vocab_size, index.eos_id):
        yield Finding(
            "text",
            "index.json",
            f"made with {index.vocab_size} entries and end-of-text id {index.eos_id}; the tokenizer has "
            f"{encoder.vocab_size} and {encoder.eos_id}",
        )
        return
    wanted = {identifier: (offset, length, file) for identifier, offset, length, _, file in sample.chosen}
    for identifier, text in _texts(shards, set(wanted)):
        offset, length, file = wanted.pop(identifier)
        tokens = open_shard(folder, file, np.dtype(index.dtype).newbyteorder("<"))
        stored = tokens[offset : offset + length - 1]
        ids, _ = encoder.encode_batch([text])
        if not np.array_equal(stored, ids):
            yield Finding("text", file.path, f"document {identifier.hex()} is encoded to other tokens now")
        elif encoder.lossless and encoder.decode(stored) != text:
            yield Finding("text", file.path, f"document {identifier.hex()} does not decode to its text")
    for identifier in sorted(wanted):
        yield Finding("text", "documents", f"the text of document {identifier.hex()} is not there")


def _texts(shards: Sequence[Path], wanted: set[bytes]) -> Iterator[tuple[bytes, str]]:
    for shard in shards:
        with pq.ParquetFile(shard, pre_buffer=False) as parquet:
            for group in range(parquet.num_row_groups):
                ids = parquet.read_row_group(group, columns=["id"], use_threads=False).column("id")
                rows = [row for row, identifier in enumerate(ids.to_pylist()) if identifier in wanted]
                if rows:
                    texts = parquet.read_row_group(group, columns=["text"], use_threads=False).column("text")
                    for row in rows:
                        yield ids[row].as_py(), texts[row].as_py()
