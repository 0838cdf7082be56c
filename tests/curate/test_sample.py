"""Samples: a fraction, an amount, and the strata of both."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from tests.curate.verdicts import first_failures

from textmill.curate import Budget, Sample
from textmill.curate.sample import draws
from textmill.documents import Batch, Document
from textmill.errors import UserError
from textmill.steps import StepContext

MANY = Batch.from_texts([f"text {n}" for n in range(2000)])


def batch_of(*languages: str | None) -> Batch:
    metadata = [None if language is None else f'{{"a": {{"b": {language}}}}}' for language in languages]
    return Batch.from_documents("web", [Document(str(i), "x", metadata=m) for i, m in enumerate(metadata)])


def kept(settings: Sample, batch: Batch = MANY) -> set[int]:
    return {row for row, verdict in enumerate(first_failures(settings, batch)) if verdict is None}


def test_a_fraction_is_met_on_average() -> None:
    # 2000 draws at 0.1: standard deviation 13.4.
    assert abs(len(kept(Sample(fraction=0.1))) - 200) < 4 * 13.4
    assert kept(Sample(fraction=0.1)) < kept(Sample(fraction=0.2))
    assert kept(Sample(fraction=0)) == set()


def test_the_draw_belongs_to_the_family_and_the_seed() -> None:
    some = MANY.slice(700, 5)
    assert draws(some, 0).tolist() == draws(MANY, 0)[700:705].tolist()
    assert draws(some, 1).tolist() != draws(some, 0).tolist()
    columns = MANY.records.columns
    columns[0] = columns[0].take(pa.array(range(1999, -1, -1)))
    other_ids = Batch(pa.RecordBatch.from_arrays(columns, schema=MANY.records.schema))
    assert draws(other_ids, 0).tolist() == draws(MANY, 0).tolist()


def test_strata_of_a_sample() -> None:
    batch = batch_of('"en"', '"fr"', None, "7", '"fr"')
    settings = Sample(fraction=0, by="metadata.a.b", fractions={"fr": 1, "7": 1})
    assert kept(settings, batch) == {1, 3, 4}
    assert settings.open(StepContext()).scores(batch)["stratum"] == ["en", "fr", "", "7", "fr"]
    assert kept(Sample(fraction=0, by="source", fractions={"web": 1}), batch) == set(range(5))
    prose = Batch.from_texts(
        ["It rained all day and we stayed at home.", "Il pleuvait toute la journée ici."]
    )
    assert kept(Sample(fraction=0, by="language", fractions={"fr": 1}), prose) == {1}


def removed(settings: Budget, batch: Batch, scratch: Path, seed: int = 0) -> set[bytes]:
    context = StepContext(seed=seed, scratch=scratch)
    runner = settings.open(context)
    parts = [batch.slice(at, min(3, len(batch) - at)) for at in range(0, len(batch), 3)]
    table = pa.Table.from_batches([runner.fingerprint(part) for part in parts])
    table = table.append_column("priority", pa.array([0] * len(batch), pa.int64()))
    table = table.append_column("shard", pa.array([n % 3 for n in range(len(batch))], pa.int32()))
    gone: set[bytes] = set()
    for key in set(table["key"].to_pylist()):
        part = table.filter(pa.compute.equal(table["key"], key)).take(
            pa.array(list(range(table["key"].to_pylist().count(key)))[::-1])
        )
        reader = pa.RecordBatchReader.from_batches(part.schema, part.to_batches(max_chunksize=5))
        result = settings.open(context).resolve(reader, context)
        assert result.schema.names == ["shard", "id", "rule", "matched_id", "similarity"]
        order = list(zip(result["shard"].to_pylist(), result["id"].to_pylist(), strict=True))
        assert order == sorted(order)
        gone |= set(result["id"].to_pylist())
    return gone


def by_hand(batch: Batch, sizes: list[int], amount: int, rows: list[int]) -> set[bytes]:
    drawn = draws(batch, 0).tolist()
    gone = set()
    for row in sorted(rows, key=lambda row: (drawn[row], batch.ids[row])):
        if gone or sizes[row] > amount:
            gone.add(batch.ids[row])
        amount -= sizes[row]
    return gone


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(texts=st.lists(st.text("aé你 ", max_size=9), min_size=1, max_size=12), amount=st.integers(0, 60))
def test_budgets_equal_plain_python(texts: list[str], amount: int, tmp_path: Path) -> None:
    batch = Batch.from_texts(texts)
    rows = list(range(len(texts)))
    for unit, sizes in (
        ("characters", [len(text) for text in texts]),
        ("bytes", [len(text.encode()) for text in texts]),
        ("documents", [1] * len(texts)),
    ):
        found = removed(Budget(**{unit: amount}), batch, tmp_path)  # type: ignore[arg-type]
        assert found == by_hand(batch, sizes, amount, rows)


def test_shares_of_a_budget(tmp_path: Path) -> None:
    batch = batch_of(*['"en"'] * 20, *['"fr"'] * 20, *[None] * 20)
    settings = Budget(documents=20, by="metadata.a.b", shares={"en": 0.5, "fr": 0.25})
    gone = removed(settings, batch, tmp_path)
    left = [language for n, language in enumerate(["en"] * 20 + ["fr"] * 20 + [""] * 20)
            if batch.ids[n] not in gone]  # fmt: skip
    assert (left.count("en"), left.count("fr"), left.count("")) == (10, 5, 5)
    assert gone < removed(settings.model_copy(update={"documents": 10}), batch, tmp_path)


def test_tokens_are_estimated_or_counted(tmp_path: Path) -> None:
    from tokenizers import Tokenizer, models, pre_tokenizers

    batch = Batch.from_texts(["one two three four"] * 10)
    assert Budget(tokens=36).amount("") == 144
    assert len(removed(Budget(tokens=36), batch, tmp_path)) == 2  # 18 bytes each, 144 in all
    tokenizer = Tokenizer(models.WordLevel({"one": 0, "[UNK]": 1}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    settings = Budget(tokens=36, tokenizer=str(tmp_path))
    assert len(removed(settings, batch, tmp_path)) == 1
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(UserError, match="cannot be read"):
        settings.open(StepContext()).fingerprint(batch)
    with pytest.raises(UserError, match=r"budget\.tokenizer does not exist"):
        Budget(tokens=1, tokenizer=str(tmp_path / "absent")).fingerprint()


@pytest.mark.parametrize(
    "step, options, message",
    [
        (Sample, {}, "keeps everything"),
        (Sample, {"tokens": "1B"}, "budget"),
        (Sample, {"fraction": 0.5, "fractions": {"a": 1}}, "needs by"),
        (Sample, {"by": "source", "fractions": {"a": 2}}, "between 0 and 1"),
        (Sample, {"fraction": 0.5, "by": "mood"}, "pattern"),
        (Budget, {}, "give one of"),
        (Budget, {"tokens": 1, "bytes": 1}, "give one of"),
        (Budget, {"tokens": 1, "by": "source"}, "belong together"),
        (Budget, {"tokens": 1, "by": "source", "shares": {"a": 0.6, "b": 0.6}}, "at most 1"),
        (Budget, {"bytes": 1, "tokenizer": "x"}, "budget in tokens"),
    ],
)
def test_settings_are_checked(step: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        step.model_validate(options)


def test_scores_of_a_stratum_that_keeps_nothing() -> None:
    scores = Sample(fraction=0).open(StepContext()).scores(MANY.slice(0, 1))
    assert math.isinf(scores["draw_per_fraction"][0])  # type: ignore[arg-type]
