"""``extract``: the main text of saved pages."""

from __future__ import annotations

import argparse
import json
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from textmill.cli import screen
from textmill.cli.arguments import Commands
from textmill.errors import UserError

if TYPE_CHECKING:
    from textmill.extract.rendering import TextFormat
    from textmill.extract.tree import Page

SUFFIXES = (".html", ".htm", ".xhtml", ".shtml")
"""What is taken for a page in a folder; a file that is named is one whatever it is called."""
STDIN = "-"


def register(add: Commands) -> None:
    """Add the command."""
    extract = add("extract", "Take the main text out of HTML pages: files, folders, or standard input.")
    extract.add_argument(
        "paths", nargs="+", metavar="PATH",
        help=f"files, folders (every {', '.join(SUFFIXES)} below them), or - for standard input",
    )  # fmt: skip
    extract.add_argument(
        "--format", choices=("text", "markdown", "jsonl"), default="text",
        help="text, Markdown, or a line of JSON for each page with text and metadata (default: text)",
    )  # fmt: skip
    extract.add_argument(
        "--method", choices=("main", "articles", "bulk", "trafilatura", "union"), default="main",
        help="main: a trained classifier; articles: rather less than too much; "
        "others need textmill[extract] (default: main)",
    )  # fmt: skip
    extract.add_argument("--links", action="store_true", help="in Markdown, write links with their addresses")
    extract.add_argument(
        "--visible", action="store_true", help="leave out what is hidden until a script or a click shows it"
    )
    extract.add_argument(
        "--output", "--out", metavar="DIR",
        help="folder to write a file for each page into, or pages.jsonl (default: standard output)",
    )  # fmt: skip
    extract.add_argument(
        "--url", metavar="URL", help="address of the page, for links and for its kind (one page only)"
    )
    extract.add_argument(
        "--charset", metavar="NAME", help="encoding that the server stated (default: what the page says)"
    )
    extract.add_argument(
        "--explain", action="store_true",
        help="show every block of the page, how likely it is main text, and whether it was kept",
    )  # fmt: skip
    extract.set_defaults(run_command=_extract)


@dataclass(frozen=True)
class _Source:
    """A page to read; ``name`` is its path below what was named on the command line."""

    path: Path | None
    name: str


def _extract(arguments: argparse.Namespace) -> int:
    sources = list(_sources(arguments.paths))
    if arguments.url and len(sources) > 1:
        raise UserError(
            "--url is the address of one page.",
            expected="one page",
            found=f"{len(sources):,} pages",
            where="--url",
        )
    if arguments.explain:
        return _explain(arguments, sources)
    if arguments.links and arguments.format == "text":
        raise UserError(
            "Plain text has no links.",
            expected="--format markdown or jsonl",
            found="--format text --links",
            where="--links",
            hint="--format markdown --links",
        )
    if arguments.output:
        return _into_folder(arguments, sources)
    return _onto_screen(arguments, sources)


def _sources(paths: list[str]) -> Iterator[_Source]:
    for path in paths:
        if path == STDIN:
            yield _Source(None, "stdin.html")
            continue
        place = Path(path)
        if place.is_dir():
            found = sorted(
                file for file in place.rglob("*") if file.suffix.lower() in SUFFIXES and file.is_file()
            )
            if not found:
                raise UserError(
                    "There is no page in this folder.",
                    expected="files that end in " + ", ".join(SUFFIXES),
                    where=path,
                    hint="name the files themselves, whatever they are called",
                )
            yield from (_Source(file, file.relative_to(place).as_posix()) for file in found)
        elif place.is_file():
            yield _Source(place, place.name)
        else:
            raise UserError(
                "There is no such file or folder.",
                expected="an HTML file, a folder of them, or - for standard input",
                where=path,
                hint="save the page first; textmill crawl archives whole sites" if "://" in path else None,
            )


class _Extraction:
    """Reads, parses and extracts page after page; says so if the first one has to wait for kernels."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        from textmill.extract.methods import Options, open_method
        from textmill.extract.tree import PageParser

        self._arguments = arguments
        self._parser = PageParser()
        text_format: TextFormat = "text" if arguments.format == "text" else "markdown"
        self._text = open_method(
            arguments.method, Options(text_format, arguments.links, not arguments.visible)
        )
        self._patience = threading.Timer(2.0, _ask_for_patience)
        self._patience.daemon = True
        self._patience.start()

    def page(self, source: _Source) -> Page:
        """The parsed page.

        Raises:
            OSError: it cannot be read.
            PageTooLargeError: it is beyond a limit of the parser.
        """
        from textmill.web.charset import decode_page

        body = sys.stdin.buffer.read() if source.path is None else source.path.read_bytes()
        charset = self._arguments.charset
        try:
            text = decode_page(body, charset and f"text/html; charset={charset}").text
            return self._parser.parse(text.encode())
        finally:
            self._patience.cancel()

    def text(self, page: Page) -> str:
        """The main text of a page."""
        return self._text(page, self._arguments.url)

    def record(self, page: Page, name: str) -> dict[str, Any]:
        """What a line of JSON tells of a page."""
        from textmill.extract.metadata import page_metadata

        return {"path": name, **page_metadata(page), "text": self.text(page)}


def _ask_for_patience() -> None:
    print("textmill: compiling the kernels, once per installation …", file=sys.stderr)


def _onto_screen(arguments: argparse.Namespace, sources: list[_Source]) -> int:
    extraction = _Extraction(arguments)
    failed = 0
    for number, source in enumerate(sources):
        try:
            page = extraction.page(source)
            if arguments.format == "jsonl":
                print(json.dumps(extraction.record(page, source.name), ensure_ascii=False))
                continue
            text = extraction.text(page)
        except UserError:
            raise
        except Exception as error:
            failed += 1
            _tell(source, error)
            continue
        if len(sources) > 1:
            print(("\n" if number else "") + f"==> {source.name} <==")
        print(text)
        if not text:
            print(f"textmill: no main text in {source.name}", file=sys.stderr)
    return 1 if failed else 0


def _into_folder(arguments: argparse.Namespace, sources: list[_Source]) -> int:
    from textmill.cli.progress import TerminalProgress

    extraction = _Extraction(arguments)
    output = Path(arguments.output)
    output.mkdir(parents=True, exist_ok=True)
    empty = failed = characters = 0
    suffix = {"text": ".txt", "markdown": ".md", "jsonl": ".jsonl"}[arguments.format]
    lines = (output / "pages.jsonl").open("w", encoding="utf-8") if arguments.format == "jsonl" else None
    taken: set[str] = set()
    try:
        with TerminalProgress() as progress:
            progress.start("extracting", len(sources), "pages")
            for source in sources:
                progress.advance(1, characters=0)
                try:
                    page = extraction.page(source)
                    record = (
                        extraction.record(page, source.name) if lines else {"text": extraction.text(page)}
                    )
                except UserError:
                    raise
                except Exception as error:
                    failed += 1
                    _tell(source, error)
                    continue
                text = record["text"]
                empty += not text
                characters += len(text)
                if lines:
                    lines.write(json.dumps(record, ensure_ascii=False) + "\n")
                else:
                    _write(output, source.name, suffix, text, taken)
    finally:
        if lines:
            lines.close()
    print(
        f"{output}: {screen.count(len(sources) - failed)} pages, {screen.count(characters)} characters"
        + (f"; {empty:,} without main text" if empty else "")
        + (f"; {failed:,} failed" if failed else "")
    )
    return 1 if failed else 0


def _write(output: Path, name: str, suffix: str, text: str, taken: set[str]) -> None:
    """A file of the page's name; a second page of one name (from another folder) gets a number."""
    stem = str(Path(name).with_suffix(""))
    number = 1
    unique = stem
    while unique in taken:
        number += 1
        unique = f"{stem}-{number}"
    taken.add(unique)
    target = output / (unique + suffix)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text + "\n" if text else "", encoding="utf-8")


def _tell(source: _Source, error: Exception) -> None:
    print(f"textmill: {source.path or source.name}: {error}", file=sys.stderr)


def _explain(arguments: argparse.Namespace, sources: list[_Source]) -> int:
    from textmill.extract.explaining import explain
    from textmill.extract.metadata import page_metadata

    if arguments.method not in ("main", "articles"):
        raise UserError(
            f"The method {arguments.method} has no probabilities to show.",
            expected="--method main or articles",
            found=arguments.method,
            where="--explain",
        )
    extraction = _Extraction(arguments)
    columns = {"p": "right", "": "left", "in": "left", "words": "right", "text": "left"}
    failed = 0
    for source in sources:
        try:
            page = extraction.page(source)
        except Exception as error:
            failed += 1
            _tell(source, error)
            continue
        found = explain(
            page, arguments.url, articles=arguments.method == "articles", hidden=not arguments.visible
        )
        print(f"{source.name}: {len(found):,} blocks, {sum(block.kept for block in found):,} kept")
        for name, value in page_metadata(page).items():
            print(f"  {name + ':':<11}{screen.one_line(value, 100)}")
        rows = [
            [
                f"{block.probability:.2f}",
                ("kept" if block.kept else "") + (" hidden" if block.hidden else ""),
                block.path,
                f"{block.words:,}",
                screen.one_line(block.text, 70),
            ]
            for block in found
        ]
        screen.print_table(columns, rows)
    return 1 if failed else 0
