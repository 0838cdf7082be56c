"""``stats`` and ``whatif``: how the scores of a run lie, and what other thresholds would keep."""

from __future__ import annotations

import argparse
import json
from typing import Any

from textmill.cli import screen
from textmill.cli.arguments import Commands
from textmill.cli.deduplication import print_tasks, tasks_of
from textmill.cli.run_choice import chosen_run

TITLE = "choose thresholds"

_GROUPS_SHOWN = 12
_LABELS_SHOWN = 8


def register(add: Commands) -> None:
    """Add the commands of this group."""
    stats = add("stats", "How the scores lie: mean, percentiles, share outside each rule.")
    stats.add_argument(
        "run", nargs="?", metavar="RUN", help="run folder or URL (default: the newest below runs/)"
    )
    stats.add_argument("--by", choices=("language", "source"), help="a line for each language or source")
    stats.add_argument("--step", metavar="STEP", help="only the scores of this step")
    stats.add_argument("--json", action="store_true", help="as JSON, for programs")
    stats.set_defaults(run_command=_stats)

    whatif = add("whatif", "What other thresholds would keep, from the stored scores.")
    whatif.add_argument(
        "run", nargs="?", metavar="RUN", help="run folder or URL (default: the newest below runs/)"
    )
    whatif.add_argument(
        "--set", action="append", required=True, metavar="PATH=VALUE", dest="overrides",
        help="a threshold of a filter: gopher_quality.min_words=30 (may be repeated)",
    )  # fmt: skip
    whatif.add_argument("--json", action="store_true", help="as JSON, for programs")
    whatif.set_defaults(run_command=_whatif)


def _stats(arguments: argparse.Namespace) -> int:
    from textmill.errors import UserError
    from textmill.recipe.mistakes import did_you_mean
    from textmill.scores import score_statistics
    from textmill.workspace import Workspace

    workspace = Workspace.open(chosen_run(arguments.run))
    tasks = tasks_of(workspace)
    try:
        found = score_statistics(workspace, arguments.by)
    except UserError:
        if not tasks or arguments.by or arguments.step:
            raise
        found = {"run": workspace.manifest.run, "by": None, "scores": []}
    if tasks and arguments.step is None:
        found["tasks"] = tasks
    if arguments.step is not None:
        steps = list(dict.fromkeys(row["step"] for row in found["scores"]))
        if arguments.step not in steps:
            raise UserError(
                f"No step {arguments.step!r} gave scores.",
                expected="one of: " + ", ".join(steps),
                where="--step",
                hint=did_you_mean(arguments.step, steps),
            )
        found["scores"] = [row for row in found["scores"] if row["step"] == arguments.step]
    if arguments.json:
        print(json.dumps(found, indent=2, ensure_ascii=False))
        return 0
    for position, step in enumerate(dict.fromkeys(row["step"] for row in found["scores"])):
        if position:
            print()
        _print_step(step, [row for row in found["scores"] if row["step"] == step], arguments.by)
    print_tasks(found.get("tasks", []))
    return 0


def _whatif(arguments: argparse.Namespace) -> int:
    from textmill.scores import what_if
    from textmill.workspace import Workspace

    found = what_if(Workspace.open(chosen_run(arguments.run)), arguments.overrides)
    if arguments.json:
        print(json.dumps(found, indent=2, ensure_ascii=False))
        return 0
    for change in found["changes"]:
        before, after = (_threshold(change[key]) for key in ("before", "after"))
        print(f"{change['step']}.{change['field']}: {before} -> {after}")
    columns = {"step": "left", "in": "right", "kept": "right", "in now": "right", "kept now": "right"}
    columns |= {"change": "right"}
    table = []
    for step in found["steps"]:
        table.append(
            [
                step["step"],
                *(screen.count(step[key]) for key in ("in", "kept", "in_now", "kept_now")),
                _signed(step["kept_now"] - step["kept"]),
            ]
        )
        if step["changed"]:
            table += [
                [f"  dropped by {rule['rule']}", "", screen.count(rule["dropped"]), "",
                 screen.count(rule["dropped_now"]), _signed(rule["dropped_now"] - rule["dropped"])]
                for rule in step["rules"]
                if rule["dropped"] != rule["dropped_now"]
            ]  # fmt: skip
            # With these the rows add up to what the step dropped.
            same = sum(rule["dropped"] for rule in step["rules"] if rule["dropped"] == rule["dropped_now"])
            if same:
                table.append(["  dropped by all others", "", screen.count(same), "", screen.count(same), "0"])
    print()
    screen.print_table(columns, table)
    print()
    for line in _whatif_summary(found):
        print(screen.fit(line, 2))
    return 0


def _whatif_summary(found: dict[str, Any]) -> list[str]:
    low, high = screen.count(found["at_least"]), screen.count(found["at_most"])
    lines = [
        f"the run kept {screen.count(found['kept'])}; now it would keep {low if low == high else f'{low} to {high}'}"
    ]
    lines.append(f"  {screen.count(found['lost'])} of those kept would be dropped")
    gained = f"  {screen.count(found['gained'])} more would pass these filters"
    if found["steps_unknown"]:
        gained += f"; they have never been through {', '.join(found['steps_unknown'])}"
    lines.append(gained)
    if found["duplicates_back"]:
        count = screen.count(found["duplicates_back"])
        lines.append(f"  up to {count} duplicates of dropped documents might take their place")
    if low != high:
        lines.append("to be certain, run the recipe with the same --set")
    return lines


def _signed(number: int) -> str:
    return f"{number:+,}" if number else "0"


def _threshold(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or "none"
    return "none" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def _print_step(step: str, rows: list[dict[str, Any]], by: str | None) -> None:
    """The scores of one step: a table of distributions, and below it what its rules refuse."""
    shown = _most_frequent(rows)
    numbers = [row for row in shown if "labels" not in row]
    print(step)
    if numbers:
        _print_numbers(numbers, by)
    for row in (row for row in shown if "labels" in row and len(row["labels"]) + (by is None) > 1):
        of = f" of {row['group']}" if by else ""
        parts = [
            f"{label} {screen.share(count, row['count'])}"
            for label, count in list(row["labels"].items())[:_LABELS_SHOWN]
        ]
        more = len(row["labels"]) - _LABELS_SHOWN
        others = f", {more} others" if more > 0 else ""
        print(screen.fit(f"  {row['score']}{of}: {', '.join(parts)}{others}", 4))
    rules = [
        [
            "  " + rule["described"],
            *([row["group"]] if by else []),
            screen.count(rule["outside"]),
            screen.share(rule["outside"], row["count"]),
        ]
        for row in shown
        for rule in row["rules"]
    ]
    if rules:
        screen.print_plain(
            {"  rule": "left", **({by: "left"} if by else {}), "outside": "right", "": "right"}, rules
        )
    left_out = len({row["group"] for row in rows}) - len({row["group"] for row in shown})
    if left_out:
        print(f"  and {left_out} more with fewer documents (--json shows all)")


def _print_numbers(rows: list[dict[str, Any]], by: str | None) -> None:
    """Distributions; a terminal that is too narrow gets fewer percentiles rather than broken lines."""
    from textmill.scores import PERCENTILES

    for left_out in ((), (25, 75), (5, 25, 75, 95)):
        shown = [percent for percent in PERCENTILES if percent not in left_out]
        columns = {"  score": "left", **({by: "left"} if by else {}), "count": "right", "mean": "right"}
        columns |= {f"p{percent}": "right" for percent in shown}
        table = [
            [
                "  " + row["score"],
                *([row["group"]] if by else []),
                screen.count(row["count"]),
                _short(row["mean"]),
                *(_short(row[f"p{percent}"]) for percent in shown),
            ]
            for row in rows
        ]
        if screen.fits(columns, table):
            break
    screen.print_plain(columns, table)


def _most_frequent(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows of the groups with most documents."""
    counts: dict[str | None, int] = {}
    for row in rows:
        counts[row["group"]] = max(counts.get(row["group"], 0), row["count"])
    groups = sorted(counts, key=lambda group: (-counts[group], group or ""))[:_GROUPS_SHOWN]
    return [row for row in rows if row["group"] in groups]


def _short(value: float) -> str:
    """A number in few characters: three digits, or all of a whole part that a reader can take in."""
    if value == 0:
        return "0"
    if abs(value) >= 1e9:
        return f"{value:.2e}"
    if abs(value) >= 1000 or float(value).is_integer():
        return f"{value:,.0f}"
    digits = f"{value:.3g}"
    return digits if "e" not in digits else f"{value:.1e}"
