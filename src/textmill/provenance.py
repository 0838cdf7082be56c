"""From a training step or sample back to the pages it was made of."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from textmill.errors import UserError
from textmill.workspace import Workspace, connect

EXCERPT_CHARACTERS = 160


def trace(workspace: Workspace, sample: int | None = None, step: int | None = None) -> list[dict[str, Any]]:
    """See :meth:`textmill.api.Run.trace`."""
    from textmill.tokens.provenance import documents_of_sample, documents_of_tokens

    if (sample is None) == (step is None):
        raise UserError("name a sample or a training step", expected="one of --sample N and --step N")
    folder, seq_len = token_folder(workspace)
    rows: list[dict[str, Any]] = []
    if sample is not None:
        for piece in documents_of_sample(folder, "train", sample, seq_len):
            rows.append({"sample": sample, **piece})
    else:
        for window, start, stop in _windows_of_step(workspace, folder, int(step or 0)):
            for piece in documents_of_tokens(folder, "train", start, stop):
                rows.append({"sample": window, **piece})
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


def _windows_of_step(workspace: Workspace, folder: Path, step: int) -> Iterator[tuple[int, int, int]]:
    """Number, first token and end of every piece of the windows of a step (counted from 1)."""
    from textmill.tokens.dataset import TokenSet
    from textmill.tokens.window_kinds import cut_windows
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
    if numbers.get("mixture"):
        raise UserError(
            "the windows of a mixture are of several runs",
            where=workspace.url,
            hint="checkpoints/metrics.jsonl names the windows of steps that stood out: trace them in their runs",
        )
    # Returns to a checkpoint have passed windows over: from some step on, the order is read further on.
    offset = max((far for start, far in numbers.get("passed_over", ()) if start <= step - 1), default=0)
    chosen = samples_of_step(numbers["seed"], step - 1 + offset, numbers["batch_size"], numbers["samples"])
    kind = numbers.get("windows", {"kind": "stream", "stride": 0, "min_tokens": None})
    length = numbers["seq_len"]
    windows = cut_windows(
        kind["kind"],
        TokenSet(folder, "train", length),
        folder,
        length,
        stride=kind["stride"],
        min_tokens=kind["min_tokens"],
    )
    for window in map(int, chosen):
        for start, stop in windows.spans(window):
            yield window, start, stop


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
