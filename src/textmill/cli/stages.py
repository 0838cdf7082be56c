"""``tokenizer`` and ``tokens``: stages of a run, called alone on files."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from textmill.cli import token_shards, tokenizers
from textmill.cli.arguments import Commands, Parser, add_subcommands

TITLE = "stages by themselves"
# Fields of tokenizer.train that have an option of their own.
TRAINING_OPTIONS = (
    "kind", "pattern", "digits", "cjk", "normalizer", "min_frequency", "max_token_length", "special_tokens", "sample",
)  # fmt: skip


def register(add: Commands) -> None:
    """Add the commands of this group."""
    tokenizer = add_subcommands(add("tokenizer", "Tokenizers: train, inspect, count, compare, export."))
    train = tokenizer("train", "Train a tokenizer on text files.")
    _inputs(train)
    train.add_argument("--vocab-size", default="32000", metavar="N", help="entries in all (default: 32000)")
    train.add_argument(
        "--kind", metavar="KIND", help="bpe (default), sentencepiece-bpe or sentencepiece-unigram"
    )
    train.add_argument(
        "--pattern", metavar="NAME", help="where bpe cuts texts: gpt2, cl100k or llama3 (default), o200k"
    )
    train.add_argument("--digits", metavar="HOW", help="digits in bpe: pattern (default), single or three")
    train.add_argument(
        "--cjk", metavar="HOW", help="Han and Kana in bpe: pattern (default), or character: one by one"
    )
    train.add_argument("--normalizer", metavar="FORM", help="none (default), nfc, nfd, nfkc or nfkd")
    train.add_argument(
        "--min-frequency", metavar="N", help="pairs seen less often are not merged (default: 2)"
    )
    train.add_argument("--max-token-length", metavar="N", help="bytes of the longest entry")
    train.add_argument("--special-tokens", nargs="+", metavar="TOKEN", help="further special tokens")
    train.add_argument(
        "--sample", metavar="GROUP", help="even out what it learns from: by language, or by source"
    )
    train.add_argument("--out", "--output", required=True, metavar="FOLDER", help="run folder to write")
    train.add_argument("--workers", default="0", metavar="N", help="worker processes")
    train.set_defaults(run_command=_train)

    tokenizers.register(tokenizer)
    token_shards.register(add)


def _inputs(parser: Parser) -> None:
    parser.add_argument(
        "inputs", nargs="+", metavar="PATH", help="files, folders or globs: .txt, .md, .jsonl, Parquet"
    )
    parser.add_argument("--text-field", metavar="NAME", help="field or column with the text")


def _train(arguments: argparse.Namespace) -> int:
    changes = [("tokenizer.train.vocab_size", arguments.vocab_size, "--vocab-size")]
    for name in TRAINING_OPTIONS:
        if (value := getattr(arguments, name)) is not None:
            given = json.dumps(value) if isinstance(value, list) else value
            changes.append((f"tokenizer.train.{name}", given, f"--{name.replace('_', '-')}"))
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
