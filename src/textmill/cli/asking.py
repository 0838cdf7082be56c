"""``status``, ``why``, ``trace``, ``verify`` and ``report``: questions to a finished or running run."""

from __future__ import annotations

import argparse
import json
from textwrap import wrap
from typing import Any

from textmill.cli import screen
from textmill.cli.arguments import Commands, Parser
from textmill.cli.run_choice import chosen_run, is_run
from textmill.errors import UserError

TITLE = "ask"
LANGUAGES_SHOWN = 6


def register(add: Commands) -> None:
    """Add the commands of this group."""
    status = add("status", "What each step kept, dropped and failed, and what the model scores.")
    _run_argument(status)
    status.add_argument("--json", action="store_true", help="as JSON, for programs")
    status.set_defaults(run_command=_status)

    why = add("why", "What became of a document, and why.")
    why.add_argument("query", nargs="+", metavar="QUERY", help="an id, a URL, a path, or words of the text")
    why.add_argument("--run", metavar="RUN", help="run folder or URL (default: the newest below runs/)")
    why.add_argument("--json", action="store_true", help="as JSON, for programs")
    why.set_defaults(run_command=_why)

    trace = add("trace", "The documents behind a training sample or a training step.")
    _run_argument(trace)
    trace.add_argument("--run", metavar="RUN", dest="named_run", help="the same, as other commands have it")
    wanted = trace.add_mutually_exclusive_group(required=True)
    wanted.add_argument("--sample", type=int, metavar="N", help="sample of the train split, counted from 0")
    wanted.add_argument("--step", type=int, metavar="N", help="training step, counted from 1")
    trace.add_argument("--json", action="store_true", help="as JSON, for programs")
    trace.set_defaults(run_command=_trace)

    verify = add("verify", "Check every file's SHA-256 and that no document is unaccounted for.")
    _run_argument(verify)
    verify.set_defaults(run_command=_verify)

    report = add("report", "Write the report card again.")
    _run_argument(report)
    report.set_defaults(run_command=_report)


def _run_argument(parser: Parser) -> None:
    parser.add_argument(
        "run", nargs="?", metavar="RUN", help="run folder or URL (default: the newest below runs/)"
    )


def _status(arguments: argparse.Namespace) -> int:
    from textmill.workspace import Workspace, status

    state = status(Workspace.open(chosen_run(arguments.run)))
    if arguments.json:
        print(json.dumps(state, indent=2, ensure_ascii=False))
        return 0
    print(f"{state['run']}, in {state['folder']}")
    print()
    if state["steps"]:
        print_funnel(state["steps"])
    unfinished = [one for one in state.get("passes", ()) if one.get("state", "done") != "done"]
    for one in unfinished:
        print(f"\n{one['name']}: {one['state']}; the command that started the run continues it")
    for section in ("tokenizer", "tokens", "train", "evaluation"):
        measured = dict(state.get(section) or {})
        languages = measured.pop("languages", None)
        figures = _flat(measured)
        if figures:
            print(f"\n{section}")
            for name, value in figures:
                print(f"  {name:<32}{screen.number(value)}")
        if languages:
            print(screen.fit(f"  {'bytes_per_token by language':<32}{_by_language(languages)}", 34))
    if "validation_loss" in (state.get("train") or {}) and "nats_per_token" in (
        state.get("evaluation") or {}
    ):
        print(
            "\nvalidation_loss and nats_per_token are both nats per token on held-out text: the first over some"
            "\nwindows, each from nothing; the second over all of it, with earlier text in view, and so usually lower"
        )
    return 0


def print_funnel(steps: list[dict[str, Any]]) -> None:
    """The table of documents per step."""
    columns = {"step": "left", "in": "right", "kept": "right", "dropped": "right", "failed": "right"}
    columns |= {"kept %": "right", "characters": "right"}
    rows = [
        [
            step["step"],
            *(screen.count(step[name]) for name in ("in", "kept", "dropped", "failed")),
            screen.share(step["kept"], step["in"]),
            screen.count(step["characters_kept"]),
        ]
        for step in steps
    ]
    screen.print_table(columns, rows)


def _why(arguments: argparse.Namespace) -> int:
    from textmill.workspace import Workspace, tally, why

    words = list(arguments.query)
    run = arguments.run
    if run is None and len(words) > 1 and is_run(words[0]):
        run = words.pop(0)
    workspace, query = Workspace.open(chosen_run(run)), " ".join(words)
    stories = why(workspace, query)
    if arguments.json:
        print(json.dumps(stories, indent=2, ensure_ascii=False))
        return 0
    together = tally(workspace, query) if len(stories) > 1 and stories[0]["found_by"] == "place" else {}
    if together:
        parts = ", ".join(f"{count:,} {outcome}" for outcome, count in together.items())
        print(
            screen.fit(f"{sum(together.values()):,} documents there: {parts}; the first of them:", 2) + "\n"
        )
    _print_story(stories[0])
    if len(stories) > 1:
        left = sum(together.values()) - len(stories)
        shown = (
            f"the next {len(stories) - 1} of them" if left > 0 else f"{len(stories) - 1} more may be meant"
        )
        print(f"\n{shown}; ask by id:")
        for story in stories[1:]:
            print(f"  {story['id']}  {story['outcome']:<9}  {story['locator']}")
    return 0


def _print_story(story: dict[str, Any]) -> None:
    """One document's story, on one screen."""
    lines = [*screen.fit(_verdict(story), 2).splitlines(), "", *_facts(story), *_happenings(story)]
    end = []
    if story.get("excerpt"):
        wrapped = wrap(screen.one_line(str(story["excerpt"]), 150), 76)
        end = ["", "it begins", *(f"  {line}" for line in wrapped)]
    scores = _scores_in_lines(story.get("scores") or {})
    if scores:
        # What is measured gives way to what happened; two lines of it always stand.
        room = max(2, _SCREEN_LINES - len(lines) - len(end) - 2)
        lines += ["", "measured", *(f"  {line}" for line in scores[: min(6, room)])]
    print("\n".join(lines + end))


_SCREEN_LINES = 24


def _facts(story: dict[str, Any]) -> list[str]:
    """Who the document is, and which one it equals."""
    url, locator = story.get("url"), str(story.get("locator") or "")
    rows = [("document", story["id"]), ("source", story.get("source")), ("place", locator)]
    if url and locator.split(" ")[0] != url:
        rows += [("url", url)]
    if story.get("characters") is not None:
        rows += [("characters", screen.count(story["characters"]))]
    matched = story.get("matched")
    if matched:
        likeness = matched.get("similarity")
        rows += [
            (
                "same as",
                f"{matched['id']}" + (f"  (similarity {likeness:.3g})" if likeness is not None else ""),
            ),
            ("", " ".join(str(matched[key]) for key in ("source", "locator") if matched.get(key))),
        ]
    if story.get("detail"):
        rows += [("detail", screen.one_line(str(story["detail"]), 300))]
    return [
        line for name, value in rows if value for line in screen.fit(f"{name:<12}{value}", 12).splitlines()
    ]


def _happenings(story: dict[str, Any]) -> list[str]:
    events = story.get("events") or []
    if not events:
        return []
    lines = ["", "what happened to it"]
    for event in events[:8]:
        lines += screen.fit(f"  {_event(event)}", 11).splitlines()
        if event.get("action") == "edited" and event.get("detail"):
            told = wrap(screen.one_line(str(event["detail"]), 700), 76, break_on_hyphens=False)
            lines += [f"    {line}" for line in told]
        if event.get("action") == "edited" and event.get("matched_id"):
            lines.append(f"    the text stands in {event['matched_id']}")
    if len(events) > 8:
        lines.append(f"  ... and {len(events) - 8} more (--json shows all)")
    return lines


def _verdict(story: dict[str, Any]) -> str:
    outcome, step, rule = story["outcome"], story.get("step"), story.get("rule")
    if outcome == "kept":
        return "KEPT: every step let it pass"
    by = f" by {step}" + (f", rule {rule}" if rule else "") if step else ""
    if outcome == "duplicate":
        return f"DUPLICATE: dropped{by}; another document stands for it"
    measured = ""
    value, threshold, label = story.get("value"), story.get("threshold"), story.get("label")
    if value is not None:
        measured = f": measured {screen.number(value)}"
        if threshold is not None:
            bound = "at least" if value < threshold else "at most"
            measured += f", allowed {bound} {screen.number(threshold)}"
    elif label:
        measured = f": it is {label!r}"
    return f"{outcome.upper()}{by}{measured}"


def _event(event: dict[str, Any]) -> str:
    parts = [f"{event.get('action', ''):<8} {event.get('step') or ''}"]
    if event.get("rule"):
        parts.append(f"rule {event['rule']}")
    if event.get("value") is not None:
        parts.append(f"measured {screen.number(event['value'])}")
    if event.get("threshold") is not None:
        parts.append(f"threshold {screen.number(event['threshold'])}")
    if event.get("label"):
        parts.append(str(event["label"]))
    before, after = event.get("characters_before"), event.get("characters_after")
    if before is not None and after is not None:
        parts.append(f"{before:,} to {after:,} characters")
    return "  ".join(parts)


def _scores_in_lines(scores: dict[str, Any], width: int = 76) -> list[str]:
    """``gopher_quality: words 56, mean_word_length 4.1``: a paragraph per step, zeros last and without names."""
    by_step: dict[str, list[str]] = {}
    for name, value in scores.items():
        step, _, score = name.rpartition(".")
        zero = isinstance(value, int | float) and value == 0
        by_step.setdefault(step, []).append("" if zero else f"{score} {screen.number(value)}")
    lines = []
    for step, parts in by_step.items():
        told = [part for part in parts if part]
        if len(told) < len(parts):
            told.append("all others 0" if told else "all 0")
        text = (f"{step}: " if step else "") + ", ".join(told)
        lines += wrap(text, width, subsequent_indent="  ", break_on_hyphens=False)
    return lines


def _trace(arguments: argparse.Namespace) -> int:
    from textmill.api import Run

    if arguments.run and arguments.named_run and arguments.run != arguments.named_run:
        raise UserError(
            "Two runs are named.",
            expected="one run",
            found=f"{arguments.run} and {arguments.named_run}",
            where="textmill trace",
            hint=f"textmill trace --run {arguments.named_run}",
        )
    run = Run(chosen_run(arguments.run or arguments.named_run))
    parts = run.trace(sample=arguments.sample, step=arguments.step)
    if arguments.json:
        print(json.dumps(parts, indent=2, ensure_ascii=False))
        return 0
    columns = {"sample": "right", "tokens of": "right", "document": "left", "source": "left", "place": "left"}
    rows = [
        [
            str(part["sample"]),
            f"{part['first_token']}-{part['last_token']}",
            part["id"],
            part.get("source") or "",
            part.get("url") or part.get("locator") or "",
        ]
        for part in parts
    ]
    screen.print_table(columns, rows)
    if parts:
        print(f"\nthe first begins: {screen.one_line(str(parts[0].get('text') or ''), 200)}")
    return 0


def _verify(arguments: argparse.Namespace) -> int:
    from textmill.api import Run

    run = Run(chosen_run(arguments.run))
    findings = run.verify()
    for finding in findings:
        print(finding)
    if findings:
        print(f"FAIL: {len(findings)} finding{'s' if len(findings) > 1 else ''} in {run.workspace.url}")
        return 1
    print(f"PASS: every file and every number of {run.workspace.url} is as it was committed")
    return 0


def _report(arguments: argparse.Namespace) -> int:
    from textmill.api import Run

    run = Run(chosen_run(arguments.run))
    if not run.workspace.manifest.passes:
        raise UserError(
            "This run has nothing to report yet.", where=run.workspace.url, hint="run its recipe first"
        )
    folder, report = run.workspace.url, run.report()
    print(report if report.startswith(folder) else f"{folder.rstrip('/')}/{report}")
    return 0


def _by_language(languages: dict[str, Any]) -> str:
    """The languages with most text, and their bytes per token; all of them stand in the report and in ``--json``."""
    shown = [f"{name} {figures['bytes_per_token']:.2f}" for name, figures in languages.items()][
        :LANGUAGES_SHOWN
    ]
    more = len(languages) - len(shown)
    return ", ".join(shown) + (f" and {more} more in the report" if more else "")


def _flat(values: dict[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    """Nested figures as dotted names; lists are left to the report."""
    result: list[tuple[str, Any]] = []
    for name, value in values.items():
        if isinstance(value, dict):
            result += _flat(value, f"{prefix}{name}.")
        elif isinstance(value, str | int | float):
            result.append((f"{prefix}{name}", value))
    return result
