"""Which families do not follow their own hash: splits that were given, and near-duplicates that stay together.

::

    metadata field, files of ids ─► given: family ─► split
    matched events (verified pairs) ─► clusters of families; each goes where its smallest id would go
                                             └─► <scratch>/assignment.parquet: shard, root, split

A pair that deduplication verified links the families of its two documents, if both families still have
documents. Documents that are gone link those that they matched: when A and B are left and each matched C, A and
B stay together. The rest follows :class:`~textmill.tokens.split.SplitRule`. Rows are sorted by shard of
documents, so that a worker reads its own only. Memory: DuckDB's, which spills to disk, and the clusters.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.dataset
import pyarrow.parquet as pq

from textmill.documents.shards import open_parquet_writer
from textmill.errors import UserError
from textmill.tokens.split import SPLITS, SplitRule

ASSIGNMENT_SCHEMA = pa.schema(
    [
        pa.field("shard", pa.int32(), nullable=False),
        pa.field("root", pa.binary(16), nullable=False),
        pa.field("split", pa.string(), nullable=False),
    ]
)
SPELLINGS = {"val": "validation", "valid": "validation", "dev": "validation", "training": "train"} | {
    name: name for name in SPLITS
}
"""What a metadata field may say, and which split that means."""


SOURCE = "source"
"""Instead of a metadata field: the name of the source says the split."""


@dataclass(frozen=True)
class Given:
    """Splits that are not left to the hash.

    Attributes:
        metadata_field: a metadata field that names a document's split, or ``source``: the name of its source does.
        ids: files of document ids, one of 32 hexadecimal digits per line, by split.
    """

    metadata_field: str | None = None
    ids: dict[str, Path] = field(default_factory=dict)


@dataclass(frozen=True)
class Assignment:
    """What :func:`assign_splits` wrote.

    Attributes:
        path: the table.
        digests: SHA-256 of the rows of each shard that has any: what a task's result depends on.
        given: families whose split was given.
        clusters: clusters of two or more families that stay together.
        unknown: ids in the files that no document has (it may have been dropped).
    """

    path: Path
    digests: dict[int, str]
    given: int
    clusters: int
    unknown: int

    def split_names(self) -> set[str]:
        """The splits that occur."""
        return set(pq.read_table(self.path, columns=["split"])["split"].unique().to_pylist())


def assign_splits(
    documents: Sequence[Path], events: Sequence[Path], rule: SplitRule, given: Given, scratch: Path
) -> Assignment | None:
    """Find the families that do not follow their own hash; None when there is nothing to look at.

    Args:
        documents: the final shards of documents, in order.
        events: tables of the ledger's events.
        rule: what decides all others, and clusters by their smallest id.
        given: splits that were given.
        scratch: folder for the table and for what DuckDB spills.

    Raises:
        UserError: a split that is none, an id that is none, or one family or cluster given to two splits.
    """
    import duckdb

    ids = {split: _read_ids(path) for split, path in given.ids.items()}
    with duckdb.connect(
        str(scratch / "assignment.db"), config={"memory_limit": "1GB", "threads": 2}
    ) as connection:
        if not _load_pairs(connection, events) and given.metadata_field is None and not given.ids:
            return None
        connection.register("arriving", _families(documents, given.metadata_field))
        connection.execute("CREATE TABLE documents AS SELECT * FROM arriving")
        unknown = _load_given(connection, given, ids)
        clusters = _clusters(connection)
        _place_clusters(connection, clusters, rule)
        counted = connection.execute("SELECT count(DISTINCT root) FROM given").fetchall()[0][0]
        path, digests = _write(connection, scratch / "assignment.parquet")
    return Assignment(path, digests, counted, len(clusters), unknown)


def read_assignment(path: Path, shard: int) -> dict[bytes, str]:
    """Splits of the families of one shard of documents that do not follow their hash, by root."""
    table = pq.read_table(path, filters=[("shard", "=", shard)], columns=["root", "split"], use_threads=False)
    return dict(zip(table["root"].to_pylist(), table["split"].to_pylist(), strict=True))


def _read_ids(path: Path) -> list[bytes]:
    found = []
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError("The ids of a split cannot be read.", found=str(error), where=str(path)) from None
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            identifier = bytes.fromhex(line.strip())
        except ValueError:
            identifier = b""
        if len(identifier) != 16:
            raise UserError(
                "A line is no document id.",
                expected="32 hexadecimal digits, one id per line",
                found=repr(line[:60]),
                where=f"{path}:{number}",
                hint="ids stand in textmill why, in exported JSON lines and in the documents themselves",
            )
        found.append(identifier)
    return found


def _load_pairs(connection: Any, events: Sequence[Path]) -> int:
    """Table ``pairs`` of ids that matched each other, each once; returns how many."""
    connection.execute("CREATE TABLE pairs (a BLOB, b BLOB)")
    if events:
        # Through Arrow rather than DuckDB's own reader, which takes brackets in paths for patterns.
        dataset = pyarrow.dataset.dataset([str(path) for path in events], format="parquet")
        connection.register("events", dataset)
        connection.execute(
            "INSERT INTO pairs SELECT DISTINCT least(id, matched_id), greatest(id, matched_id) FROM events "
            "WHERE action = 'matched' AND matched_id IS NOT NULL AND id <> matched_id"
        )
    return int(connection.execute("SELECT count(*) FROM pairs").fetchall()[0][0])


def _families(documents: Sequence[Path], name: str | None) -> pa.RecordBatchReader:
    """Shard, id, root and metadata of all documents; metadata only if a field of it is wanted.

    The field ``source`` is the name of the document's source.
    """
    column = SOURCE if name == SOURCE else "metadata"
    columns = ["id", "root", *([column] if name else [])]
    schema = pa.schema(
        [("shard", pa.int32()), ("id", pa.binary()), ("root", pa.binary()), ("metadata", pa.string())]
    )

    def batches() -> Iterator[pa.RecordBatch]:
        for shard, path in enumerate(documents):
            with pq.ParquetFile(path, pre_buffer=False) as parquet:
                for batch in parquet.iter_batches(columns=columns, use_threads=False):
                    rows = batch.num_rows
                    metadata = batch.column(column) if name else pa.nulls(rows, pa.string())
                    if name == SOURCE:
                        said = [json.dumps({SOURCE: source}) for source in metadata.to_pylist()]
                        metadata = pa.array(said, pa.string())
                    yield pa.RecordBatch.from_arrays(
                        [
                            pa.array([shard] * rows, pa.int32()),
                            batch.column("id").cast(pa.binary()),
                            batch.column("root").cast(pa.binary()),
                            metadata.cast(pa.string()),
                        ],
                        schema=schema,
                    )

    return pa.RecordBatchReader.from_batches(schema, batches())


def _load_given(connection: Any, given: Given, ids: dict[str, list[bytes]]) -> int:
    """Table ``given`` of families and their split; returns how many listed ids no document has."""
    connection.execute("CREATE TABLE named (root BLOB, split VARCHAR)")
    unknown = 0
    if given.metadata_field is not None:
        quoted = '$."' + given.metadata_field.replace('"', '\\"') + '"'
        connection.execute(
            "CREATE TABLE said AS SELECT root, lower(json_extract_string(metadata, ?)) AS word, id FROM documents "
            "WHERE metadata IS NOT NULL AND json_extract_string(metadata, ?) IS NOT NULL",
            [quoted, quoted],
        )
        wrong = connection.execute(
            "SELECT word, lower(hex(min(id))), count(*) FROM said WHERE NOT list_contains(?, word) "
            "GROUP BY word ORDER BY 1 LIMIT 1",
            [list(SPELLINGS)],
        ).fetchall()
        if wrong:
            word, example, count = wrong[0]
            raise UserError(
                "A document names a split that does not exist.",
                expected=f"one of {', '.join(SPELLINGS)} in the metadata field {given.metadata_field}",
                found=f"{word!r} in {count:,} documents, such as {example}",
                where="tokens.split.field",
            )
        for word, split in SPELLINGS.items():
            connection.execute("INSERT INTO named SELECT root, ? FROM said WHERE word = ?", [split, word])
    for split, listed in ids.items():
        table = pa.table({"id": pa.array(listed, pa.binary())})
        connection.register("listed", table)
        connection.execute(
            "INSERT INTO named SELECT root, ? FROM documents JOIN listed USING (id) "
            "UNION ALL SELECT root, ? FROM documents JOIN listed ON documents.root = listed.id",
            [split, split],
        )
        unknown += connection.execute(
            "SELECT count(*) FROM (SELECT DISTINCT id FROM listed "
            "WHERE id NOT IN (SELECT id FROM documents UNION ALL SELECT root FROM documents))"
        ).fetchall()[0][0]
    connection.execute("CREATE TABLE given AS SELECT DISTINCT root, split FROM named")
    torn = connection.execute(
        "SELECT lower(hex(root)), string_agg(split, ' and ' ORDER BY split), count(*) OVER () FROM given "
        "GROUP BY root HAVING count(*) > 1 ORDER BY 1 LIMIT 1"
    ).fetchall()
    if torn:
        raise UserError(
            "A family is given to two splits.",
            expected="one split for a document and all that was made of it",
            found=f"{torn[0][1]} for the family of {torn[0][0]}, {torn[0][2]:,} such families",
            where="tokens.split",
            hint="let the field or the files name one split per family",
        )
    return unknown


def _clusters(connection: Any) -> list[list[bytes]]:
    """Families that verified pairs link, directly or by documents that are gone: two or more each, sorted."""
    connection.execute("CREATE TABLE alive AS SELECT DISTINCT root FROM documents")
    connection.execute(
        "CREATE TABLE edges AS WITH roots AS (SELECT coalesce(x.root, a) AS a, coalesce(y.root, b) AS b "
        "FROM pairs LEFT JOIN documents x ON a = x.id LEFT JOIN documents y ON b = y.id) "
        "SELECT DISTINCT least(a, b) AS a, greatest(a, b) AS b FROM roots WHERE a <> b"
    )
    # What is gone and hangs on a single thread links nothing; nearly all removed copies are of that kind.
    while True:
        before = connection.execute("SELECT count(*) FROM edges").fetchall()[0][0]
        connection.execute(
            "CREATE OR REPLACE TABLE dangling AS SELECT root FROM "
            "(SELECT a AS root FROM edges UNION ALL SELECT b FROM edges) ANTI JOIN alive USING (root) "
            "GROUP BY root HAVING count(*) = 1"
        )
        connection.execute(
            "DELETE FROM edges WHERE a IN (SELECT root FROM dangling) OR b IN (SELECT root FROM dangling)"
        )
        if connection.execute("SELECT count(*) FROM edges").fetchall()[0][0] == before:
            break
    parents: dict[bytes, bytes] = {}
    for a, b in connection.execute("SELECT a, b FROM edges ORDER BY a, b").fetchall():
        one, other = sorted((_head(parents, bytes(a)), _head(parents, bytes(b))))
        parents[other] = one
    members: dict[bytes, list[bytes]] = {}
    nodes = pa.table({"root": pa.array(sorted(parents), pa.binary())})
    connection.register("nodes", nodes)
    for (root,) in connection.execute(
        "SELECT root FROM nodes SEMI JOIN alive USING (root) ORDER BY 1"
    ).fetchall():
        members.setdefault(_head(parents, bytes(root)), []).append(bytes(root))
    return [sorted(each) for _, each in sorted(members.items()) if len(each) > 1]


def _head(parents: dict[bytes, bytes], node: bytes) -> bytes:
    parents.setdefault(node, node)
    while parents[node] != node:
        parents[node] = parents[parents[node]]
        node = parents[node]
    return node


def _place_clusters(connection: Any, clusters: Sequence[Sequence[bytes]], rule: SplitRule) -> None:
    """Put every family of a cluster where the cluster goes: as given, or where its smallest id would."""
    roots = [root for cluster in clusters for root in cluster]
    numbers = [number for number, cluster in enumerate(clusters) for _ in cluster]
    splits = [rule.of(cluster[0]) for cluster in clusters for _ in cluster]
    table = pa.table(
        {"root": pa.array(roots, pa.binary()), "cluster": pa.array(numbers, pa.int64()), "split": splits}
    )
    connection.register("arriving_clusters", table)
    connection.execute("CREATE TABLE clusters AS SELECT * FROM arriving_clusters")
    connection.execute(
        "CREATE TABLE asked AS SELECT cluster, min(given.split) AS split, max(given.split) AS other, "
        "lower(hex(min(root))) AS example FROM clusters JOIN given USING (root) GROUP BY cluster"
    )
    torn = connection.execute(
        "SELECT split, other, example FROM asked WHERE split <> other LIMIT 1"
    ).fetchall()
    if torn:
        raise UserError(
            "Near-duplicates of each other are given to two splits.",
            expected="one split for documents that deduplication found to match",
            found=f"{torn[0][0]} and {torn[0][1]}, among them {torn[0][2]}",
            where="tokens.split",
            hint="give them to one split, or drop one of them first",
        )


def _write(connection: Any, path: Path) -> tuple[Path, dict[int, str]]:
    """All exceptions by shard and root, a row group or more per shard."""
    rows = connection.execute(
        "SELECT DISTINCT shard, root, coalesce(given.split, asked.split, clusters.split) AS split FROM documents "
        "LEFT JOIN given USING (root) LEFT JOIN clusters USING (root) LEFT JOIN asked USING (cluster) "
        "WHERE given.split IS NOT NULL OR clusters.split IS NOT NULL ORDER BY shard, root"
    )
    digests: dict[int, Any] = {}
    with open_parquet_writer(path, ASSIGNMENT_SCHEMA) as writer:
        while found := rows.fetchmany(2**16):
            for shard in sorted({row[0] for row in found}):
                part = [(bytes(root), split) for number, root, split in found if number == shard]
                digest = digests.setdefault(shard, hashlib.sha256())
                for root, split in part:
                    digest.update(root + split.encode())
                roots, splits = zip(*part, strict=True)
                columns = [
                    pa.array([shard] * len(part), pa.int32()),
                    pa.array(roots, pa.binary(16)),
                    pa.array(splits, pa.string()),
                ]
                writer.write_table(pa.Table.from_arrays(columns, schema=ASSIGNMENT_SCHEMA))
    return path, {shard: digest.hexdigest() for shard, digest in digests.items()}
