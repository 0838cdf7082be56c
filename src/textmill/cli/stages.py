"""``tokenizer`` and ``tokens``: stages of a run, called alone on files."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from textmill.cli import token_shards
from textmill.cli.arguments import Commands, Parser, add_subcommands

TITLE = "stages by themselves"


def register(add: Commands) -> None:
    """Add the commands of this group."""
    tokenizer = add_subcommands(add("tokenizer", "Train a tokenizer on files, or count tokens with one."))
    train = tokenizer("train", "Train byte-level BPE on text files.")
    _inputs(train)
    train.add_argument("--vocab-size", default="32000", metavar="N", help="entries in all (default: 32000)")
    train.add_argument("--out", "--output", required=True, metavar="FOLDER", help="run folder to write")
    train.add_argument("--workers", default="0", metavar="N", help="worker processes")
    train.set_defaults(run_command=_train)

    count = tokenizer("count", "Count the tokens of text files.")
    _inputs(count)
    count.add_argument("--tokenizer", required=True, metavar="PATH", help="tokenizer.json, or its folder")
    count.set_defaults(run_command=_count)

    token_shards.register(add)


def _inputs(parser: Parser) -> None:
    parser.add_argument(
        "inputs", nargs="+", metavar="PATH", help="files, folders or globs: .txt, .md, .jsonl, Parquet"
    )
    parser.add_argument("--text-field", metavar="NAME", help="field or column with the text")


def _train(arguments: argparse.Namespace) -> int:
    changes = [("tokenizer.train.vocab_size", arguments.vocab_size, "--vocab-size")]
    folder = _run(arguments, {"tokenizer": {"train": {"vocab_size": 32_000}}}, changes)
    print(f"\ntokenizer   {Path(folder, 'tokenizer')}")
    return 0


def _run(arguments: argparse.Namespace, sections: dict[str, Any], changes: list[tuple[str, str, str]]) -> str:
    from textmill.cli.running import carry_out
    from textmill.recipe import Override, load_recipe

    recipe = {"name": "files", "sources": [{"files": _files(arguments)}], **sections}
    changes = [*changes, ("run.workers", arguments.workers, "--workers")]
    overrides = [Override(path, value, f"{option} {value}") for path, value, option in changes]
    return carry_out(load_recipe(recipe, overrides, origin="command line"), arguments.out)


def _files(arguments: argparse.Namespace) -> dict[str, Any]:
    settings: dict[str, Any] = {"paths": arguments.inputs}
    if arguments.text_field:
        settings["text_field"] = arguments.text_field
    return settings


def _count(arguments: argparse.Namespace) -> int:
    from textmill.documents import Document
    from textmill.recipe import load_recipe
    from textmill.steps import StepContext
    from textmill.tokenizer.load import load_encoder

    encoder = load_encoder(Path(arguments.tokenizer))
    recipe = load_recipe({"name": "files", "sources": [{"files": _files(arguments)}]}, origin="command line")
    source = recipe.sources[0]
    documents = failed = text_bytes = tokens = 0
    reader = source.open(StepContext())
    for split in source.plan(128 * 2**20):
        for record in reader.read(split):
            if not isinstance(record, Document):
                failed += 1
                continue
            ids, _ = encoder.encode_batch([record.text])
            documents, tokens = documents + 1, tokens + len(ids)
            text_bytes += len(record.text.encode())
    print(f"documents   {documents:,}" + (f" ({failed:,} unreadable)" if failed else ""))
    print(f"text        {text_bytes:,} bytes")
    print(f"tokens      {tokens:,}")
    if tokens:
        print(f"per token   {text_bytes / tokens:.2f} bytes")
    return 0
