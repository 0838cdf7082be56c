"""``init`` and ``schema``: help with the first recipe."""

from __future__ import annotations

import argparse
from pathlib import Path

from textmill.cli.arguments import Commands

TITLE = "begin"


def register(add: Commands) -> None:
    """Add the commands of this group."""
    init = add("init", "Write a commented recipe for a folder of text.")
    init.add_argument(
        "folder", metavar="FOLDER", help="your text: .txt, .md, .jsonl, Parquet, HTML, WARC; compressed too"
    )
    init.add_argument(
        "--out", "--output", metavar="FILE", help="recipe to write (default: <name of the folder>.yaml)"
    )
    init.set_defaults(run_command=_init)

    schema = add("schema", "Print the JSON schema of recipes, for completion in editors.")
    schema.set_defaults(run_command=_schema)


def _init(arguments: argparse.Namespace) -> int:
    from textmill.recipe.starter import write_starter

    path = write_starter(Path(arguments.folder), Path(arguments.out) if arguments.out else None)
    print(f"wrote {path}")
    print(f"next: read it, then: textmill plan {path}; textmill run {path}")
    return 0


def _schema(arguments: argparse.Namespace) -> int:
    import json

    from textmill.recipe import json_schema

    print(json.dumps(json_schema(), indent=2, ensure_ascii=False))
    return 0
