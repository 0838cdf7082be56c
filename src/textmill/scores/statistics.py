"""Distributions of a run's scores: count, mean, percentiles, and what lies outside each rule.

Percentiles are exact, in memory that does not grow with the corpus: a float32 is sorted by its bits, so a first
scan counts the upper sixteen bits of every score, which tells the bin of each percentile, and a second scan
counts the lower sixteen bits within those bins alone. DuckDB streams the columns, NumPy counts.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from textmill.errors import UserError
from textmill.steps import Rule
from textmill.workspace import Workspace, connect
from textmill.workspace.ledger_tables import VERDICT_SCHEMA

if TYPE_CHECKING:
    import duckdb

PERCENTILES = (1, 5, 25, 50, 75, 95, 99)

By: TypeAlias = Literal["language", "source"]
_ROWS = 65_536
_NO_GROUP = "(none)"
_Floats = npt.NDArray[np.float32]
_Codes = npt.NDArray[np.int64]


def score_statistics(workspace: Workspace, by: By | None = None) -> dict[str, Any]:
    """Distribution of every score of a run.

    Args:
        workspace: a run with at least one finished pass over documents.
        by: one distribution per language (as the step ``language`` found it) or per source, instead of one
            over all documents.

    Returns:
        Plain JSON values: ``run``, ``by``, and ``scores``, a list in the order in which the steps ran, with
        ``step``, ``score``, ``group`` (None without ``by``), ``count`` (documents that have the score),
        ``mean``, ``p1`` to ``p99`` (the smallest value that at least so many per cent do not exceed) and
        ``rules``: ``rule``, ``described``, ``outside`` (how many documents it refuses, whatever other rules
        say) and ``share``. Labels have ``labels`` (documents by label, the most frequent first) instead of
        mean and percentiles.

    Raises:
        UserError: the run has no scores, or ``by`` asks for languages that no step found.
    """
    found: list[dict[str, Any]] = []
    connection = connect(workspace)
    try:
        passes = workspace.manifest.document_passes()
        languages = _language_column(connection, len(passes)) if by == "language" else None
        for number, record in enumerate(passes):
            numbers, labels = _columns(connection, number)
            if not numbers and not labels:
                continue
            rules: dict[str, list[Rule]] = defaultdict(list)
            for values in record.description.get("rules", []):
                bounds = {key: values[key] for key in ("score", "minimum", "maximum", "name")}
                allowed = tuple(values["allowed"]) if values["allowed"] is not None else None
                rules[f"{values['step']}.{values['score']}"].append(Rule(**bounds, allowed=allowed))
            relation, group = _relation(number, by, languages)
            one = _PassStatistics(connection, relation, group, numbers, labels, rules)
            found += one.rows()
    finally:
        connection.close()
    if not found:
        raise UserError(
            "This run has no scores.",
            expected="a recipe with filters below curate:",
            where=workspace.url,
            hint="textmill status shows what it has done",
        )
    return {"run": workspace.manifest.run, "by": by, "scores": found}


def _language_column(connection: duckdb.DuckDBPyConnection, passes: int) -> tuple[int, str]:
    for number in range(passes):
        for name in _columns(connection, number)[1]:
            if name.rpartition(".")[2] == "language":
                return number, name
    raise UserError(
        "No step of this run found languages.",
        expected="the step language below curate:",
        where="--by language",
        hint="add it to the recipe and run again, or use --by source",
    )


def _columns(connection: duckdb.DuckDBPyConnection, number: int) -> tuple[list[str], list[str]]:
    """Columns of scores and columns of labels of a pass."""
    described = connection.execute(f"DESCRIBE scores_{number}").fetchall()
    scores = [(name, kind) for name, kind, *_ in described if name not in VERDICT_SCHEMA.names]
    numbers = [name for name, kind in scores if kind in ("FLOAT", "DOUBLE")]
    return numbers, [name for name, kind in scores if kind == "VARCHAR"]


def _relation(number: int, by: By | None, languages: tuple[int, str] | None) -> tuple[str, str]:
    """SQL that may stand after FROM, and the expression that names a row's group."""
    if by is None:
        return f"scores_{number}", "NULL"
    if by == "source":
        return f"scores_{number}", "source"
    assert languages is not None
    where, column = languages
    if where == number:
        return f"scores_{number}", _quoted(column)
    other = f'(SELECT id, {_quoted(column)} AS " language" FROM scores_{where})'
    return f"scores_{number} LEFT JOIN {other} USING (id)", '" language"'


@dataclass
class _Column:
    """What is counted of one column, by group."""

    count: Counter[str] = field(default_factory=Counter)
    total: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    upper: dict[str, Counter[int]] = field(default_factory=lambda: defaultdict(Counter))
    lower: dict[str, Counter[int]] = field(default_factory=lambda: defaultdict(Counter))
    wanted: dict[str, set[int]] = field(default_factory=dict)
    labels: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    outside: dict[str, Counter[int]] = field(default_factory=lambda: defaultdict(Counter))


class _PassStatistics:
    """Scans the scores of one pass twice."""

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        relation: str,
        group: str,
        numbers: Sequence[str],
        labels: Sequence[str],
        rules: Mapping[str, Sequence[Rule]],
    ) -> None:
        self.connection = connection
        self.relation, self.group = relation, group
        self.numbers, self.labels, self.rules = numbers, labels, rules
        self.columns = {name: _Column() for name in (*numbers, *labels)}

    def rows(self) -> list[dict[str, Any]]:
        for batch, groups, codes in self._scan([*self.numbers, *self.labels]):
            for name in self.numbers:
                self._count(name, batch.column(name), groups, codes)
            for name in self.labels:
                self._count_labels(name, batch.column(name), groups, codes)
        for column in self.columns.values():
            column.wanted = {
                group: {_bin_of_rank(counts, rank) for rank in _ranks(column.count[group])}
                for group, counts in column.upper.items()
            }
        for batch, groups, codes in self._scan(self.numbers):
            for name in self.numbers:
                self._count_lower(name, batch.column(name), groups, codes)
        return [row for name in self.columns for row in self._rows_of(name)]

    def _scan(self, columns: Sequence[str]) -> Iterator[tuple[pa.RecordBatch, list[str], _Codes]]:
        """Batches, the groups in each, and each row's group as a position among them."""
        if not columns:
            return
        chosen = ", ".join(_quoted(name) for name in columns)
        query = f'SELECT {self.group} AS " group", {chosen} FROM {self.relation}'
        for batch in self.connection.sql(query).to_arrow_reader(_ROWS):
            if self.group == "NULL":
                yield batch, [""], np.zeros(batch.num_rows, np.int64)
                continue
            encoded = batch.column(" group").cast(pa.string()).fill_null(_NO_GROUP).dictionary_encode()
            codes = encoded.indices.to_numpy(zero_copy_only=False).astype(np.int64)
            yield batch, encoded.dictionary.to_pylist(), codes

    def _count(self, name: str, array: pa.Array, groups: list[str], codes: _Codes) -> None:
        column = self.columns[name]
        values, codes = _present(array, codes)
        counts = np.bincount(codes, minlength=len(groups))
        totals = np.bincount(codes, values.astype(np.float64), minlength=len(groups))
        for code, group in enumerate(groups):
            if counts[code]:
                column.count[group] += int(counts[code])
                column.total[group] += float(totals[code])
        for place, rule in enumerate(self.rules.get(name, ())):
            refused = np.bincount(codes[~rule.keeps(values)], minlength=len(groups))
            for code, group in enumerate(groups):
                column.outside[group][place] += int(refused[code])
        keys, numbers = np.unique(codes << 16 | (_sortable(values) >> 16), return_counts=True)
        for key, number in zip(keys.tolist(), numbers.tolist(), strict=True):
            column.upper[groups[key >> 16]][key & 0xFFFF] += number

    def _count_lower(self, name: str, array: pa.Array, groups: list[str], codes: _Codes) -> None:
        column = self.columns[name]
        values, codes = _present(array, codes)
        keys = _sortable(values)
        wanted = [
            code << 16 | bin for code, group in enumerate(groups) for bin in column.wanted.get(group, ())
        ]
        inside = np.isin(codes << 16 | (keys >> 16), np.array(wanted, np.int64))
        found, numbers = np.unique(codes[inside] << 32 | keys[inside], return_counts=True)
        for key, number in zip(found.tolist(), numbers.tolist(), strict=True):
            column.lower[groups[key >> 32]][key & 0xFFFFFFFF] += number

    def _count_labels(self, name: str, array: pa.Array, groups: list[str], codes: _Codes) -> None:
        column = self.columns[name]
        encoded = array.dictionary_encode()
        labels = encoded.dictionary.to_pylist()
        valid = array.is_valid().to_numpy(zero_copy_only=False)
        positions = encoded.indices.fill_null(0).to_numpy(zero_copy_only=False).astype(np.int64)[valid]
        keys, numbers = np.unique(codes[valid] * max(1, len(labels)) + positions, return_counts=True)
        for key, number in zip(keys.tolist(), numbers.tolist(), strict=True):
            group, label = groups[key // len(labels)], labels[key % len(labels)]
            column.count[group] += number
            column.labels[group][label] += number
            for place, rule in enumerate(self.rules.get(name, ())):
                column.outside[group][place] += number if not rule.keeps([label])[0] else 0

    def _rows_of(self, name: str) -> Iterator[dict[str, Any]]:
        column = self.columns[name]
        step, _, score = name.rpartition(".")
        for group in sorted(column.count, key=lambda group: (-column.count[group], group)):
            count = column.count[group]
            row: dict[str, Any] = {"step": step, "score": score, "group": group or None, "count": count}
            if name in self.labels:
                labels = column.labels[group]
                row["labels"] = dict(sorted(labels.items(), key=lambda item: (-item[1], item[0])))
            else:
                row["mean"] = column.total[group] / count
                for percent, rank in zip(PERCENTILES, _ranks(count), strict=True):
                    row[f"p{percent}"] = _value_of_rank(column.upper[group], column.lower[group], rank)
            row["rules"] = [
                {
                    "rule": rule.name,
                    "described": rule.describe(),
                    "outside": column.outside[group][place],
                    "share": column.outside[group][place] / count,
                }
                for place, rule in enumerate(self.rules.get(name, ()))
            ]
            yield row


def _present(array: pa.Array, codes: _Codes) -> tuple[_Floats, _Codes]:
    values = array.to_numpy(zero_copy_only=False).astype(np.float32)
    valid = ~np.isnan(values)
    return values[valid], codes[valid]


def _sortable(values: _Floats) -> npt.NDArray[np.int64]:
    """Whole numbers from 0 to 2^32 - 1 in the order of the floats: IEEE 754's bits, negatives turned round."""
    bits = (values + np.float32(0)).view(np.uint32)  # plus zero: -0.0 becomes 0.0
    turned = np.where(bits >> 31, ~bits, bits | np.uint32(0x8000_0000))
    return turned.astype(np.int64)


def _float_of(key: int) -> float:
    bits = key ^ 0x8000_0000 if key >> 31 else ~key & 0xFFFFFFFF
    return float(np.array([bits], np.uint32).view(np.float32)[0])


def _ranks(count: int) -> list[int]:
    """Rank of each percentile among ``count`` values, counted from 1 (the nearest-rank method)."""
    return [max(1, -(-percent * count // 100)) for percent in PERCENTILES]


def _bin_of_rank(counts: Counter[int], rank: int) -> int:
    before = 0
    for key in sorted(counts):
        before += counts[key]
        if before >= rank:
            return key
    raise ValueError(f"rank {rank} of {before} values")


def _value_of_rank(upper: Counter[int], lower: Counter[int], rank: int) -> float:
    bin = _bin_of_rank(upper, rank)
    before = sum(number for key, number in upper.items() if key < bin)
    inside = Counter({key: number for key, number in lower.items() if key >> 16 == bin})
    return _float_of(_bin_of_rank(inside, rank - before))


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
