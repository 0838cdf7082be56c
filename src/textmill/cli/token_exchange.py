"""``tokens import``, ``tokens export``, ``tokens fetch``: tokens from other tools and places, and for them."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable
from pathlib import Path

from textmill.cli import screen
from textmill.cli.arguments import Parser

FORMATS = ("ds", "megatron", "raw", "seq", "hf", "templar")
"""As :data:`textmill.tokens.export.FORMATS`, which is not imported before a command runs."""


def register(tokens: Callable[[str, str], Parser]) -> None:
    """Add the commands."""
    export = tokens(
        "export", "Write tokens for datatrove, Megatron-LM, nanoGPT, Hugging Face, Templar, or as text."
    )
    export.add_argument("folder", metavar="FOLDER", help="numbered shards, consolidated files, or a run")
    export.add_argument("--format", required=True, choices=FORMATS, help="which")
    export.add_argument(
        "--output", "--out", required=True, metavar="PATH", help="files to write, without ending; or a folder"
    )
    export.add_argument("--split", default="train", metavar="NAME", help="of a run (default: train)")
    export.add_argument(
        "--eos-id", type=int, metavar="N", help="ends documents, where no tokens.json says so"
    )
    export.add_argument("--seq-len", type=whole_number, default=2048, metavar="N",
                        help="tokens per line of seq, row of hf, sample of templar (default: 2048)")  # fmt: skip
    export.set_defaults(run_command=_export)

    fetch = tokens(
        "fetch", "Fetch token files from S3-compatible or other storage, with checksums and resume."
    )
    fetch.add_argument("url", metavar="URL", help="s3://bucket/prefix, or any other URL that fsspec knows")
    fetch.add_argument("--output-dir", "--output", "--out", required=True, metavar="FOLDER", help="where to")
    fetch.add_argument("--endpoint-url", metavar="URL", help="of the S3-compatible store")
    fetch.add_argument("--anonymous", action="store_true", help="ask without credentials")
    fetch.add_argument("--include", default="*", metavar="PATTERN", help="names to fetch (default: all)")
    fetch.add_argument("--num-proc", "--workers", type=int, default=4, metavar="N",
                       help="files at a time (default: 4)")  # fmt: skip
    fetch.set_defaults(run_command=_fetch)

    read = tokens("import", "Tokens of other tools into shards train_000000.npy, ...")
    read.add_argument(
        "path", metavar="PATH", help="file, or folder (hf, templar), or the name without ending"
    )
    read.add_argument("--format", required=True, choices=FORMATS, help="which")
    read.add_argument("--output", "--out", required=True, metavar="FOLDER", help="where the shards go")
    read.add_argument("--eos-id", type=int, metavar="N", help="ends documents; without it they stay unknown")
    read.add_argument(
        "--append-eos", action="store_true", help="put it after documents of an index that lack it"
    )
    read.add_argument("--vocab-size", type=whole_number, metavar="N", help="every id must be below N")
    read.add_argument(
        "--token-dtype", choices=("uint16", "uint32"), help="of the shards (default: the source's)"
    )
    read.add_argument(
        "--source-dtype", choices=("uint16", "uint32", "int32"), help="of raw files (default: uint16)"
    )
    read.add_argument("--shard-tokens", "--shard-size", type=whole_number, default=1024**3, metavar="N",
                      help="tokens of each shard (default: 1024**3)")  # fmt: skip
    read.add_argument("--seq-len", type=whole_number, default=2048, metavar="N",
                      help="tokens per sample id of templar (default: 2048)")  # fmt: skip
    read.add_argument("--column", default="input_ids", metavar="NAME", help="of hf (default: input_ids)")
    read.set_defaults(run_command=_import)


def whole_number(text: str) -> int:
    """A positive number of tokens: ``1000000``, ``1M``, ``150*1024**3``.

    Raises:
        argparse.ArgumentTypeError: it is none.
    """
    from pydantic import TypeAdapter, ValidationError

    from textmill.steps.settings import Count

    try:
        value = 1
        for factor in re.split(r"(?<!\*)\*(?!\*)", text.replace(" ", "")):
            base, _, exponent = factor.partition("**")
            number: int = TypeAdapter(Count).validate_python(base)
            value *= number ** (int(exponent) if exponent else 1)
    except (ValidationError, ValueError):
        value = 0
    if not 0 < value < 2**63:
        raise argparse.ArgumentTypeError(f"expected a number such as 1000000, 1M or 1024**3, found {text!r}")
    return value


def run_folder(folder: Path) -> Path | None:
    """The run that a path means: its own folder, or its ``tokens/`` folder; None when it is no run's."""
    if (folder / "tokens" / "index.json").is_file():
        return folder
    return folder.absolute().parent if (folder / "index.json").is_file() else None


def _export(arguments: argparse.Namespace) -> int:
    from textmill.tokens.export import export_tokens, open_stream

    folder = Path(arguments.folder)
    run = run_folder(folder)
    stream = open_stream(run / "tokens" if run else folder, arguments.split, arguments.eos_id)
    for path in export_tokens(stream, Path(arguments.output), arguments.format, seq_len=arguments.seq_len):
        print(f"{path}  {screen.size(path.stat().st_size)}")
    return 0


def _import(arguments: argparse.Namespace) -> int:
    from textmill.tokens.import_tokens import ImportPlan, import_tokens

    plan = ImportPlan(
        path=Path(arguments.path),
        kind=arguments.format,
        output=Path(arguments.output),
        shard_tokens=arguments.shard_tokens,
        token_dtype=arguments.token_dtype,
        source_dtype=arguments.source_dtype,
        vocab_size=arguments.vocab_size,
        eos_id=arguments.eos_id,
        append_eos=arguments.append_eos,
        seq_len=arguments.seq_len,
        column=arguments.column,
    )
    shards = import_tokens(plan)
    print(f"shards      {len(shards):,} in {plan.output}")
    print(f"tokens      {sum(shard.tokens for shard in shards):,}")
    print(
        f"documents   {sum(shard.documents for shard in shards):,}"
        if shards[0].documents_sha256
        else "documents   unknown: nothing says where they end (--eos-id)"
    )
    return 0


def _fetch(arguments: argparse.Namespace) -> int:
    from textmill.cli.progress import TerminalProgress
    from textmill.tokens.fetch import fetch_tokens

    with TerminalProgress() as progress:
        progress.start("fetching tokens", 0, "")
        fetched = fetch_tokens(
            arguments.url,
            Path(arguments.output_dir),
            endpoint_url=arguments.endpoint_url,
            anonymous=arguments.anonymous,
            include=arguments.include,
            workers=arguments.num_proc,
            progress=lambda done, total: progress.update("fetching files", done, total),
        )
    for file in fetched.files:
        print(f"{file.path}  {screen.size(file.size)}  checked by {file.checked}")
    total = sum(file.size for file in fetched.files)
    print(
        f"{len(fetched.files):,} files, {screen.size(total)}, of which {screen.size(fetched.bytes_read)} "
        f"came now, in {arguments.output_dir}"
    )
    return 0
