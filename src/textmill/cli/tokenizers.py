"""``tokenizer inspect``, ``count``, ``compare`` and ``export``: looking at tokenizers, and counting with them."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from textmill.cli import screen
from textmill.cli.arguments import Parser
from textmill.errors import UserError

if TYPE_CHECKING:
    from textmill.tokenizer.counting import Tally, TokenCounter
    from textmill.tokenizer.inspection import Entry, Health

# From here on compiling the kernels pays.
COMPILED_FROM_BYTES = 32 * 2**20
SHOWN_FILES = 20
SHOWN_ENTRIES = 8
SAMPLE_BYTES = 4 * 2**20


def register(tokenizer: Callable[[str, str], Parser]) -> None:
    """Add the commands below ``tokenizer``."""
    inspect = tokenizer("inspect", "What a tokenizer makes of a text, and how healthy its vocabulary is.")
    inspect.add_argument("tokenizer", metavar="TOKENIZER", help="tokenizer.json, or its folder")
    inspect.add_argument("--text", metavar="TEXT", help="text to show; - for standard input")
    inspect.add_argument("--html", metavar="FILE", help="write the coloured tokens as a page as well")
    inspect.add_argument(
        "--input", nargs="+", metavar="PATH", help="texts that tell which entries are unused"
    )
    inspect.add_argument("--text-field", metavar="NAME", help="field or column with the text")
    inspect.set_defaults(run_command=_inspect)

    count = tokenizer("count", "Count the tokens of text files, per file and language.")
    count.add_argument("inputs", nargs="+", metavar="PATH", help="files, folders or globs with text")
    count.add_argument("--text-field", metavar="NAME", help="field or column with the text")
    count.add_argument("--tokenizer", required=True, metavar="PATH", help="tokenizer.json, or its folder")
    count.add_argument("--json", action="store_true", help="as JSON, for programs: every file")
    count.set_defaults(run_command=_count)

    compare = tokenizer("compare", "How many tokens two or more tokenizers make of the same texts.")
    compare.add_argument("tokenizers", nargs="+", metavar="TOKENIZER", help="tokenizer.json, or its folder")
    compare.add_argument(
        "--input", nargs="+", required=True, metavar="PATH", help="files or folders with text"
    )
    compare.add_argument("--text-field", metavar="NAME", help="field or column with the text")
    compare.add_argument("--bytes", type=int, default=SAMPLE_BYTES, metavar="N",
                         help="text to compare on, evenly from the input (default: 4 MiB)")  # fmt: skip
    compare.set_defaults(run_command=_compare)

    export = tokenizer("export", "Write a tokenizer as tiktoken's rank file.")
    export.add_argument("tokenizer", metavar="TOKENIZER", help="tokenizer.json, or its folder")
    export.add_argument("--output", "--out", required=True, metavar="FILE", help="for example own.tiktoken")
    export.set_defaults(run_command=_export)


def _inspect(arguments: argparse.Namespace) -> int:
    from textmill.tokenizer.inspection import as_html, health, read_vocabulary, tokens_of
    from textmill.tokenizer.load import load_encoder

    path = Path(arguments.tokenizer)
    encoder = load_encoder(path)
    used = None
    if arguments.input:
        counter = _counted(arguments.tokenizer, arguments.input, arguments.text_field, None)
        used = counter.used
    _print_health(health(path, used), encoder.eos_token, encoder.eos_id)
    if arguments.text is None:
        if arguments.html:
            raise UserError("There is no text to show.", expected="--text TEXT", where="--html")
        return 0
    text = sys.stdin.read() if arguments.text == "-" else arguments.text
    tokens = tokens_of(encoder, read_vocabulary(path), text)
    print(f"\n{len(tokens):,} tokens, {len(text.encode()) / max(1, len(tokens)):.2f} bytes each")
    _print_tokens(tokens)
    if arguments.html:
        Path(arguments.html).write_text(as_html(tokens, path.name), "utf-8")
        print(f"page        {arguments.html}")
    return 0


def _print_health(found: Health, eos_token: str, eos_id: int) -> None:
    def some(entries: tuple[Entry, ...]) -> str:
        shown = "  ".join(screen.one_line(repr(entry.shown()), 40) for entry in entries[:SHOWN_ENTRIES])
        return f"{len(entries):,}" + (f": {shown}" if entries else "")

    print(f"entries     {found.entries:,}: {found.merges:,} merges, {found.special:,} special or added")
    print(f"end of text {eos_token} ({eos_id})")
    print(f"half chars  {some(found.not_text)}")
    print(f"overlong    {some(found.overlong)}")
    if found.missing_bytes:
        print(
            f"no bytes    {len(found.missing_bytes)} of 256 bytes have no entry: some text cannot be spelled"
        )
    if found.unused is not None:
        share = screen.share(len(found.unused), found.entries)
        print(f"unused      {some(found.unused)} ({share} of all, on this sample)")


def _print_tokens(tokens: list[Entry]) -> None:
    from rich.text import Text

    from textmill.tokenizer.inspection import COLOURS

    target = screen.console()
    if not target.is_terminal:
        print("|".join(entry.shown() for entry in tokens))
        print(" ".join(str(entry.id) for entry in tokens))
        return
    line = Text()
    for position, entry in enumerate(tokens):
        line.append(entry.shown(), style=f"black on {COLOURS[position % len(COLOURS)]}")
        line.append("\n" * entry.content.count(b"\n"))
    target.print(line)
    target.print(" ".join(str(entry.id) for entry in tokens), style="dim")


def _count(arguments: argparse.Namespace) -> int:
    counter = _counted(arguments.tokenizer, arguments.inputs, arguments.text_field, None)
    if arguments.json:
        print(json.dumps({"total": vars(counter.total), "files": _plain(counter.files),
                          "languages": _plain(counter.languages), "failed": counter.failed}, indent=1,
                         ensure_ascii=False))  # fmt: skip
        return 0
    total = counter.total
    _print_tallies("file", counter.files, total.tokens)
    _print_tallies("language", counter.languages, total.tokens)
    print(
        f"documents   {total.documents:,}" + (f" ({counter.failed:,} unreadable)" if counter.failed else "")
    )
    print(f"text        {total.text_bytes:,} bytes")
    print(f"tokens      {total.tokens:,}")
    if total.tokens:
        print(f"per token   {total.bytes_per_token:.2f} bytes")
    return 0


def _plain(tallies: Mapping[str, Tally]) -> dict[str, Any]:
    return {name: vars(tally) for name, tally in sorted(tallies.items())}


def _print_tallies(what: str, tallies: Mapping[str, Tally], tokens: int) -> None:
    if len(tallies) < 2:
        return
    ordered = sorted(tallies.items(), key=lambda item: (-item[1].tokens, item[0]))
    rows = [
        [name, screen.count(tally.documents), screen.count(tally.tokens), screen.share(tally.tokens, tokens),
         f"{tally.bytes_per_token:.2f}", f"{tally.fertility:.2f}"]
        for name, tally in ordered[:SHOWN_FILES]
    ]  # fmt: skip
    headings = {what: "left", "documents": "right", "tokens": "right", "share": "right",
                "bytes per token": "right", "tokens per word": "right"}  # fmt: skip
    screen.print_table(headings, rows)
    if len(ordered) > SHOWN_FILES:
        print(f"and {len(ordered) - SHOWN_FILES:,} more: --json lists all")
    print()


def _compare(arguments: argparse.Namespace) -> int:
    if len(arguments.tokenizers) < 2:
        raise UserError("There is nothing to compare.", expected="at least two tokenizers")
    counters = {
        path: _counted(path, arguments.input, arguments.text_field, arguments.bytes)
        for path in dict.fromkeys(arguments.tokenizers)
    }
    first = next(iter(counters.values()))
    groups = {"all": None} | dict.fromkeys(sorted(first.languages))
    rows = []
    for group in groups:
        base = first.total if group == "all" else first.languages[group]
        for path, counter in counters.items():
            tally = counter.total if group == "all" else counter.languages[group]
            rows.append(
                [group, path, screen.count(counter.encoder.vocab_size), screen.count(tally.tokens),
                 f"{tally.bytes_per_token:.3f}", f"{tally.fertility:.3f}",
                 f"{tally.tokens / base.tokens - 1:+.1%}" if base.tokens else "-"]
            )  # fmt: skip
    screen.print_table(
        {"language": "left", "tokenizer": "left", "entries": "right", "tokens": "right",
         "bytes per token": "right", "tokens per word": "right", "against the first": "right"},
        rows,
    )  # fmt: skip
    print(f"\non {first.total.text_bytes:,} bytes in {first.total.documents:,} documents")
    return 0


def _export(arguments: argparse.Namespace) -> int:
    from textmill.tokenizer.folder import TOKENIZER, tokenizer_files
    from textmill.tokenizer.patterns import PATTERNS, pattern_of
    from textmill.tokenizer.tiktoken_file import NotExpressibleError, tiktoken_file

    path = tokenizer_files(Path(arguments.tokenizer))[TOKENIZER]
    parsed = json.loads(path.read_text("utf-8"))
    try:
        content = tiktoken_file(parsed)
    except NotExpressibleError as error:
        raise UserError(
            "tiktoken's file cannot express this tokenizer.", found=str(error), where=str(path),
            hint="use its tokenizer.json",
        ) from None  # fmt: skip
    Path(arguments.output).write_bytes(content)
    special = {token["content"]: token["id"] for token in parsed["added_tokens"]}
    print(f"ranks       {arguments.output}")
    print(f"pattern     {PATTERNS[pattern_of(parsed) or '']}")
    print(f"special     {json.dumps(special, ensure_ascii=False)}")
    return 0


def _counted(tokenizer: str, inputs: list[str], text_field: str | None, limit: int | None) -> TokenCounter:
    """Count the texts of the inputs, or an even sample of about ``limit`` bytes."""
    from textmill.documents import Document
    from textmill.sources import SOURCES
    from textmill.steps import StepContext
    from textmill.tokenizer.counting import TokenCounter
    from textmill.tokenizer.load import load_encoder

    settings: dict[str, Any] = {"paths": inputs, "metadata_fields": ["language"]}
    if text_field:
        settings["text_field"] = text_field
    source = SOURCES["files"].model_validate(settings)
    splits = source.plan(8 * 2**20)
    size = sum(split.bytes for split in splits)
    counter = TokenCounter(
        load_encoder(Path(tokenizer), compiled=min(size, limit or size) >= COMPILED_FROM_BYTES)
    )
    reader = source.open(StepContext())
    places = splits if limit is None else splits[:: max(1, len(splits) // 32)]
    for split in places:
        left = None if limit is None else limit // len(places)
        for record in _until(reader.read(split), left):
            if isinstance(record, Document):
                language = json.loads(record.metadata).get("language") if record.metadata else None
                name, _, number = record.locator.rpartition(":")
                file = name if number.isdigit() and name else record.locator
                counter.add(record.text, file, language if isinstance(language, str) else None)
            else:
                counter.failed += 1
    counter.finish()
    return counter


def _until(records: Iterator[Any], left: int | None) -> Iterator[Any]:
    for record in records:
        yield record
        if left is not None:
            left -= len(getattr(record, "text", "").encode())
            if left <= 0:
                return
