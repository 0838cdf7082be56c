"""``export --gguf`` and ``export --merge``: a model for other programs."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from textmill.cli import screen
from textmill.cli.run_choice import chosen_run
from textmill.errors import UserError


def export_model(arguments: argparse.Namespace) -> int:
    """Write a GGUF file, or an adapter merged into its model.

    Raises:
        UserError: no model, packages are missing, or the output cannot be written there.
    """
    from textmill.model.extra import require_torch

    require_torch()
    return _gguf(arguments) if arguments.gguf else _merge(arguments)


def _gguf(arguments: argparse.Namespace) -> int:
    from textmill.export.gguf import export_gguf, require_gguf
    from textmill.train.adapter_trainee import ADAPTER_CONFIG
    from textmill.train.merging import write_merged

    require_gguf()
    folder = Path(arguments.model) if arguments.model else _model_of_run(arguments.run)
    file = Path(arguments.gguf)
    if file.is_dir():
        raise UserError(
            "The output is a folder.",
            expected="a file",
            where=str(file),
            hint=f"--gguf {file / 'model.gguf'}",
        )
    with tempfile.TemporaryDirectory(prefix="textmill-merged-") as scratch:
        if (folder / ADAPTER_CONFIG).is_file():
            print("merging the adapter into its model first")
            folder = write_merged(folder, Path(scratch) / folder.resolve().name, base=arguments.base)
        export_gguf(folder, file, precision=arguments.precision, say=print)
    print(f"{file}  {screen.size(file.stat().st_size)}, {arguments.precision}")
    return 0


def _merge(arguments: argparse.Namespace) -> int:
    from textmill.train.merging import write_merged

    if not arguments.out:
        raise UserError("There is no place to write to.", expected="--out FOLDER", where="--merge")
    folder = write_merged(Path(arguments.merge), Path(arguments.out), base=arguments.base)
    print(f"model       {folder}")
    print(f'\nnext: textmill generate "…" --model {folder}; textmill export --gguf FILE --model {folder}')
    return 0


def _model_of_run(run: str | None) -> Path:
    from textmill.workspace import Workspace

    workspace = Workspace.open(chosen_run(run))
    if workspace.manifest.find("train") is None:
        raise UserError(
            "This run has trained no model.",
            expected="a run whose recipe has a section train",
            where=workspace.url,
            hint="add train: to the recipe and run it again, or name a model with --model",
        )
    return workspace.local("model")
