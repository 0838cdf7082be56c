"""``quickstart``, ``run`` and ``plan``: recipes carried out, and what they will do."""

from __future__ import annotations

import argparse
import threading
from collections.abc import Sequence
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from textmill.cli import screen
from textmill.cli.arguments import Commands, Parser
from textmill.errors import UserError

if TYPE_CHECKING:
    from textmill.api import Run
    from textmill.recipe import Override, Recipe
    from textmill.workspace import Workspace

TITLE = "run"
SAMPLES_FILE = "evaluation/samples.json"


def register(add: Commands) -> None:
    """Add the commands of this group."""
    quick = add(
        "quickstart", "A model in five minutes, from a web site made of the documentation inside this Python."
    )
    quick.add_argument(
        "--max-source-bytes", default="48MB", metavar="SIZE",
        help="source code whose documentation becomes the site (default: 48MB)",
    )  # fmt: skip
    quick.add_argument(
        "--serve-site",
        action="store_true",
        help="only serve the site, to look at it in a browser; Ctrl-C ends it",
    )
    _changes(quick)
    quick.set_defaults(run_command=_quickstart)

    run = add("run", "Carry out a recipe; what is finished is not done again.")
    run.add_argument("recipe", metavar="RECIPE", help="recipe file (YAML)")
    _changes(run)
    run.set_defaults(run_command=_run)

    plan = add("plan", "Say what a run would do, and do nothing.")
    plan.add_argument("recipe", metavar="RECIPE", help="recipe file (YAML)")
    _changes(plan)
    plan.set_defaults(run_command=_plan)


def carry_out(recipe: Recipe, folder: str | None) -> str:
    """Run a recipe with progress on the screen, write its report, and return the run folder."""
    from textmill.api import Run
    from textmill.cli.progress import TerminalProgress
    from textmill.pipeline import run_recipe

    with TerminalProgress() as progress:
        workspace = run_recipe(recipe, folder, progress=progress)
        done = Run(workspace.url)
        report = done.report()
    _print_summary(done.status(), _below(workspace.url, report), _failed_in(workspace))
    _print_sample(done)
    return str(workspace.url)


def load(arguments: argparse.Namespace, path: Any = None) -> Recipe:
    """The recipe of a command, with the changes that its options ask for."""
    from textmill.recipe import load_recipe

    return load_recipe(arguments.recipe if path is None else path, _overrides(arguments))


def _changes(parser: Parser) -> None:
    parser.add_argument(
        "--set", action="append", default=[], metavar="PATH=VALUE", dest="overrides",
        help="change a value of the recipe: gopher_quality.min_words=30, train.tokens=1M (may be repeated)",
    )  # fmt: skip
    parser.add_argument("--workers", metavar="N", help="worker processes (run.workers)")
    parser.add_argument("--engine", metavar="NAME", help="local or ray (run.engine)")
    parser.add_argument("--seed", metavar="N", help="the one number behind every random choice")
    parser.add_argument(
        "--out", "--output", metavar="FOLDER", help="run folder or fsspec URL (default: runs/<name>)"
    )


def _overrides(arguments: argparse.Namespace) -> list[str | Override]:
    from textmill.recipe import Override

    changes: list[str | Override] = list(arguments.overrides)
    for option, path in (("workers", "run.workers"), ("engine", "run.engine"), ("seed", "seed")):
        value = getattr(arguments, option)
        if value is not None:
            changes.append(Override(path, value, f"--{option} {value}"))
    return changes


def _quickstart(arguments: argparse.Namespace) -> int:
    from importlib.resources import as_file, files

    with as_file(files("textmill").joinpath("recipes", "quickstart.yaml")) as path:
        recipe = load(arguments, path)
        if arguments.serve_site:
            return _serve_site(arguments, recipe)
        seeds = _crawled_already(arguments.out or f"runs/{recipe.name}")
        with ExitStack() as stack:
            if seeds is None:
                seeds = [stack.enter_context(_site(arguments, recipe))]
            arguments.overrides.insert(0, f"crawl.seeds=[{','.join(seeds)}]")
            folder = carry_out(load(arguments, path), arguments.out)
    print("\nnext:")
    print(f'  textmill why Logger --run {folder}          what became of a page that holds "Logger"')
    print(f'  textmill generate "Return the" --run {folder}   let the model write on')
    print("  textmill init FOLDER                        a recipe for your own folder of text")
    return 0


def _crawled_already(folder: str) -> list[str] | None:
    """The seeds of the run's finished crawl; it needs no site any more."""
    from textmill.crawl.sealing import read_seal

    sealed = None if "://" in folder else read_seal(Path(folder, "crawl", "crawl"))
    return list(sealed.settings["seeds"]) if sealed else None


def _site(arguments: argparse.Namespace, recipe: Recipe) -> AbstractContextManager[str]:
    from pydantic import ValidationError

    from textmill.cli.progress import TerminalProgress
    from textmill.quickstart import hosted_site
    from textmill.sources import PythonDocs

    try:
        size = PythonDocs(max_source_bytes=arguments.max_source_bytes).max_source_bytes
    except ValidationError as error:
        raise UserError(
            "--max-source-bytes is no size",
            expected="bytes, such as 48MB or 16MiB",
            found=arguments.max_source_bytes,
        ) from error
    return hosted_site(TerminalProgress(), size, recipe.run.worker_count())


def _serve_site(arguments: argparse.Namespace, recipe: Recipe) -> int:
    with _site(arguments, recipe) as address:
        print(f"{address} (Ctrl-C ends it)", flush=True)
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            print()
    return 0


def _run(arguments: argparse.Namespace) -> int:
    folder = carry_out(load(arguments), arguments.out)
    print(f"\nnext: textmill status {folder}; textmill why PATH --run {folder}")
    return 0


def _plan(arguments: argparse.Namespace) -> int:
    from textmill.pipeline import plan_recipe
    from textmill.pipeline.items import split_items

    recipe = load(arguments)
    passes = plan_recipe(recipe).passes
    # A plan of files that are not there would be no plan; reading them is not needed to find that out.
    split_items(recipe)
    width = max(len(one.name) for one in passes) + 2
    for one in passes:
        print(screen.fit(f"{one.name:<{width}}{one.describe()}", width))
    workers = recipe.run.worker_count()
    print(
        f"\n{workers} worker{'s' if workers > 1 else ''}, shards of {screen.size(recipe.run.shard_bytes)} of "
        f"text, into {arguments.out or f'runs/{recipe.name}'}"
    )
    if recipe.train is not None:
        from textmill.cli.preflight import plan_lines

        for line in plan_lines(recipe):
            print(screen.fit(line, 6))
        print(f"memory, time and price: textmill train {arguments.recipe} --preflight")
    return 0


def _below(folder: str, path: str) -> str:
    return path if path.startswith(folder) or path.startswith("/") else f"{folder.rstrip('/')}/{path}"


def _failed_in(workspace: Workspace) -> list[str]:
    """For each step in which documents failed: how many, why the most of them did, and where the first stands."""
    from textmill.workspace import failures

    if not any(step.failed for record in workspace.manifest.passes for step in record.steps()):
        return []
    lines = []
    for one in failures(workspace):
        lines.append(f"{one.step} {one.documents:,}: {screen.one_line(one.reason, 120)} ({one.locator})")
        if one.reason.startswith("no valid utf-8"):
            lines.append(f"is it in another encoding? --set {one.source}.encoding=cp1252")
    return lines


def _print_summary(state: dict[str, Any], report: str, failed_in: Sequence[str] = ()) -> None:
    steps = state["steps"]
    rows: list[tuple[str, str]] = []
    if steps:
        first, last = steps[0], steps[-1]
        gone = sorted((step for step in steps if step["dropped"]), key=lambda step: -step["dropped"])
        failed = sum(step["failed"] for step in steps)
        rows.append(("documents", f"{first['in']:,} read, {last['kept']:,} kept, {failed:,} failed"))
        rows += [("" if number else "failed in", line) for number, line in enumerate(failed_in)]
        if gone:
            rows.append(("dropped by", ", ".join(f"{s['step']} {s['dropped']:,}" for s in gone[:6])))
        rows.append(("text kept", f"{last['characters_kept']:,} characters"))
    tokens = state.get("tokens") or {}
    if tokens.get("splits"):
        parts = [f"{split['tokens']:,} {name}" for name, split in tokens["splits"].items()]
        rows.append(("tokens", ", ".join(parts)))
    train = state.get("train") or {}
    if train:
        parts = [f"{screen.number(train[key])} {word}" for key, word in _TRAIN_WORDS if key in train]
        rows.append(("model", ", ".join(parts)))
    score = state.get("evaluation") or {}
    if "bits_per_byte" in score:
        text = f"{score['bits_per_byte']:.3f} bits per byte on held-out text"
        if score.get("unigram_bits_per_byte"):
            gain = 1 - score["bits_per_byte"] / score["unigram_bits_per_byte"]
            text += f"; {abs(gain):.1%} {'below' if gain >= 0 else 'ABOVE'} a unigram model"
            text += f" ({score['unigram_bits_per_byte']:.3f})"
        rows.append(("score", text))
    rows.append(("report", report))
    print()
    for name, text in rows:
        print(screen.fit(f"{name:<12}{text}", 12))


def _print_sample(run: Run) -> None:
    """What the model wrote, if the recipe let it write: the last beginning of a document, and how it went on."""
    import json

    if not run.workspace.exists(SAMPLES_FILE):
        return
    samples = json.loads(run.workspace.read_text(SAMPLES_FILE))
    if samples:
        prompt, written = (screen.one_line(samples[-1][key], 150) for key in ("prompt", "continuation"))
        print(screen.fit(f"{'given':<12}{prompt}", 12))
        print(screen.fit(f"{'it wrote':<12}{written}", 12))


_TRAIN_WORDS = (("parameters", "parameters"), ("steps", "steps"), ("final_loss", "final loss"))
