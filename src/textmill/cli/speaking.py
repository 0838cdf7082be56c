"""``generate``: the trained model continues a text."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from textmill.cli.arguments import Commands
from textmill.cli.run_choice import chosen_run
from textmill.errors import UserError

TITLE = "talk"


def register(add: Commands) -> None:
    """Add the commands of this group."""
    generate = add("generate", "Continue a text with a trained model; prints the continuation only.")
    generate.add_argument("prompt", nargs="?", metavar="PROMPT", help="the text (default: standard input)")
    model = generate.add_mutually_exclusive_group()
    model.add_argument("--run", metavar="RUN", help="run folder or URL (default: the newest below runs/)")
    model.add_argument("--model", metavar="FOLDER", help="a model in Hugging Face's format")
    generate.add_argument("--max-new-tokens", type=int, default=256, metavar="N", help="default: 256")
    generate.add_argument(
        "--temperature", type=float, default=0.8, metavar="T", help="default: 0.8; 0: greedy"
    )
    generate.add_argument("--top-k", type=int, default=50, metavar="K", help="default: 50; 0: all tokens")
    generate.add_argument(
        "--top-p", type=float, default=0.95, metavar="P", help="default: 0.95; 1: all tokens"
    )
    generate.add_argument("--seed", type=int, metavar="N", help="the same seed gives the same text")
    generate.add_argument("--device", default="auto", metavar="NAME", help="auto, cpu, cuda or mps")
    generate.set_defaults(run_command=_generate)


def _generate(arguments: argparse.Namespace) -> int:
    from textmill.serve import generate

    if arguments.max_new_tokens < 1:
        raise UserError(
            "There is nothing to write.",
            expected="1 or more",
            found=str(arguments.max_new_tokens),
            where="--max-new-tokens",
        )
    prompt = arguments.prompt
    folder = _model_folder(arguments)
    if prompt is None:
        if sys.stdin.isatty():
            print("the text to continue, then Ctrl-D:", file=sys.stderr)
        prompt = sys.stdin.read().rstrip("\n")
    pieces = generate(
        folder,
        prompt,
        max_new_tokens=arguments.max_new_tokens,
        temperature=arguments.temperature,
        top_k=arguments.top_k,
        top_p=arguments.top_p,
        seed=arguments.seed,
        device=arguments.device,
    )
    for piece in pieces:
        print(piece, end="", flush=True)
    print()
    return 0


def _model_folder(arguments: argparse.Namespace) -> Path:
    if arguments.model:
        return Path(arguments.model)
    from textmill.workspace import Workspace

    workspace = Workspace.open(chosen_run(arguments.run))
    if workspace.manifest.find("train") is None:
        raise UserError(
            "This run has trained no model.",
            expected="a run whose recipe has a section train",
            where=workspace.url,
            hint="add train: to the recipe and run it again, or name a model with --model",
        )
    return workspace.local("model")
