"""``curate`` and ``export``: a corpus from files; a run's corpus, or its model, as files for other programs."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from textmill.cli import screen
from textmill.cli.arguments import Commands
from textmill.cli.run_choice import chosen_run
from textmill.errors import UserError

if TYPE_CHECKING:
    from textmill.export import Exported
    from textmill.recipe import Override, Recipe

TITLE = "a corpus by itself"

RUN_FOLDER = "run"
"""Where ``curate`` keeps its run, below the output folder."""


def register(add: Commands) -> None:
    """Add the commands of this group."""
    curate = add("curate", "Clean text files into train.txt and val.txt, one text per line.")
    curate.add_argument(
        "--input", nargs="+", required=True, metavar="PATH", dest="inputs",
        help=".txt (one text per line) and .jsonl (fields text, content or sentence); compressed too",
    )  # fmt: skip
    curate.add_argument("--output", "--out", required=True, metavar="DIR", help="folder to write")
    curate.add_argument(
        "--merge", action="store_true",
        help="write one train.txt and val.txt instead of train_N.txt and val_N.txt for each input",
    )  # fmt: skip
    curate.add_argument(
        "--val-split", type=float, default=0.1, metavar="SHARE",
        help="share held out, 0.0 to 0.5, by a hash of each document and the seed (default: 0.1)",
    )  # fmt: skip
    curate.add_argument("--min-length", metavar="N", help="fewest characters of a text (default: 10)")
    curate.add_argument("--max-length", metavar="N", help="most characters of a text (default: 10000)")
    curate.add_argument("--seed", default="42", metavar="N", help="decides what is held out (default: 42)")
    curate.add_argument("--dedup", action="store_true", help="drop exact duplicates too")
    curate.add_argument("--text-field", metavar="NAME", help="field of .jsonl files with the text")
    curate.add_argument(
        "--recipe",
        metavar="FILE",
        help="take the steps below curate: from this recipe (default: quebec_french)",
    )
    curate.add_argument(
        "--set", action="append", default=[], metavar="PATH=VALUE", dest="overrides",
        help="change a value of a step: normalize.unicode=NFC (may be repeated)",
    )  # fmt: skip
    curate.add_argument("--workers", metavar="N", help="worker processes")
    curate.set_defaults(run_command=_curate)

    export = add("export", "Write a run's documents, or its model (--gguf, --merge), for other programs.")
    export.add_argument(
        "run", nargs="?", metavar="RUN", help="run folder or URL (default: the newest below runs/)"
    )
    export.add_argument(
        "--format", choices=("txt", "jsonl", "parquet", "enddoc", "raw_pages"), default="jsonl",
        help="txt: one text per line, line breaks become spaces; jsonl (default): with id and source; parquet; "
        "enddoc: each text ended by a line ---ENDDOC---; raw_pages: a line URL: … before each",
    )  # fmt: skip
    export.add_argument("--compress", choices=("gz", "zst"), help="compress the file")
    export.add_argument("--out", "--output", metavar="FILE", help="file to write (default: <run>.<format>)")
    model = export.add_mutually_exclusive_group()
    model.add_argument("--gguf", metavar="FILE", help="write the run's model for llama.cpp instead")
    model.add_argument(
        "--merge",
        metavar="FOLDER",
        help="write the adapter in FOLDER merged into its model, to the folder --out",
    )
    export.add_argument("--model", metavar="FOLDER", help="for --gguf: this model instead of the run's")
    export.add_argument(
        "--precision", choices=("f32", "f16", "bf16", "q8_0"), default="f16",
        help="for --gguf: of the matrices (default: f16)",
    )  # fmt: skip
    export.add_argument("--base", metavar="MODEL", help="for --merge: the model that the adapter belongs to")
    export.set_defaults(run_command=_export)


def _curate(arguments: argparse.Namespace) -> int:
    from textmill.cli.running import carry_out
    from textmill.export import export_splits
    from textmill.tokens.split import SplitRule
    from textmill.workspace import Workspace

    if not 0.0 <= arguments.val_split <= 0.5:
        raise UserError(
            "The share held out is out of range.",
            expected="a number from 0.0 to 0.5",
            found=f"{arguments.val_split:g}",
            where="--val-split",
        )
    _check_lengths(arguments.min_length, arguments.max_length)
    recipe = _recipe(arguments)
    output = Path(arguments.output)
    folder = carry_out(recipe, str(output / RUN_FOLDER))
    numbers = {source.source_name: number for number, source in enumerate(recipe.sources, 1)}
    rule = SplitRule(recipe.seed, validation=arguments.val_split)
    files = export_splits(Workspace.open(folder), output, rule, None if arguments.merge else numbers)
    print()
    _print_files(files)
    print(f"\nnext: textmill why WORDS --run {folder} tells what became of a text; textmill stats {folder}")
    return 0


def _check_lengths(least: str | None, most: str | None) -> None:
    """Tell of bounds that exclude each other by the names of the options, not of the recipe's fields."""
    if least and most and least.isdecimal() and most.isdecimal() and int(least) > int(most):
        raise UserError(
            "No text is so long and so short at once.",
            expected="--min-length of at most --max-length",
            found=f"{least} and {most}",
            where=f"--min-length {least} --max-length {most}",
        )


def _recipe(arguments: argparse.Namespace) -> Recipe:
    """The steps of a recipe, with the files of the command line as its sources."""
    from importlib.resources import as_file, files

    from textmill.curate import ExactDedup
    from textmill.recipe import Override, load_recipe

    sources = [
        {
            "files": {
                "paths": path,
                "label": f"input_{number}",
                "unit": "line",
                "text_field": arguments.text_field,
            }
        }
        for number, path in enumerate(arguments.inputs, 1)
    ]
    changes: list[str | Override] = [
        Override("sources", json.dumps(sources), f"--input {' '.join(arguments.inputs)}"),
        *arguments.overrides,
    ]
    for option, path in (
        ("min-length", "heuristics.min_characters"),
        ("max-length", "heuristics.max_characters"),
        ("seed", "seed"),
        ("workers", "run.workers"),
    ):
        value = getattr(arguments, option.replace("-", "_"))
        if value is not None:
            changes.append(Override(path, value, f"--{option} {value}"))
    if arguments.recipe is not None:
        recipe = load_recipe(arguments.recipe, changes)
    else:
        with as_file(files("textmill").joinpath("recipes", "quebec_french.yaml")) as packaged:
            recipe = load_recipe(packaged, changes)
    # Only the documents: whatever else the recipe makes is for `textmill run`.
    update: dict[str, Any] = dict.fromkeys(recipe.stages)
    if arguments.dedup and not any(isinstance(step, ExactDedup) for step in recipe.curate):
        update["curate"] = (*recipe.curate, ExactDedup())
    return recipe.model_copy(update=update)


def _export(arguments: argparse.Namespace) -> int:
    if arguments.gguf or arguments.merge:
        from textmill.cli.models import export_model

        return export_model(arguments)
    from textmill.export import export_corpus
    from textmill.workspace import Workspace

    workspace = Workspace.open(chosen_run(arguments.run))
    suffix = f".{arguments.format}"
    if arguments.compress and arguments.format != "parquet":
        suffix += f".{arguments.compress}"
    path = Path(arguments.out or f"{workspace.manifest.run}{suffix}")
    if path.is_dir():
        raise UserError(
            "The output is a folder.",
            expected="a file",
            where=str(path),
            hint=f"--out {path / ('corpus' + suffix)}",
        )
    replaced = path.exists()
    _print_files([export_corpus(workspace, path, arguments.format, arguments.compress)])
    if replaced:
        print(f"an older {path} was replaced")
    return 0


def _print_files(files: list[Exported]) -> None:
    columns = {"file": "left", "texts": "right", "size": "right"}
    screen.print_table(
        columns, [[str(one.path), screen.count(one.documents), screen.size(one.bytes)] for one in files]
    )
    folded = sum(one.folded for one in files)
    if folded:
        if any(one.path.name.endswith((".enddoc", ".raw_pages")) for one in files):
            print(f"{folded:,} texts held a line ---ENDDOC---, which got a blank in front")
        else:
            print(f"{folded:,} texts had line breaks, which became spaces (one text per line)")
