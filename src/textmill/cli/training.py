"""``train`` and ``preview``: a model from files or a recipe, what it will cost, and what it will read."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from textmill.cli.arguments import Commands
from textmill.cli.training_options import (
    add_data_options,
    add_forecast_options,
    add_model_options,
    add_training_options,
)
from textmill.cli.training_recipe import training_recipe
from textmill.errors import UserError

if TYPE_CHECKING:
    from textmill.recipe import Recipe

TITLE = "train"

RUN_FOLDER = "run"
"""Where ``train`` keeps its run, below the output folder."""


def register(add: Commands) -> None:
    """Add the commands of this group."""
    train = add(
        "train", "Train a model on text or tokens: from scratch, or one that exists, whole or by LoRA."
    )
    train.add_argument("recipe", nargs="?", metavar="RECIPE", help="carry out this recipe up to its training")
    add_data_options(train)
    add_model_options(train)
    add_training_options(train)
    add_forecast_options(train)
    train.set_defaults(run_command=_train)

    preview = add("preview", "Show windows as a training reads them: borders, masks, stop tokens.")
    preview.add_argument("run", nargs="?", metavar="RUN", help="run folder (default: the newest below runs/)")
    preview.add_argument("--step", type=int, default=1, metavar="N", help="first step to show (default: 1)")
    preview.add_argument("--samples", type=int, default=5, metavar="N", help="windows to show (default: 5)")
    preview.add_argument("--full", action="store_true", help="all of a long window")
    preview.add_argument(
        "--set", action="append", default=[], metavar="FIELD=VALUE", dest="overrides",
        help="with another value of train:, such as train.mask_documents=true (may be repeated)",
    )  # fmt: skip
    preview.set_defaults(run_command=_preview)


def _train(arguments: argparse.Namespace) -> int:
    if arguments.templates is not None:
        from textmill.train.templates import write_templates

        print("\n".join(map(str, write_templates(Path(arguments.templates)))))
        return 0
    recipe = training_recipe(arguments)
    if recipe.train is None:
        raise UserError(
            "This recipe trains no model.", expected="a section train:", where=str(arguments.recipe)
        )
    output = Path(arguments.output_dir or "cpt_model")
    if arguments.preflight:
        return _preflight(arguments, recipe)
    from textmill.model.extra import require_torch

    require_torch()
    if arguments.recipe is not None:
        from textmill.cli.running import carry_out

        folder = carry_out(recipe.model_copy(update={"evaluate": None}), arguments.output_dir)
        print(f"\nmodel       {Path(folder, 'model')}")
        return 0
    if _trains_on_tokens(arguments):
        folder = _train_on_tokens(arguments, recipe, output)
    else:
        from textmill.cli.running import carry_out

        folder = carry_out(recipe, str(output / RUN_FOLDER))
    return _finish(Path(folder), output)


def _finish(run: Path, output: Path) -> int:
    from textmill.train.output import lay_out

    lay_out(run, output)
    summary = json.loads((output / "training_summary.json").read_text("utf-8"))
    print()
    print(f"output      {output}")
    print(f"steps       {summary['steps']:,}, {summary['tokens']:,} tokens, {summary['epochs']:g} epochs")
    for name, key in (
        ("train loss", "final_loss"),
        ("val loss", "validation_loss"),
        ("perplexity", "perplexity"),
    ):
        if summary.get(key) is not None:
            print(f"{name:<12}{summary[key]:.4f}")
    if summary["method"] != "full":
        print(f"\nnext: textmill export --merge {output} --out MERGED writes a model without adapters")
    else:
        print(f'\nnext: textmill generate "…" --model {output}')
    return 0


# --- tokens that exist ----------------------------------------------------------------------------------------


def _trains_on_tokens(arguments: argparse.Namespace) -> bool:
    from textmill.tokens.adopt import is_tokens

    return len(arguments.train_files) == 1 and is_tokens(Path(arguments.train_files[0]))


def _train_on_tokens(arguments: argparse.Namespace, recipe: Recipe, output: Path) -> str:
    from textmill.cli.progress import TerminalProgress
    from textmill.pipeline.alone import train_on_tokens

    held_out = [Path(path) for path in arguments.val_files or ()]
    if len(held_out) > 1:
        raise UserError("Held-out tokens are one folder or file.", found=", ".join(map(str, held_out)))
    run = output / RUN_FOLDER
    with TerminalProgress() as progress:
        train_on_tokens(
            recipe,
            Path(arguments.train_files[0]),
            run,
            held_out=held_out[0] if held_out else None,
            progress=progress,
        )
    return str(run)


# --- before it starts -----------------------------------------------------------------------------------------


def _preflight(arguments: argparse.Namespace, recipe: Recipe) -> int:
    from textmill.cli.preflight import print_preflight
    from textmill.train.hardware import parse_machines

    machines = parse_machines(arguments.gpus, arguments.price)
    return print_preflight(recipe, machines, arguments.mfu, arguments.train_files or ())


def _preview(arguments: argparse.Namespace) -> int:
    from textmill.cli.preview import print_preview

    return print_preview(arguments)
