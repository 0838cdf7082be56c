"""From a training step or sample back to the pages it was made of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from textmill.errors import UserError

if TYPE_CHECKING:
    from textmill.api import Run

EXCERPT_CHARACTERS = 160


def trace(run: Run, sample: int | None = None, step: int | None = None) -> list[dict[str, Any]]:
    """See :meth:`textmill.api.Run.trace`."""
    from textmill.tokens.provenance import documents_of_sample

    if (sample is None) == (step is None):
        raise UserError("name a sample or a training step", expected="one of --sample N and --step N")
    folder, seq_len = run._token_folder()
    samples = [sample] if sample is not None else _samples_of_step(run, int(step or 0))
    rows = []
    for number in samples:
        for piece in documents_of_sample(folder, "train", int(number), seq_len):
            rows.append({"sample": int(number), **piece})
    return _with_documents(run, rows)


def _samples_of_step(run: Run, step: int) -> list[int]:
    from textmill.train.order import samples_of_step

    record = run.workspace.manifest.find("train")
    if record is None:
        raise UserError(
            "this run has not trained a model",
            where=run.workspace.url,
            hint="trace a sample instead: --sample 0",
        )
    numbers = record.numbers
    if not 1 <= step <= numbers["steps"]:
        raise UserError(
            "no such training step", expected=f"1 to {numbers['steps']}", found=str(step), where=run.workspace.url
        )
    chosen = samples_of_step(numbers["seed"], step - 1, numbers["batch_size"], numbers["samples"])
    return [int(sample) for sample in chosen]


def _with_documents(run: Run, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Add source, locator, url and the beginning of the text to every row."""
    known: dict[str, tuple[Any, ...]] = {}
    for row in rows:
        if row["id"] not in known:
            found = run._connection.execute(
                "SELECT source, locator, url, left(text, ?) FROM documents WHERE id = ?::BLOB",
                [EXCERPT_CHARACTERS, bytes.fromhex(row["id"])],
            ).fetchall()
            known[row["id"]] = found[0] if found else (None, None, None, None)
        for name, value in zip(("source", "locator", "url", "text"), known[row["id"]], strict=True):
            row[name] = value
    return rows
