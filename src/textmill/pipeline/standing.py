"""The documents of a batch that still stand, and the verdicts of all that entered."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from textmill.documents import Batch

Mask = npt.NDArray[np.bool_]


@dataclass
class Standing:
    """A batch on its way through a pass.

    Attributes:
        entry: the rows as they entered the pass.
        current: the documents still standing, with their present texts.
        rows: position in ``entry`` of each standing document.
        verdicts, steps, rules: of each row that entered: kept, dropped or failed, and by what.
        values: scores and labels of each row that entered, named "<step id>.<score>".
    """

    entry: pa.RecordBatch
    current: Batch
    rows: npt.NDArray[np.int64]
    verdicts: list[str]
    steps: list[str | None]
    rules: list[str | None]
    values: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, batch: Batch) -> Standing:
        """All documents of ``batch`` stand."""
        n = len(batch)
        return cls(batch.records, batch, np.arange(n), ["kept"] * n, [None] * n, [None] * n)

    def judge(self, gone: Mask, verdict: str, step: str, rule: str | None) -> None:
        """Write down the verdict on the standing documents where ``gone`` is true."""
        for row in self.rows[gone]:
            self.verdicts[row], self.steps[row], self.rules[row] = verdict, step, rule

    def leave(self, standing: Mask) -> None:
        """Only the documents where ``standing`` is true go on."""
        self.current = self.current.select(standing)
        self.rows = self.rows[standing]

    def store(self, step: str, scores: Mapping[str, Any], asked: Mask) -> None:
        """Keep the scores of the standing documents where ``asked`` is true; the others have none."""
        rows = self.rows[asked]
        total = self.entry.num_rows
        for name, values in scores.items():
            column = f"{step}.{name}"
            if isinstance(values, np.ndarray):
                floats = np.full(total, np.nan, np.float32)
                floats[rows] = values
                self.values[column] = floats
            else:
                labels: list[str | None] = [None] * total
                for row, label in zip(rows, values, strict=True):
                    labels[row] = label
                self.values[column] = labels
