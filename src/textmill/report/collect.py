"""From a run folder to report data: manifest, ledger and the stages' own files.

Whatever a run has not (no training, no ledger of a pass) is left out of the report rather than guessed.
Documents are shown as excerpts; no query reads more texts than it shows.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from textmill.report.examples import drop_reasons, duplicate_groups, places_of
from textmill.report.histograms import Bounds, score_histograms
from textmill.report.model import (
    Breakdown,
    Evaluation,
    Exam,
    FunnelRow,
    Histogram,
    LanguageTokens,
    Measured,
    Output,
    ReportData,
    Sample,
    Share,
    Tokens,
    TokenSplit,
    Training,
)
from textmill.report.numerals import short, size
from textmill.report.repetition import cuttings, group_ids, near_reviews
from textmill.workspace import Workspace, connect
from textmill.workspace.manifest import Manifest

if TYPE_CHECKING:
    import duckdb

FILES_SHOWN = 200
LABELS_SHOWN = 8
# Labels are joined with what was finally kept as long as the ids fit into about a gigabyte.
JOINED_DOCUMENTS = 20_000_000
_LEDGER_COLUMNS = ("id", "source", "locator", "url", "characters", "verdict", "step", "rule")


def collect(workspace: Workspace) -> ReportData:
    """Everything that the report card of this run shows."""
    manifest = workspace.manifest
    with connect(workspace) as connection:
        reasons, left_out = drop_reasons(connection, _rules(manifest))
        files = [record for one in manifest.passes for record in one.all_files()]
        return ReportData(
            name=manifest.run,
            funnel=_funnel(manifest),
            reasons=reasons,
            reasons_left_out=left_out,
            duplicates=duplicate_groups(connection),
            reviews=tuple(near_reviews(manifest, places_of(connection, group_ids(manifest)))),
            cuttings=tuple(cuttings(connection)),
            exams=tuple(_exams(manifest)),
            breakdowns=tuple(_breakdowns(connection, manifest)),
            lengths=_lengths(connection),
            histograms=tuple(_histograms(connection, manifest)),
            tokens=_tokens(_numbers(manifest, "tokens"), _numbers(manifest, "tokenizer")),
            training=_training(workspace, manifest),
            evaluation=_evaluation(_numbers(manifest, "evaluate")),
            samples=_samples(workspace),
            recipe=workspace.read_text("recipe.yaml") if workspace.exists("recipe.yaml") else "",
            outputs=tuple(Output(one.path, one.sha256, one.bytes, one.rows) for one in files[:FILES_SHOWN]),
            outputs_left_out=max(0, len(files) - FILES_SHOWN),
            measured=_measured(manifest),
        )


def write_report(workspace: Workspace) -> str:
    """Draw the report card of a run into its folder, whole or not at all; returns its path there."""
    from textmill.report.render import render

    page = render(collect(workspace))
    workspace.storage.write_bytes("report.html", page.encode())
    return "report.html"


def _funnel(manifest: Manifest) -> tuple[FunnelRow, ...]:
    return tuple(
        FunnelRow(
            step=count.step,
            documents_in=count.taken,
            kept=count.kept,
            dropped=count.dropped,
            failed=count.failed,
            characters_in=count.characters_in,
            characters_kept=count.characters_kept,
            pass_name=one.name,
        )
        for one in manifest.document_passes()
        for count in one.steps()
    )


def _exams(manifest: Manifest) -> Iterator[Exam]:
    """The evaluation tasks, as the steps that searched for them have noted."""
    for record in manifest.passes:
        for one in record.description.get("tasks", ()):
            examples = tuple((e["item"], e["question"], e["documents"]) for e in one["examples"])
            numbers = (one["items"], one["not_checkable"], one["items_hit"], one["documents"])
            yield Exam(one["task"], *numbers, examples)


def _rules(manifest: Manifest) -> list[Mapping[str, Any]]:
    """The rules that the passes recorded: step, score, name, minimum, maximum, allowed, described."""
    return [rule for one in manifest.document_passes() for rule in one.description.get("rules", ())]


def _histograms(connection: duckdb.DuckDBPyConnection, manifest: Manifest) -> Iterator[Histogram]:
    bounds = _bounds(connection, _rules(manifest))
    for number in range(len(manifest.document_passes())):
        columns = [name for name, kind in _score_columns(connection, number) if kind in ("FLOAT", "DOUBLE")]
        yield from score_histograms(connection, f"scores_{number}", columns, bounds)


def _score_columns(connection: duckdb.DuckDBPyConnection, number: int) -> list[tuple[str, str]]:
    """Names and DuckDB types of a pass's score columns, as they follow the verdict."""
    described = connection.execute(f"DESCRIBE scores_{number}").fetchall()
    return [(row[0], row[1]) for row in described if row[0] not in _LEDGER_COLUMNS]


def _bounds(connection: duckdb.DuckDBPyConnection, rules: list[Mapping[str, Any]]) -> dict[str, Bounds]:
    """Bounds per score column: as the passes recorded them, else as their drops show them.

    A run whose manifest names no rules still has the threshold of every drop; a rule that dropped nothing is
    then unknown.
    """
    dropped: Counter[tuple[str, str]] = Counter()
    bounds: dict[str, Bounds] = {}
    for step, rule, below, above, count in connection.execute(
        "SELECT step, rule, min(threshold) FILTER (WHERE value < threshold), "
        "max(threshold) FILTER (WHERE value > threshold), count(*) FROM events "
        "WHERE action = 'dropped' AND rule IS NOT NULL GROUP BY step, rule ORDER BY step, rule"
    ).fetchall():
        dropped[step, rule] = count
        if not rules:
            bounds[f"{step}.{rule}"] = Bounds(below, above, count)
    for one in rules:
        column = f"{one['step']}.{one['score']}"
        before = bounds.get(column, Bounds(dropped=0))
        bounds[column] = Bounds(
            minimum=before.minimum if one.get("minimum") is None else one["minimum"],
            maximum=before.maximum if one.get("maximum") is None else one["maximum"],
            dropped=(before.dropped or 0) + dropped[one["step"], one.get("name") or one["score"]],
        )
    return bounds


def _breakdowns(connection: duckdb.DuckDBPyConnection, manifest: Manifest) -> Iterator[Breakdown]:
    final = manifest.document_passes()[-1:]
    finally_kept = sum(file.rows or 0 for one in final for file in one.files("documents")) <= JOINED_DOCUMENTS
    for number in range(len(manifest.document_passes())):
        for column, kind in _score_columns(connection, number):
            if kind != "VARCHAR":
                continue
            quoted = '"' + column.replace('"', '""') + '"'
            kept, joined = "count(d.id)", "LEFT JOIN documents d USING (id)"
            if not finally_kept:
                kept, joined = "count(*) FILTER (WHERE verdict = 'kept')", ""
            rows = connection.execute(
                f"SELECT coalesce(nullif({quoted}, ''), 'not measured'), count(*), {kept} "
                f"FROM scores_{number} {joined} GROUP BY 1 ORDER BY 2 DESC, 1"
            ).fetchall()
            step, _, label = column.partition(".")
            title = "Languages" if label == "language" else f"{label} ({step})"
            note = f"as {step} found it" + (
                "" if finally_kept else "; kept by that pass, not yet by later ones"
            )
            yield Breakdown(title, _shares(rows), note)
    if not manifest.document_passes():
        return
    rows = connection.execute(
        "SELECT source, sum(taken)::BIGINT, sum(kept)::BIGINT FROM ("
        "SELECT source, count(*) AS taken, 0 AS kept FROM scores_0 GROUP BY source UNION ALL "
        "SELECT source, 0, count(*) FROM documents GROUP BY source) GROUP BY source ORDER BY 2 DESC, 1"
    ).fetchall()
    if rows:
        yield Breakdown("Sources", _shares(rows))


def _shares(rows: list[tuple[str, int, int]]) -> tuple[Share, ...]:
    shares = [Share(*row) for row in rows[:LABELS_SHOWN]]
    rest = rows[LABELS_SHOWN:]
    if rest:
        others = Share(f"{len(rest):,} others", sum(row[1] for row in rest), sum(row[2] for row in rest))
        shares.append(others)
    return tuple(shares)


def _lengths(connection: duckdb.DuckDBPyConnection) -> Histogram | None:
    """Characters per kept document, counted in the texts themselves: they may have been edited since."""
    counted = '(SELECT length("text")::DOUBLE AS characters FROM documents)'
    found = score_histograms(connection, counted, ["characters"], {}, bins=48)[0]
    return replace(found, score="characters") if found.documents else None


def _numbers(manifest: Manifest, stage: str) -> dict[str, Any]:
    record = manifest.find(stage)
    return record.numbers if record else {}


def _tokens(numbers: Mapping[str, Any], tokenizer: Mapping[str, Any]) -> Tokens | None:
    if not numbers:
        return None
    splits = tuple(
        TokenSplit(
            name=name,
            tokens=split["tokens"],
            documents=split["documents"],
            text_bytes=split["text_bytes"],
            shards=split.get("shards", 0)
            if isinstance(split.get("shards", 0), int)
            else len(split["shards"]),
            samples=split.get("samples"),
        )
        for name, split in numbers.get("splits", {}).items()
    )
    return Tokens(
        dtype=str(numbers.get("dtype", "")),
        vocab_size=numbers["vocab_size"],
        seq_len=numbers["seq_len"],
        splits=splits,
        eos_id=numbers.get("eos_id"),
        languages=tuple(
            LanguageTokens(
                name, one["documents"], one["tokens"], one["bytes_per_token"], one["tokens_per_word"] or None
            )
            for name, one in tokenizer.get("languages", {}).items()
            if one["tokens"]
        ),
    )


def _training(workspace: Workspace, manifest: Manifest) -> Training | None:
    numbers = _numbers(manifest, "train")
    loss, validation = _curves(workspace)
    if not numbers and not loss:
        return None
    return Training(
        parameters=numbers.get("parameters"),
        steps=numbers.get("steps"),
        tokens=numbers.get("tokens"),
        final_loss=numbers.get("final_loss"),
        loss=tuple(loss),
        validation=tuple(validation),
    )


def _curves(workspace: Workspace) -> tuple[list[tuple[float, float]], list[tuple[float, float]]]:
    """Training and held-out loss over tokens, from the log of the training run.

    After a resume a step may be logged again: the later row counts. Held-out rows carry their step alone;
    their tokens are those of the training row at or before it.
    """
    path = "checkpoints/metrics.jsonl"
    if not workspace.exists(path):
        return [], []
    loss: dict[int, tuple[float, float]] = {}
    held_out: dict[int, float] = {}
    for line in workspace.read_text(path).splitlines():
        try:
            row = json.loads(line)
            step = int(row["step"])
        except (ValueError, KeyError, TypeError):
            continue  # a line cut off by an interruption
        if row.get("loss") is not None and row.get("tokens") is not None:
            loss[step] = (float(row["tokens"]), float(row["loss"]))
        if row.get("validation_loss") is not None:
            held_out[step] = float(row["validation_loss"])
    steps = sorted(loss)
    validation = []
    for step in sorted(held_out):
        before = [one for one in steps if one <= step]
        if before:
            last = before[-1]
            per_step = loss[last][0] / last if last else 0.0
            validation.append((loss[last][0] + per_step * (step - last), held_out[step]))
        else:
            validation.append((0.0, held_out[step]))
    return [loss[step] for step in steps], validation


def _evaluation(numbers: Mapping[str, Any]) -> Evaluation | None:
    fields = Evaluation.__dataclass_fields__
    known = {name: value for name, value in numbers.items() if name in fields}
    return Evaluation(**known) if known else None


def _samples(workspace: Workspace) -> tuple[Sample, ...]:
    path = "evaluation/samples.json"
    if not workspace.exists(path):
        return ()
    rows = json.loads(workspace.read_text(path))
    return tuple(
        Sample(
            prompt=str(row["prompt"]),
            continuation=str(row["continuation"]),
            original=str(row.get("original") or ""),
            settings=tuple(
                (name.replace("_", " "), f"{value:g}" if isinstance(value, float) else str(value))
                for name, value in row.items()
                if name not in ("prompt", "continuation", "original") and isinstance(value, (int, float, str))
            ),
        )
        for row in rows
    )


def _measured(manifest: Manifest) -> Measured:
    train = _numbers(manifest, "train")
    facts = []
    if "device" in train:
        facts.append(("device", str(train["device"])))
    if "tokens_per_second" in train:
        facts.append(("training speed", f"{short(train['tokens_per_second'])} tokens/s"))
    peak = max((int(one.description.get("worker_peak_bytes") or 0) for one in manifest.passes), default=0)
    if peak:
        facts.append(("largest worker", size(peak)))
    return Measured(
        durations=tuple((one.name, float(one.seconds)) for one in manifest.passes),
        facts=tuple(facts),
        versions=tuple(sorted(manifest.versions.items())),
    )
