"""``crawl``: a web site into WARC files; ``extract`` stands in a module of its own."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from textmill.cli import extraction, screen
from textmill.cli.arguments import Commands
from textmill.errors import UserError

if TYPE_CHECKING:
    from textmill.crawl.sealing import Sealed
    from textmill.crawl.settings import CrawlSettings

TITLE = "from the web"

# Every one is a setting of the crawl by the same name; the others are reached with --set.
_OPTIONS = (
    ("seeds", "FILE|URL", "the same as URL"),
    (
        "domains",
        "FILE|NAME",
        "domains that may be crawled, with what is below them (default: the seeds' hosts)",
    ),
    ("prefixes", "URL", "addresses must begin with one of these"),
    ("exclude", "REGEX", "leave out addresses in which one of these (RE2) is found"),
    ("allow-addresses", "NETWORK", "private networks that may be reached all the same: 127.0.0.0/8"),
    ("max-pages", "N", "pages to archive, at most; raise it later and the crawl goes on"),
    ("max-per-host", "N", "pages to archive per host, at most"),
    ("max-depth", "N", "links to follow from a seed, at most (default: 20)"),
    ("delay", "SECONDS", "rest between two requests to a host, at least (default: 1)"),
    ("concurrency", "N", "hosts that are fetched from at the same time (default: 64)"),
    ("contact", "URL", "where a webmaster learns who crawls; stands in the user agent"),
    ("agent", "NAME", "product token that robots.txt files address (default: textmill)"),
    ("previous", "DIR", "an earlier crawl: fetch only what has changed since"),
    ("warc-bytes", "N", "compressed bytes after which a WARC file ends (default: 1GiB)"),
)
_LISTS = ("seeds", "domains", "prefixes", "exclude", "allow_addresses")
_FILES_OR_LISTS = ("seeds", "domains")


def register(add: Commands) -> None:
    """Add the commands of this group."""
    crawl = add(
        "crawl", "Crawl web sites into WARC files, politely; the same command goes on where it stopped."
    )
    crawl.add_argument(
        "addresses", nargs="*", metavar="URL", help="where to begin: addresses, or a file with one per line"
    )
    crawl.add_argument("--output", "--out", required=True, metavar="DIR", help="folder to crawl into")
    for name, metavar, text in _OPTIONS:
        several = "+" if name.replace("-", "_") in _LISTS else None
        crawl.add_argument(f"--{name}", nargs=several, metavar=metavar, help=text)
    crawl.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", dest="others",
        help="any other setting of the source crawl (docs/recipe.md): retries=5, sitemaps=false (may be repeated)",
    )  # fmt: skip
    crawl.add_argument(
        "--retry-failed", action="store_true",
        help="try again what failed for a reason that may have passed: time-outs, 5xx, a network that was down",
    )  # fmt: skip
    crawl.add_argument(
        "--format", choices=("raw_pages", "jsonl", "parquet"),
        help="write the pages to one file too: raw_pages (URL: ..., the page, ---ENDDOC---), jsonl or parquet",
    )  # fmt: skip
    crawl.set_defaults(run_command=_crawl)
    extraction.register(add)


def _crawl(arguments: argparse.Namespace) -> int:
    from textmill.cli.progress import TerminalProgress
    from textmill.crawl.crawling import crawl

    settings = _settings(arguments)
    with TerminalProgress() as progress:
        sealed = crawl(settings, arguments.output, progress, retry_failed=arguments.retry_failed)
    _print_summary(sealed)
    if arguments.format:
        _export(sealed, arguments.format)
    if not sealed.totals["archived"]:
        print("\nno page was archived: the account above holds the reason of every address")
        return 1
    return 0


def _export(sealed: Sealed, format: str) -> None:
    from textmill.export.source import export_source
    from textmill.sources.crawl import Crawl

    path = sealed.folder / ("pages.txt" if format == "raw_pages" else f"pages.{format}")
    source = Crawl(folder=str(sealed.folder.absolute()))
    print(f"{'pages in':<12}{path}: {export_source(source, path, format):,}")


def _settings(arguments: argparse.Namespace) -> CrawlSettings:
    from pydantic import ValidationError

    from textmill.crawl.settings import CrawlSettings

    values: dict[str, Any] = {}
    for option, _, _ in _OPTIONS:
        name = option.replace("-", "_")
        value = getattr(arguments, name)
        if name == "seeds":
            value = [*arguments.addresses, *(value or [])] or None
        if value is None:
            continue
        if name in _FILES_OR_LISTS and len(value) == 1 and "://" not in value[0] and Path(value[0]).exists():
            value = value[0]
        values[name] = value
    for written in arguments.others:
        name, equals, value = written.partition("=")
        name = name.strip().removeprefix("crawl.").replace("-", "_")
        if not equals or name not in CrawlSettings.model_fields:
            raise UserError(
                "This sets nothing.",
                expected="NAME=VALUE, with one of: " + ", ".join(CrawlSettings.model_fields),
                found=written,
                where="--set",
            )
        many = isinstance(CrawlSettings.model_fields[name].get_default(), list)
        values[name] = value.split(",") if many else value
    try:
        return CrawlSettings.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        raise UserError(
            f"--{str(first['loc'][0]).replace('_', '-')} cannot be this.",
            expected=first["msg"].removeprefix("Value error, "),
            found=str(first.get("input")),
            hint="all options: textmill crawl --help",
        ) from error


def _print_summary(sealed: Sealed) -> None:
    totals = sealed.totals
    rows = [
        (
            "pages",
            f"{totals['archived']:,} archived, of {totals['seen']:,} addresses on {_several(totals['hosts'], 'host')}",
        ),
    ]
    for outcome in ("redirected", "refused", "failed"):
        if totals[outcome]:
            reasons = sorted(sealed.reasons.get(outcome, {}).items(), key=lambda one: -one[1])
            listed = ", ".join(f"{name} {count:,}" for name, count in reasons[:6])
            rows.append(
                (outcome, f"{totals[outcome]:,}" + (f": {listed}" if outcome != "redirected" else ""))
            )
    if totals["left"]:
        rows.append(("left", f"{totals['left']:,} by the budget; raise it, and the same command goes on"))
    pages = len(sealed.pages())
    rows.append(
        (
            "written",
            f"{screen.size(totals['bytes'])}, pages in {_several(pages, 'WARC file')}",
        )
    )
    rows.append(("account", str(sealed.folder / sealed.account["name"])))
    print()
    for name, text in rows:
        print(screen.fit(f"{name:<12}{text}", 12))


def _several(count: int, name: str) -> str:
    return f"{count:,} {name}{'' if count == 1 else 's'}"
