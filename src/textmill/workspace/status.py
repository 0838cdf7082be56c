"""What each step kept, dropped and failed, and what the stages measured."""

from __future__ import annotations

from typing import Any

from textmill.workspace.manifest import sum_steps
from textmill.workspace.run_folder import Workspace


def status(workspace: Workspace) -> dict[str, Any]:
    """The state of a run as plain JSON values.

    Returns:
        ``run``, ``folder``; ``steps``: a list with step, in, kept, dropped, failed, characters_in,
        characters_kept per step in order; ``passes``: name, kind, items, seconds, and ``state`` (done, or how
        many items of an unfinished pass are committed); ``tokenizer``, ``tokens``, ``train``, ``evaluation``:
        what those stages measured (empty when they have not run).
    """
    manifest = workspace.manifest
    passes = [
        {
            "name": record.name,
            "kind": record.kind,
            "items": len(record.commits),
            "seconds": round(record.seconds, 3),
            "state": "done",
            **({"plan": record.description} if record.description else {}),
        }
        for record in manifest.passes
    ]
    done = {record.name for record in manifest.passes}
    unfinished = sorted(
        {path.split("/")[1] for path in workspace.storage.files("commits") if path.count("/") > 1}
    )
    for name in unfinished:
        if name not in done:
            commits = workspace.pending_commits(name)
            state = f"unfinished: {len(commits)} items committed"
            passes.append({"name": name, "kind": "", "items": len(commits), "seconds": 0.0, "state": state})
    counts = sum_steps(record.steps() for record in manifest.document_passes())
    result: dict[str, Any] = {
        "run": manifest.run,
        "folder": workspace.url,
        "steps": [
            {
                "step": step.step,
                "in": step.taken,
                "kept": step.kept,
                "dropped": step.dropped,
                "failed": step.failed,
                "characters_in": step.characters_in,
                "characters_kept": step.characters_kept,
            }
            for step in counts
        ],
        "passes": passes,
    }
    for key, stage in (
        ("tokenizer", "tokenizer"),
        ("tokens", "tokens"),
        ("train", "train"),
        ("evaluation", "evaluate"),
    ):
        record = manifest.find(stage)
        result[key] = record.numbers if record else {}
    return result
