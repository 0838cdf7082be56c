"""Samples: the filter ``sample`` keeps a fraction, the global step ``budget`` keeps an amount.

Every document draws a number, a hash of its family and the recipe's seed; the smallest draws are kept. So what
a small sample keeps, a larger one keeps too, and no order of documents, shards or workers plays a part.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt
from pydantic import Field, model_validator

from textmill.curate.partition import sorted_rows
from textmill.curate.word_lists import existing_file
from textmill.errors import UserError
from textmill.steps.context import StepContext
from textmill.steps.filter import Filter, FilterRunner, Scores
from textmill.steps.global_step import GlobalRunner, GlobalStep, removal_schema
from textmill.steps.rules import Rule
from textmill.steps.settings import ByteSize, Count, InputPath

if TYPE_CHECKING:
    import pyarrow as pa

    from textmill.documents import Batch

_BY = r"^(source|language|metadata\.[^\s]+)$"
_BY_DESCRIPTION = (
    "What strata are made by: ``source``, ``language`` (as the step ``language`` tells it), or a field of the "
    "metadata (``metadata.licence``)."
)
# Documents without the field that strata are made by.
_NO_STRATUM = ""


class Sample(Filter):
    """Keeps a random fraction of the documents: the same ones every time, whatever the order or the workers.

    Every document draws a number from a hash of its family's id and the recipe's seed; what a small fraction
    keeps, a larger one keeps too. With ``by``, strata named in ``fractions`` have fractions of their own. The
    fraction is met on average, not to the document; ``budget`` keeps a given amount instead.

    Scores: ``draw``, from 0 to 1; ``draw_per_fraction``, kept up to 1; label ``stratum``.
    """

    name: ClassVar[str] = "sample"
    shorthand: ClassVar[str | None] = "fraction"

    fraction: float = Field(default=1.0, ge=0, le=1, description="Share of the documents to keep.")
    by: str | None = Field(default=None, pattern=_BY, description=_BY_DESCRIPTION)
    fractions: dict[str, float] = Field(
        default={}, description="Shares to keep of single strata, instead of ``fraction`` (0 to 1)."
    )

    @model_validator(mode="before")
    @classmethod
    def _amounts_are_a_step(cls, values: Any) -> Any:
        amounts = {"tokens", "bytes", "characters", "documents"}
        if isinstance(values, dict) and amounts & values.keys():
            raise ValueError("to keep a given amount, write budget: {tokens: 2.5B}; sample keeps a fraction")
        return values

    @model_validator(mode="after")
    def _makes_sense(self) -> Sample:
        if self.fractions and self.by is None:
            raise ValueError("fractions needs by: what are its names? write by: source, for example")
        for stratum, fraction in self.fractions.items():
            if not 0 <= fraction <= 1:
                raise ValueError(f"the fraction of {stratum} must lie between 0 and 1, found {fraction:g}")
        if not self.fractions and self.fraction == 1:
            raise ValueError("a fraction of 1 keeps everything; write sample: 0.1, for example")
        return self

    def rules(self) -> list[Rule]:
        """One rule, on the draw in units of the stratum's fraction."""
        return [Rule("draw_per_fraction", maximum=1)]

    def open(self, context: StepContext) -> FilterRunner:
        """Return the runner; loads the language model if strata are made by language."""
        return _Lottery(self, context)


class _Lottery:
    def __init__(self, settings: Sample, context: StepContext) -> None:
        self._settings = settings
        self._seed = context.seed
        self._strata = _Strata(settings.by, context)

    def scores(self, batch: Batch) -> Scores:
        """What every document draws."""
        strata = self._strata.of(batch)
        fractions = np.array(
            [self._settings.fractions.get(stratum, self._settings.fraction) for stratum in strata], np.float64
        )
        draw = draws(batch, self._seed) / 2.0**64
        with np.errstate(divide="ignore", invalid="ignore"):
            per_fraction = np.where(fractions > 0, draw / fractions, np.inf)
        return {"draw": draw, "draw_per_fraction": per_fraction, "stratum": strata}


class Budget(GlobalStep):
    """Keeps a random sample of a given size: tokens, bytes, characters or documents.

    Documents are taken in the order of a hash of their family's id and the recipe's seed, until the next one
    would go beyond the budget; so the kept amount falls short of it by less than a document. What a small
    budget keeps, a larger one keeps too. With ``by`` and ``shares``, every stratum named has its share of the
    budget, and all others together have what is left; a stratum with less text than its share is kept whole.

    Tokens are counted with ``tokenizer``, or estimated from bytes.
    """

    name: ClassVar[str] = "budget"
    shorthand: ClassVar[str | None] = "tokens"

    tokens: Count | None = Field(default=None, ge=0, description="Tokens to keep (``2.5B``).")
    bytes: ByteSize | None = Field(default=None, ge=0, description="Bytes of UTF-8 text to keep (``10GB``).")
    characters: Count | None = Field(default=None, ge=0, description="Characters to keep.")
    documents: Count | None = Field(default=None, ge=0, description="Documents to keep.")
    tokenizer: InputPath | None = Field(
        default=None, description="A tokenizer.json to count tokens with; without it they are estimated."
    )
    bytes_per_token: float = Field(
        default=4.0, gt=0, description="Bytes of text that one token stands for, in the estimate."
    )
    by: str | None = Field(default=None, pattern=_BY, description=_BY_DESCRIPTION)
    shares: dict[str, float] = Field(default={}, description="Shares of the budget by stratum (0 to 1).")

    @model_validator(mode="after")
    def _makes_sense(self) -> Budget:
        given = [name for name in _UNITS if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"give one of tokens, bytes, characters and documents, found {given or 'none'}")
        if bool(self.shares) != (self.by is not None):
            raise ValueError("by and shares belong together: by: source, shares: {wiki: 0.3}")
        if any(share < 0 for share in self.shares.values()) or sum(self.shares.values()) > 1 + 1e-9:
            raise ValueError("shares must be 0 or more and sum up to at most 1")
        if self.tokenizer is not None and self.tokens is None:
            raise ValueError("tokenizer is for a budget in tokens")
        return self

    def files(self) -> list[str]:
        """The tokenizer decides results.

        Raises:
            UserError: it does not exist.
        """
        if self.tokenizer is None:
            return []
        folder = Path(self.tokenizer)
        file = folder / "tokenizer.json" if folder.is_dir() else folder
        return [str(existing_file(str(file), f"{self.step_id}.tokenizer"))]

    def amount(self, pool: str) -> int:
        """What a pool may keep, in the budget's unit (bytes, for tokens that are estimated)."""
        total = next(getattr(self, name) for name in _UNITS if getattr(self, name) is not None)
        if self.tokens is not None and self.tokenizer is None:
            total = int(total * self.bytes_per_token)
        if not self.shares:
            return int(total)
        share = self.shares.get(pool, max(0.0, 1 - sum(self.shares.values())))
        return int(total * share)

    def open(self, context: StepContext) -> GlobalRunner:
        """Return the runner; loads tokenizer and language model if they are needed.

        Raises:
            UserError: the tokenizer cannot be read.
        """
        return _Allocator(self, context)


_UNITS = ("tokens", "bytes", "characters", "documents")


class _Allocator:
    def __init__(self, settings: Budget, context: StepContext) -> None:
        self._settings = settings
        self._context = context
        self._strata: _Strata | None = None
        self._tokenizer: Any = None

    def fingerprint(self, batch: Batch) -> pa.RecordBatch:
        """Columns ``key`` (hash of the pool), ``id``, ``pool``, ``draw`` (uint64) and ``size`` (int64)."""
        import pyarrow as pa

        if self._strata is None:
            self._strata = _Strata(self._settings.by, self._context)
        pools = [
            stratum if stratum in self._settings.shares else _NO_STRATUM for stratum in self._strata.of(batch)
        ]
        keys = {pool: blake2b(pool.encode(), digest_size=16).digest() for pool in set(pools)}
        return pa.RecordBatch.from_arrays(
            [
                pa.array([keys[pool] for pool in pools], pa.binary(16)),
                batch.records.column("id"),
                pa.array(pools, pa.string()),
                pa.array(draws(batch, self._context.seed), pa.uint64()),
                pa.array(self._sizes(batch), pa.int64()),
            ],
            names=["key", "id", "pool", "draw", "size"],
        )

    def _sizes(self, batch: Batch) -> npt.NDArray[np.int64]:
        settings = self._settings
        if settings.documents is not None:
            return np.ones(len(batch), np.int64)
        if settings.characters is not None:
            return batch.code_points
        if settings.tokenizer is None:
            return np.diff(batch.offsets)
        if self._tokenizer is None:
            self._tokenizer = _load_tokenizer(*settings.files())
        encodings = self._tokenizer.encode_batch_fast(batch.texts, add_special_tokens=False)
        return np.fromiter(map(len, encodings), np.int64, len(batch))

    def resolve(self, fingerprints: pa.RecordBatchReader, context: StepContext) -> pa.Table:
        """Removals of all that lies beyond the budget of its pool, sorted by shard and id."""
        import pyarrow as pa

        with sorted_rows(fingerprints, context, "pool, shard, id, size", "pool, draw, id") as ordered:
            removals = list(self._beyond(ordered))
        return pa.Table.from_batches(removals, removal_schema()).sort_by(
            [("shard", "ascending"), ("id", "ascending")]
        )

    def _beyond(self, ordered: pa.RecordBatchReader) -> Iterator[pa.RecordBatch]:
        """Of rows in the order in which they are taken, those from the first on that the budget lacks."""
        import pyarrow as pa

        pool, left, full = None, 0, False
        for batch in ordered:
            gone = np.zeros(batch.num_rows, np.bool_)
            pools, sizes = batch.column("pool").to_pylist(), batch.column("size").to_pylist()
            for row, (name, size) in enumerate(zip(pools, sizes, strict=True)):
                if name != pool:
                    pool, left, full = name, self._settings.amount(name), False
                full = full or size > left
                left -= size
                gone[row] = full
            selected = batch.filter(pa.array(gone))
            yield pa.RecordBatch.from_arrays(
                [
                    selected.column("shard").cast(pa.int32()),
                    selected.column("id").cast(pa.binary(16)),
                    pa.array(["budget"] * selected.num_rows, pa.string()),
                    pa.nulls(selected.num_rows, pa.binary(16)),
                    pa.nulls(selected.num_rows, pa.float32()),
                ],
                schema=removal_schema(),
            )


class _Strata:
    """Which stratum each document belongs to."""

    def __init__(self, by: str | None, context: StepContext) -> None:
        self._by = by
        self._language: FilterRunner | None = None
        if by == "language":
            from textmill.curate.language import Language

            self._language = Language().open(context)

    def of(self, batch: Batch) -> list[str]:
        if self._by is None:
            return [_NO_STRATUM] * len(batch)
        if self._by == "source":
            return [str(source) for source in batch.records.column("source").to_pylist()]
        if self._language is not None:
            return [str(label) for label in self._language.scores(batch)["language"]]
        return [
            _field(metadata, self._by.removeprefix("metadata."))
            for metadata in batch.records.column("metadata").to_pylist()
        ]


def draws(batch: Batch, seed: int) -> npt.NDArray[np.uint64]:
    """What every document draws, from 0 to 2**64 - 1: XXH64 of its root's id, seeded by the recipe's seed."""
    from textmill.text import hash_bytes, hash_spans

    roots = np.frombuffer(b"".join(batch.records.column("root").to_pylist()), np.uint8)
    starts = np.arange(len(batch), dtype=np.int64) * 16
    return hash_spans(roots, starts, starts + 16, hash_bytes(f"sample {seed}".encode()))


def _field(metadata: str | None, name: str) -> str:
    """A field of a JSON object, as text; empty if there is none."""
    value = json.loads(metadata) if metadata else None
    for key in name.split("."):
        value = value.get(key) if isinstance(value, dict) else None
    return value if isinstance(value, str) else _NO_STRATUM if value is None else json.dumps(value)


def _load_tokenizer(path: str) -> Any:
    from tokenizers import Tokenizer

    try:
        return Tokenizer.from_file(path)
    except Exception as error:
        raise UserError(
            "the tokenizer of a budget cannot be read",
            expected="a tokenizer.json of Hugging Face's format",
            found=str(error),
            where=path,
        ) from error
