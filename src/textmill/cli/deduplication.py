"""``dedup``: duplicates, repetitions and evaluation questions out of files, without a recipe."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from textmill.cli import screen
from textmill.cli.arguments import Commands
from textmill.errors import UserError

if TYPE_CHECKING:
    from textmill.recipe import Recipe
    from textmill.workspace import Workspace

TITLE = "duplicates"

RUN_FOLDER = "run"
"""Where the run is kept, below the output folder."""

_STEPS = ("exact", "near", "lines", "spans", "decontaminate")


def register(add: Commands) -> None:
    """Add the command."""
    dedup = add("dedup", "Take duplicates, repetitions and evaluation questions out of files.")
    dedup.add_argument(
        "--input", nargs="+", required=True, metavar="PATH", dest="inputs",
        help="files, folders or globs: .jsonl, .parquet, .txt, .md; compressed too. What stands first is kept",
    )  # fmt: skip
    dedup.add_argument("--output", "--out", required=True, metavar="DIR", help="folder to write")
    dedup.add_argument(
        "--exact", action="store_true", help="drop documents with equal texts (done if nothing is asked for)"
    )
    dedup.add_argument(
        "--near", nargs="?", const="0.8", metavar="SIMILARITY",
        help="drop documents whose shingles of words agree at least so much (0.8), each pair verified",
    )  # fmt: skip
    dedup.add_argument("--lines", action="store_true", help="cut lines that other documents have too")
    dedup.add_argument(
        "--spans", nargs="?", const="50", metavar="WORDS",
        help="cut spans of so many words (50) or more that stand somewhere else already",
    )  # fmt: skip
    dedup.add_argument(
        "--decontaminate", nargs="+", metavar="FILE",
        help="drop documents that hold questions or answers of these evaluation tasks (jsonl, json, csv, parquet)",
    )  # fmt: skip
    dedup.add_argument(
        "--against", nargs="+", metavar="RUN",
        help="with --exact or --near: drop what these earlier runs have kept; their texts are not read again",
    )  # fmt: skip
    dedup.add_argument(
        "--unit", choices=("file", "line", "paragraph"), default="file",
        help="what is one document in a .txt file (default: file)",
    )  # fmt: skip
    dedup.add_argument("--text-field", metavar="NAME", help="field or column with the text")
    dedup.add_argument(
        "--format", choices=("jsonl", "txt", "parquet"), default="jsonl", help="of the file written (default: jsonl)"
    )  # fmt: skip
    dedup.add_argument(
        "--set", action="append", default=[], metavar="PATH=VALUE", dest="overrides",
        help="change a value of a step: near_dedup.words=8 (may be repeated)",
    )  # fmt: skip
    dedup.add_argument("--workers", metavar="N", help="worker processes")
    dedup.set_defaults(run_command=_dedup)


def _dedup(arguments: argparse.Namespace) -> int:
    from textmill.cli.running import carry_out
    from textmill.export import export_corpus
    from textmill.workspace import Workspace

    recipe = _recipe(arguments)
    output = Path(arguments.output)
    folder = carry_out(recipe, str(output / RUN_FOLDER))
    workspace = Workspace.open(folder)
    written = export_corpus(workspace, output / f"corpus.{arguments.format}", arguments.format)
    print()
    _print_steps(workspace)
    print(
        f"\n{written.path}: {screen.count(written.documents)} texts, {screen.size(written.bytes)}"
        + (f"; {written.folded:,} had line breaks, which became spaces" if written.folded else "")
    )
    print(f"\nnext: textmill why PATH --run {folder} tells which document stands for a dropped one")
    print(f"      textmill dedup --input NEW --output DIR2 --against {folder} compares new files with these")
    return 0


def _recipe(arguments: argparse.Namespace) -> Recipe:
    """The files of the command line as sources, and the steps that its options ask for."""
    from textmill.recipe import Override, load_recipe

    asked = {name: getattr(arguments, name) for name in _STEPS}
    if not any(asked.values()):
        asked["exact"] = True
    against = {}
    if arguments.against:
        if not asked["exact"] and not asked["near"]:
            raise UserError(
                "Earlier runs are compared by --exact or --near.",
                expected="--exact, --near or both beside --against",
                found=" ".join(f"--{name}" for name, value in asked.items() if value),
                where="--against",
            )
        against = {
            "against": [str(Path(run).absolute()) if "://" not in run else run for run in arguments.against]
        }
    steps: list[Any] = []
    if asked["exact"]:
        steps.append({"exact_dedup": against})
    if asked["near"]:
        steps.append({"near_dedup": {"threshold": _number(asked["near"], "--near"), **against}})
    if asked["lines"]:
        steps.append({"line_dedup": {}})
    if asked["spans"]:
        steps.append({"span_dedup": {"words": _number(asked["spans"], "--spans")}})
    if asked["decontaminate"]:
        steps.append({"decontaminate": {"tasks": asked["decontaminate"]}})
    changes: list[str | Override] = [*arguments.overrides]
    if arguments.workers is not None:
        changes.append(Override("run.workers", arguments.workers, f"--workers {arguments.workers}"))
    sources = [
        {
            "files": {
                "paths": path,
                "label": f"input_{number}",
                "unit": arguments.unit,
                "text_field": arguments.text_field,
            }
        }
        for number, path in enumerate(arguments.inputs, 1)
    ]
    return load_recipe(
        {"name": "dedup", "sources": sources, "curate": steps}, changes, origin="the command line"
    )


def _number(text: str, option: str) -> float | int:
    try:
        number = json.loads(text)
    except ValueError:
        number = None
    if not isinstance(number, int | float) or isinstance(number, bool):
        raise UserError(
            f"{option} takes a number.",
            expected="0.8, say" if option == "--near" else "50, say",
            found=text,
            where=option,
            hint=f"name the files after --input: textmill dedup --input FILES --output DIR {option}",
        )
    return number


def _print_steps(workspace: Workspace) -> None:
    """What each step took away, and the tasks that were looked for."""
    from textmill.workspace import status

    columns = {"step": "left", "documents in": "right", "dropped": "right", "failed": "right"}
    columns |= {"characters taken away": "right", "share": "right"}
    rows = []
    for step in status(workspace)["steps"]:
        if step["step"] == "ingest":
            continue
        taken = step["characters_in"] - step["characters_kept"]
        rows.append(
            [
                step["step"],
                *(screen.count(step[name]) for name in ("in", "dropped", "failed")),
                screen.count(taken),
                screen.share(taken, step["characters_in"]),
            ]
        )
    screen.print_table(columns, rows)
    print_tasks(tasks_of(workspace))


def tasks_of(workspace: Workspace) -> list[dict[str, Any]]:
    """The evaluation tasks that a run was cleaned of, as ``decontaminate`` noted them."""
    return [task for record in workspace.manifest.passes for task in record.description.get("tasks", [])]


def print_tasks(tasks: list[dict[str, Any]]) -> None:
    """A table of the tasks: items, how many the corpus holds, and an example of each; nothing if there are none."""
    if not tasks:
        return
    columns = {"task": "left", "items": "right", "too short": "right", "items found": "right"}
    columns |= {"share": "right", "documents": "right"}
    print()
    screen.print_table(
        columns,
        [
            [
                one["task"],
                *(screen.count(one[name]) for name in ("items", "not_checkable", "items_hit")),
                screen.share(one["items_hit"], one["items"]),
                screen.count(one["documents"]),
            ]
            for one in tasks
        ],
    )
    for one in tasks:
        for example in one["examples"][:1]:
            question = screen.one_line(example["question"], 90)
            print(screen.fit(f"  {one['task']} {example['item']}: {question}", 4))
