"""From a training step or sample back to the pages it was made of."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from textmill.errors import UserError
from textmill.workspace import Workspace, connect

EXCERPT_CHARACTERS = 160


def trace(workspace: Workspace, sample: int | None = None, step: int | None = None) -> list[dict[str, Any]]:
    """See :meth:`textmill.api.Run.trace`."""
    from textmill.tokens.provenance import documents_of_sample

    if (sample is None) == (step is None):
        raise UserError("name a sample or a training step", expected="one of --sample N and --step N")
    folder, seq_len = token_folder(workspace)
    samples = [sample] if sample is not None else _samples_of_step(workspace, int(step or 0))
    rows: list[dict[str, Any]] = []
    for number in samples:
        for piece in documents_of_sample(folder, "train", int(number), seq_len):
            rows.append({"sample": int(number), **piece})
    return _with_documents(workspace, rows)


def token_folder(workspace: Workspace) -> tuple[Path, int]:
    """The run's folder of tokens (local) and the length of a sample.

    Raises:
        UserError: the run has no tokens.
    """
    record = workspace.manifest.find("tokens")
    if record is None:
        raise UserError(
            "this run has no tokens",
            where=workspace.url,
            hint="add sections tokenizer: and tokens: to the recipe and run it again",
        )
    return workspace.local("tokens"), int(record.numbers["seq_len"])


def _samples_of_step(workspace: Workspace, step: int) -> list[int]:
    from textmill.train.order import samples_of_step

    record = workspace.manifest.find("train")
    if record is None:
        raise UserError(
            "this run has not trained a model",
            where=workspace.url,
            hint="trace a sample instead: --sample 0",
        )
    numbers = record.numbers
    if not 1 <= step <= numbers["steps"]:
        raise UserError(
            "no such training step", expected=f"1 to {numbers['steps']}", found=str(step), where=workspace.url
        )
    chosen = samples_of_step(numbers["seed"], step - 1, numbers["batch_size"], numbers["samples"])
    return [int(sample) for sample in chosen]


def _with_documents(workspace: Workspace, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Add source, locator, url and the beginning of the text to every row."""
    connection = connect(workspace)
    known: dict[str, tuple[Any, ...]] = {}
    for row in rows:
        if row["id"] not in known:
            found = connection.execute(
                "SELECT source, locator, url, left(text, ?) FROM documents WHERE id = ?::BLOB",
                [EXCERPT_CHARACTERS, bytes.fromhex(row["id"])],
            ).fetchall()
            known[row["id"]] = found[0] if found else (None, None, None, None)
        for name, value in zip(("source", "locator", "url", "text"), known[row["id"]], strict=True):
            row[name] = value
    return rows
