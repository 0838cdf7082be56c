"""``tokens``: shards of tokens built, cut anew, consolidated, checked and counted."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from textmill.cli import screen, token_exchange
from textmill.cli.arguments import Commands, Parser, add_subcommands
from textmill.cli.token_exchange import run_folder, whole_number
from textmill.errors import UserError


def register(add: Commands) -> None:
    """Add ``tokens`` and its commands."""
    tokens = add_subcommands(
        add("tokens", "Token shards: build, consolidate, verify, count, fetch, import, export.")
    )
    _add_build(tokens("build", "Tokenise text into shards train_000000.npy, ... of equal length."))
    _add_consolidate(tokens("consolidate", "Join numbered shards into tokens.bin and sample_ids.bin."))

    verify = tokens("verify", "Check token files against every promise made about them.")
    verify.add_argument("folder", metavar="FOLDER", help="numbered shards, consolidated files, or a run")
    verify.add_argument("--vocab-size", type=whole_number, metavar="N", help="every id must be below N")
    verify.set_defaults(run_command=_verify)

    stat = tokens("stat", "Tokens per shard, source and language, and how even the shards are.")
    stat.add_argument("folder", metavar="FOLDER", help="numbered shards, or a run")
    stat.set_defaults(run_command=_stat)

    reshard = tokens("reshard", "Write the same tokens in shards of another, equal length.")
    reshard.add_argument("folder", metavar="FOLDER", help="holds train_000000.npy, ...")
    reshard.add_argument("--output", "--out", required=True, metavar="FOLDER", help="another folder")
    size = reshard.add_mutually_exclusive_group(required=True)
    size.add_argument(
        "--shard-tokens", "--shard-size", type=whole_number, metavar="N", help="tokens of each shard"
    )
    size.add_argument("--shards", type=whole_number, metavar="N", help="how many shards")
    reshard.set_defaults(run_command=_reshard)

    token_exchange.register(tokens)


def _add_build(build: Parser) -> None:
    build.add_argument("inputs", nargs="*", metavar="PATH", help="files, folders, globs or URLs with text")
    build.add_argument("--input", nargs="+", default=[], metavar="PATH", help="the same, as an option")
    build.add_argument("--text-field", metavar="NAME", help="field or column with the text")
    build.add_argument("--unit", choices=("file", "line", "paragraph"), default="file",
                       help="what is one document in a text file (default: file)")  # fmt: skip
    build.add_argument("--tokenizer", required=True, metavar="PATH", help="tokenizer.json, or its folder")
    build.add_argument("--eos-token", metavar="TOKEN", help="stands after each document")
    build.add_argument(
        "--output", "--out", "--output-dir", required=True, metavar="FOLDER", help="where the shards go"
    )
    build.add_argument("--shard-tokens", "--shard-size", type=whole_number, default=1024**3, metavar="N",
                       help="tokens of each shard (default: 1024**3)")  # fmt: skip
    build.add_argument("--total", "--total-tokens", type=whole_number, default=150 * 1024**3, metavar="N",
                       help="tokens in all at most (default: 150 * 1024**3)")  # fmt: skip
    build.add_argument("--token-dtype", choices=("uint16", "uint32"), help="default: by the vocabulary")
    build.add_argument(
        "--test-shard", action="store_true", help="one shard only, of documents drawn from all of the input"
    )
    build.add_argument("--seed", type=int, default=0, metavar="N", help="draws them")
    build.add_argument("--shuffle-seed", type=int, metavar="N",
                       help="shuffle all documents; the same seed gives the same order")  # fmt: skip
    build.add_argument("--workers", "--num-proc", type=int, default=0, metavar="N",
                       help="worker processes (default, and below 1: 75 %% of the cores)")  # fmt: skip
    build.add_argument("--restart", action="store_true", help="delete the shards of an earlier build first")
    build.set_defaults(run_command=_build)


def _add_consolidate(consolidate: Parser) -> None:
    consolidate.add_argument(
        "--data-root", required=True, metavar="FOLDER", help="holds train_000000.npy, ...; gets the files"
    )
    consolidate.add_argument("--seq-len", type=whole_number, default=2048, metavar="N",
                             help="tokens per sample (default: 2048)")  # fmt: skip
    consolidate.add_argument(
        "--sample-ids", choices=("correct", "upstream"),
        help="ids of the samples' own bytes (default), or as Templar's original computes them",
    )  # fmt: skip
    consolidate.add_argument(
        "--token-dtype",
        choices=("uint16", "uint32"),
        help="what the shards must hold (default: what they do)",
    )
    consolidate.add_argument(
        "--expect", metavar="NAME|FILE", help="published sums: templar-150b, or a JSON file"
    )
    consolidate.add_argument("--skip-validation", action="store_true", help="do not read the files back")
    consolidate.add_argument(
        "--delete-shards", action="store_true", help="delete the shards after the files have passed"
    )
    consolidate.add_argument(
        "--per-shard",
        action="store_true",
        help="join nothing: write sample_ids_000000.bin, ... beside the shards (Templar's newer layout)",
    )
    consolidate.set_defaults(run_command=_consolidate)


def _build(arguments: argparse.Namespace) -> int:
    from textmill.cli.progress import TerminalProgress
    from textmill.pipeline.local import LocalEngine
    from textmill.recipe.model import RunSection
    from textmill.sources import SOURCES
    from textmill.tokens.build_state import remove_build
    from textmill.tokens.numbered_build import BuildPlan, build_shards

    paths = [*arguments.inputs, *arguments.input]
    if not paths:
        raise UserError("No input is named.", expected="files or folders with text", where="--input")
    settings: dict[str, Any] = {"paths": paths, "unit": arguments.unit}
    settings["metadata_fields"] = ["language"]
    if arguments.text_field:
        settings["text_field"] = arguments.text_field
    plan = BuildPlan(
        Path(arguments.output),
        Path(arguments.tokenizer),
        arguments.shard_tokens,
        arguments.total,
        arguments.token_dtype,
        arguments.eos_token,
        arguments.seed,
        arguments.test_shard,
        arguments.shuffle_seed,
    )
    if arguments.restart:
        remove_build(plan.output)
    workers = RunSection(workers=max(0, arguments.workers)).worker_count()
    with TerminalProgress() as progress, LocalEngine(workers) as engine:
        progress.start("building token shards", 0, "")

        def run(function: str, items: Sequence[Mapping[str, Any]]) -> Iterator[tuple[int, Any]]:
            return _without_crashes(engine.map(function, items, lambda _report: None))

        manifest = build_shards(
            plan,
            [SOURCES["files"].model_validate(settings)],
            run,
            say=progress.say,
            progress=lambda done, total, tokens: progress.update(
                "encoding documents", done, total, tokens=tokens
            ),
        )
    print(f"shards      {len(manifest.shards):,} in {plan.output}")
    print(f"tokens      {manifest.tokens:,} ({manifest.dtype})")
    print(
        f"documents   {manifest.documents:,}" + (" (the last one cut by the budget)" if manifest.cut else "")
    )
    if manifest.failed:
        print(f"failed      {manifest.failed:,}: {plan.output / 'failures.jsonl'} says why")
    return 0


def _without_crashes(results: Iterator[tuple[int, Any]]) -> Iterator[tuple[int, Any]]:
    from textmill.pipeline.engine import Crash

    for position, result in results:
        if isinstance(result, Crash):
            raise UserError(
                "A worker died.",
                found=result.reason,
                hint="if memory was short, use fewer --workers; the same command continues",
            )
        yield position, result


def _consolidate(arguments: argparse.Namespace) -> int:
    from textmill.cli.progress import TerminalProgress
    from textmill.tokens.consolidate import consolidate, consolidated_before, delete_shards, validate
    from textmill.tokens.expectations import read_expectation

    folder = Path(arguments.data_root)
    if arguments.per_shard:
        return _consolidate_per_shard(arguments, folder)
    if arguments.delete_shards and arguments.skip_validation:
        raise UserError(
            "Shards are deleted only after the files have passed validation.",
            found="--delete-shards with --skip-validation",
            hint="leave one of the two out",
        )
    expected = read_expectation(arguments.expect) if arguments.expect else None
    mode = arguments.sample_ids or (expected.sample_ids if expected else None) or "correct"
    with TerminalProgress() as progress:
        progress.start("consolidating", 0, "")

        def show(what: str, done: int, total: int) -> None:
            progress.update(what, done, total)

        options = (arguments.seq_len, arguments.token_dtype, mode)
        manifest = consolidated_before(folder, *options)
        if manifest is None:
            manifest = consolidate(
                folder, seq_len=options[0], token_dtype=options[1], mode=mode, progress=show
            )
        else:
            progress.say("consolidated before, and shards are deleted: nothing to join")
        checks = [] if arguments.skip_validation else validate(folder, manifest, expected, show)
    print(f"tokens      {manifest.tokens.elements:,} ({manifest.dtype})")
    print(f"samples     {manifest.ids.elements:,} of {manifest.seq_len:,} tokens, {manifest.sample_ids} ids")
    for check in checks:
        print(f"{check.name:<15} {check.elements:>15,} elements  SHA-256 {check.sha256}  "
              f"{'PASS' if check.passed else 'FAIL'}")  # fmt: skip
        if not check.passed:
            wanted = "" if check.expected_elements is None else f"{check.expected_elements:,} elements"
            print(f"{'  expected':<15} {wanted:>24}  SHA-256 {check.expected_sha256}")
    if not all(check.passed for check in checks):
        print(
            "Validation FAILED: the files stay as they are"
            + (", and so do the shards" * arguments.delete_shards)
        )
        return 1
    if arguments.skip_validation:
        print("validation skipped")
    if arguments.delete_shards:
        print(f"deleted     {delete_shards(folder, manifest):,} shards")
    print("Preprocessing complete!")
    return 0


def _consolidate_per_shard(arguments: argparse.Namespace, folder: Path) -> int:
    from textmill.tokens.shard_ids import write_shard_ids

    wrong = [
        option
        for option, given in (
            ("--expect", arguments.expect),
            ("--delete-shards", arguments.delete_shards),
            ("--sample-ids upstream", arguments.sample_ids == "upstream"),
        )
        if given
    ]
    if wrong:
        raise UserError("With --per-shard nothing is joined.", found=wrong[0], hint=f"leave {wrong[0]} out")
    for part in write_shard_ids(folder, seq_len=arguments.seq_len, token_dtype=arguments.token_dtype):
        print(f"{part.name}  {part.elements:>12,} ids  SHA-256 {part.sha256}")
    print("Preprocessing complete!")
    return 0


def _verify(arguments: argparse.Namespace) -> int:
    folder = Path(arguments.folder)
    run = run_folder(folder)
    if run is None:
        from textmill.tokens.numbered_verify import verify_numbered

        findings = verify_numbered(folder, arguments.vocab_size)
    else:
        from textmill.tokenizer.load import load_encoder
        from textmill.tokens.verify import verify_tokens

        tokenizer = run / "tokenizer"
        documents = _documents(run)
        findings = verify_tokens(
            run / "tokens",
            documents=documents,
            events=_events(run) if documents else [],
            encoder=load_encoder(tokenizer) if documents and tokenizer.is_dir() else None,
        )
    for finding in findings:
        print(f"  {finding}")
    print("FAIL" if findings else f"PASS: {folder}")
    return 1 if findings else 0


def _stat(arguments: argparse.Namespace) -> int:
    from textmill.tokens.stat import count_tokens

    folder = Path(arguments.folder)
    run = run_folder(folder)
    counts = count_tokens(run / "tokens" if run else folder, _documents(run) if run else [])
    rows = [[shard.name, screen.count(shard.tokens)] for shard in counts.shards]
    screen.print_table({"shard": "left", "tokens": "right"}, rows)
    print()
    for split in counts.splits:
        print(f"{split.name:<11} {split.tokens:,} tokens in {split.shards:,} shards; the longest is "
              f"{split.unevenness:.1%} longer than the mean"
              f"{' (the last one holds the rest)' if split.shards > 1 else ''}")  # fmt: skip
    if len(counts.splits) > 1:
        print(f"{'in all':<11} {counts.tokens:,} tokens in {len(counts.shards):,} shards")
    of_split = {split.name: split.tokens for split in counts.splits}
    if counts.groups:
        print()
        screen.print_table(
            {"split": "left", "source": "left", "language": "left", "documents": "right", "tokens": "right",
             "share": "right", "bytes per token": "right"},
            [
                [group.split, group.source or "-", group.language or "-", screen.count(group.documents),
                 screen.count(group.tokens), screen.share(group.tokens, of_split[group.split]),
                 f"{group.text_bytes / group.tokens:.2f}"]
                for group in counts.groups
            ],
        )  # fmt: skip
    return 0


def _reshard(arguments: argparse.Namespace) -> int:
    from textmill.tokens.reshard import reshard

    output = Path(arguments.output)
    made = reshard(
        Path(arguments.folder), output, shard_tokens=arguments.shard_tokens, shards=arguments.shards
    )
    print(f"shards      {len(made):,} in {output}")
    print(
        f"tokens      {sum(shard.tokens for shard in made):,}, {made[0].tokens:,} each, the last {made[-1].tokens:,}"
    )
    return 0


def _documents(run: Path) -> list[Path]:
    """The final shards of documents of a run on this machine."""
    from textmill.workspace import Workspace

    if not (run / "manifest.json").is_file():
        return []
    workspace = Workspace.open(str(run))
    final = workspace.final_documents()
    return [workspace.local(file.path) for file in final.files("documents")] if final else []


def _events(run: Path) -> list[Path]:
    """The tables of the ledger's events of a run on this machine."""
    from textmill.workspace import Workspace

    workspace = Workspace.open(str(run))
    return [workspace.local(file.path) for one in workspace.manifest.passes for file in one.files("events")]
