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
# Less is over before a bar could be read.
SHOWN_FROM_BYTES = 64 * 2**20
SHOWN_FILES = 20
SHOWN_ENTRIES = 8
SAMPLE_BYTES = 4 * 2**20


_TOKENIZER = "a tokenizer's folder or file (tokenizer.json, tokenizer.model, .tiktoken), or hf://owner/name"


def register(tokenizer: Callable[[str, str], Parser]) -> None:
    """Add the commands below ``tokenizer``."""
    inspect = tokenizer("inspect", "What a tokenizer makes of a text, and how healthy its vocabulary is.")
    inspect.add_argument("tokenizer", metavar="TOKENIZER", help=_TOKENIZER)
    inspect.add_argument("--text", metavar="TEXT", help="text to show; - for standard input")
    inspect.add_argument("--html", metavar="FILE", help="write the coloured tokens as a page as well")
    inspect.add_argument(
        "--input",
        nargs="+",
        metavar="PATH",
        help="texts that tell which entries are unused, and how languages fare",
    )
    _reading(inspect)
    inspect.set_defaults(run_command=_inspect)

    count = tokenizer("count", "Count the tokens of text files, per file and language.")
    count.add_argument("inputs", nargs="+", metavar="PATH", help="files, folders or globs with text")
    count.add_argument("--tokenizer", required=True, metavar="TOKENIZER", help=_TOKENIZER)
    count.add_argument("--json", action="store_true", help="as JSON, for programs: every file")
    _reading(count)
    count.set_defaults(run_command=_count)

    compare = tokenizer("compare", "How many tokens two or more tokenizers make of the same texts.")
    compare.add_argument("tokenizers", nargs="+", metavar="TOKENIZER", help=_TOKENIZER)
    compare.add_argument(
        "--input", nargs="+", required=True, metavar="PATH", help="files or folders with text"
    )
    compare.add_argument("--bytes", type=int, default=SAMPLE_BYTES, metavar="N",
                         help="text to compare on, evenly from the input (default: 4 MiB)")  # fmt: skip
    _reading(compare)
    compare.set_defaults(run_command=_compare)

    export = tokenizer("export", "Write a tokenizer as tiktoken's rank file.")
    export.add_argument("tokenizer", metavar="TOKENIZER", help=_TOKENIZER)
    export.add_argument("--output", "--out", required=True, metavar="FILE", help="for example own.tiktoken")
    export.set_defaults(run_command=_export)


def _reading(parser: Parser) -> None:
    parser.add_argument("--text-field", metavar="NAME", help="field or column with the text")
    parser.add_argument(
        "--languages",
        action="store_true",
        help="guess the language of texts that do not state one (fastText's lid.176)",
    )
    parser.add_argument(
        "--pattern",
        choices=("gpt2", "cl100k", "o200k"),
        help="how a tiktoken rank file of your own cuts texts",
    )


def _inspect(arguments: argparse.Namespace) -> int:
    from textmill.tokenizer.inspection import health, read_vocabulary, tokens_of
    from textmill.tokenizer.load import load_encoder

    if arguments.html and arguments.text is None:
        raise UserError("There is no text to show.", expected="--text TEXT", where="--html")
    path, pattern = arguments.tokenizer, arguments.pattern
    encoder = load_encoder(path, pattern=pattern, needs_eos=False)
    counter = _counted(path, arguments.input, arguments, None) if arguments.input else None
    found = health(path, counter.used if counter else None, pattern=pattern)
    _print_health(found, encoder.eos_token, encoder.eos_id)
    if counter is not None:
        print(
            f"sample      {screen.size(counter.total.text_bytes)} in {counter.total.documents:,} documents\n"
        )
        _print_tallies("language", counter.languages, counter.total.tokens)
    if arguments.text is None:
        return 0
    text = sys.stdin.read() if arguments.text == "-" else arguments.text
    try:
        tokens = tokens_of(encoder, read_vocabulary(path, pattern=pattern), text)
    except ValueError as error:
        raise UserError("This text cannot be encoded.", found=str(error), where="--text") from None
    print(f"\n{len(tokens):,} tokens, {len(text.encode()) / max(1, len(tokens)):.2f} bytes each")
    _print_tokens(tokens)
    if arguments.html:
        from textmill.tokenizer.page import as_html

        Path(arguments.html).write_text(as_html(tokens, str(path), found), "utf-8")
        print(f"page        {arguments.html}")
    return 0


def _print_health(found: Health, eos_token: str, eos_id: int) -> None:
    def some(entries: tuple[Entry, ...]) -> str:
        shown = "  ".join(screen.one_line(f"'{entry.shown()}'", 40) for entry in entries[:SHOWN_ENTRIES])
        return f"{len(entries):,}" + (f": {shown}" if entries else "")

    print(f"kind        {found.model}")
    merges = f"{found.merges:,} merges, " if found.merges else ""
    print(f"entries     {found.entries:,}: {merges}{found.special:,} special or added")
    print(f"end of text {eos_token} ({eos_id})" if eos_token else "end of text none: name it with eos_token")
    print(f"encoded by  {'the compiled kernels' if found.slow is None else 'its own library: ' + found.slow}")
    print(f"half chars  {some(found.not_text)}")
    print(f"overlong    {some(found.overlong)}")
    if found.unreachable is not None:
        print(f"unreachable {some(found.unreachable)}")
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
    counter = _counted(arguments.tokenizer, arguments.inputs, arguments, None)
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
        print(f"per word    {total.fertility:.2f} tokens")
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
        path: _counted(path, arguments.input, arguments, arguments.bytes)
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
    _print_common_entries(arguments)
    return 0


def _print_common_entries(arguments: argparse.Namespace) -> None:
    from textmill.tokenizer.inspection import read_vocabulary

    first, *others = dict.fromkeys(arguments.tokenizers)
    entries = {
        path: {
            entry.content for entry in read_vocabulary(path, pattern=arguments.pattern) if not entry.special
        }
        for path in (first, *others)
    }
    for path in others:
        common = len(entries[first] & entries[path])
        share = screen.share(common, len(entries[first]))
        print(f"{common:,} entries of {first} are in {path} too ({share})")


def _export(arguments: argparse.Namespace) -> int:
    from textmill.tokenizer.folder import TOKENIZER
    from textmill.tokenizer.load import find_tokenizer
    from textmill.tokenizer.patterns import PATTERNS, pattern_of
    from textmill.tokenizer.tiktoken_file import NotExpressibleError, tiktoken_file

    tokenizer = find_tokenizer(arguments.tokenizer)
    parsed = json.loads(tokenizer.content)
    try:
        content = tiktoken_file(parsed)
    except NotExpressibleError as error:
        raise UserError(
            "tiktoken's file cannot express this tokenizer.", found=str(error), where=str(tokenizer.files[TOKENIZER]),
            hint="use its tokenizer.json",
        ) from None  # fmt: skip
    Path(arguments.output).write_bytes(content)
    special = {token["content"]: token["id"] for token in parsed["added_tokens"]}
    print(f"ranks       {arguments.output}")
    print(f"pattern     {PATTERNS[pattern_of(parsed) or '']}")
    print(f"special     {json.dumps(special, ensure_ascii=False)}")
    return 0


def _counted(
    tokenizer: str, inputs: list[str], arguments: argparse.Namespace, limit: int | None
) -> TokenCounter:
    """Count the texts of the inputs, or an even sample of about ``limit`` bytes."""
    from textmill.cli.progress import TerminalProgress
    from textmill.documents import Document
    from textmill.sources import SOURCES
    from textmill.steps import StepContext
    from textmill.tokenizer.counting import TokenCounter
    from textmill.tokenizer.languages import LanguageGuesser, stated_language
    from textmill.tokenizer.load import load_encoder

    settings: dict[str, Any] = {"paths": inputs, "metadata_fields": ["language", "lang"]}
    if arguments.text_field:
        settings["text_field"] = arguments.text_field
    source = SOURCES["files"].model_validate(settings)
    splits = source.plan(8 * 2**20)
    size = sum(split.bytes for split in splits)
    counter = TokenCounter(
        load_encoder(
            tokenizer,
            compiled=min(size, limit or size) >= COMPILED_FROM_BYTES,
            pattern=arguments.pattern,
            needs_eos=False,
        )
    )
    guesser = LanguageGuesser() if arguments.languages else None
    reader = source.open(StepContext())
    places = splits if limit is None else splits[:: max(1, len(splits) // 32)]
    with TerminalProgress() as progress:
        if size >= SHOWN_FROM_BYTES and limit is None:
            progress.start("counting tokens", size, "bytes")
        for split in places:
            left = None if limit is None else limit // len(places)
            before = counter.total.text_bytes
            for record in _until(reader.read(split), left):
                if isinstance(record, Document):
                    if guesser is not None:
                        language: str | None = guesser.language(record.text, record.metadata)
                    else:
                        language = stated_language(record.metadata)
                    name, _, number = record.locator.rpartition(":")
                    file = name if number.isdigit() and name else record.locator
                    counter.add(record.text, file, language)
                else:
                    counter.failed += 1
            if progress.label:
                progress.advance(split.bytes, bytes=counter.total.text_bytes - before)
    counter.finish()
    return counter


def _until(records: Iterator[Any], left: int | None) -> Iterator[Any]:
    for record in records:
        yield record
        if left is not None:
            left -= len(getattr(record, "text", "").encode())
            if left <= 0:
                return
