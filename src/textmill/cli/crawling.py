"""``crawl``: a web site into WARC files."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from textmill.cli import screen
from textmill.cli.arguments import Commands
from textmill.errors import UserError

if TYPE_CHECKING:
    from textmill.crawl.sealing import Sealed
    from textmill.crawl.settings import CrawlSettings

TITLE = "from the web"

_FILES_OR_LISTS = ("seeds", "domains")


def register(add: Commands) -> None:
    """Add the commands of this group."""
    from textmill.crawl.settings import CrawlSettings

    crawl = add(
        "crawl", "Crawl web sites into WARC files, politely; the same command goes on where it stopped."
    )
    crawl.add_argument("--output", "--out", required=True, metavar="DIR", help="folder to crawl into")
    for name, field in CrawlSettings.model_fields.items():
        option = "--" + name.replace("_", "-")
        text = (field.description or "").replace("``", "").replace("%", "%%")
        default = field.get_default()
        if isinstance(default, bool):
            crawl.add_argument(option, action=argparse.BooleanOptionalAction, default=None, help=text)
        elif isinstance(default, list):
            kind = "FILE|X" if name in _FILES_OR_LISTS else "X"
            crawl.add_argument(option, nargs="+", metavar=kind, help=text)
        else:
            crawl.add_argument(option, metavar=_metavar(field.annotation), help=text)
    crawl.set_defaults(run_command=_crawl)


def _metavar(annotation: Any) -> str:
    kinds = {annotation, *get_args(annotation)}
    return "N" if int in kinds else "SECONDS" if float in kinds else "TEXT"


def _crawl(arguments: argparse.Namespace) -> int:
    from textmill.cli.progress import TerminalProgress
    from textmill.crawl.crawling import crawl

    settings = _settings(arguments)
    with TerminalProgress() as progress:
        sealed = crawl(settings, arguments.output, progress)
    _print_summary(sealed)
    return 0


def _settings(arguments: argparse.Namespace) -> CrawlSettings:
    from pydantic import ValidationError

    from textmill.crawl.settings import CrawlSettings

    values: dict[str, Any] = {}
    for name in CrawlSettings.model_fields:
        value = getattr(arguments, name)
        if value is None:
            continue
        if (
            name in _FILES_OR_LISTS
            and len(value) == 1
            and ("://" not in value[0] and Path(value[0]).exists())
        ):
            value = value[0]
        values[name] = value
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
            f"{totals['archived']:,} archived, of {totals['seen']:,} addresses on {totals['hosts']:,} hosts",
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
            f"{screen.size(totals['bytes'])} in {pages} WARC file{'s' if pages != 1 else ''} of pages",
        )
    )
    rows.append(("account", str(sealed.folder / sealed.account["name"])))
    print()
    for name, text in rows:
        print(screen.fit(f"{name:<12}{text}", 12))
