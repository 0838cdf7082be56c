"""Options and commands, by argparse, with three house rules on top.

Dashes and underscores are equal in every option; a mistake is a :class:`UserError` with the nearest right
name; no module of a command imports anything heavy before it runs.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from difflib import get_close_matches
from typing import Any, NoReturn, TypeAlias

from textmill.cli import screen
from textmill.errors import UserError

Commands: TypeAlias = Callable[[str, str], "Parser"]
"""Given to a group's ``register``: makes the parser of a command from its name and its one-line help."""


class Parser(argparse.ArgumentParser):
    """argparse with our errors."""

    def __init__(self, **options: Any) -> None:
        super().__init__(allow_abbrev=False, formatter_class=argparse.RawDescriptionHelpFormatter, **options)

    def error(self, message: str) -> NoReturn:
        """Raise instead of exiting, so that every mistake looks the same."""
        raise UserError(
            f"{message[:1].upper()}{message[1:]}.",
            expected=" ".join(self.format_usage().removeprefix("usage: ").split()),
            hint=f"all options: {self.prog} --help",
        )

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        """A value that is none of the choices, with the nearest that is one."""
        if action.choices is None or value in action.choices:
            return
        choices = [str(choice) for choice in action.choices]
        close = get_close_matches(str(value), choices, n=1, cutoff=0.5)
        option = action.option_strings[-1] if action.option_strings else action.metavar or action.dest
        raise UserError(
            f"{option} cannot be {value!r}.",
            expected="one of: " + ", ".join(choices),
            found=str(value),
            where=self.prog,
            hint=f"did you mean {close[0]}?" if close else f"all options: {self.prog} --help",
        )

    def unknown(self, rest: Sequence[str]) -> NoReturn:
        """Raise for what no option took."""
        options = [option for option in self._option_string_actions if option.startswith("--")]
        name = rest[0].partition("=")[0]
        close = get_close_matches(name, options, n=1, cutoff=0.5) if name.startswith("-") else []
        raise UserError(
            f"{self.prog} does not know {rest[0]!r}.",
            expected="options: " + ", ".join(options),
            found=" ".join(rest),
            hint=f"did you mean {close[0]}?" if close else f"all options: {self.prog} --help",
        )


def parse(argv: list[str]) -> int:
    """Find the command that ``argv`` names, run it and return its exit code.

    Raises:
        UserError: an unknown command or option, a missing or malformed value.
    """
    groups = command_groups()
    if not argv or argv[0] in ("-h", "--help", "help"):
        wanted = argv[1:2] if argv[:1] == ["help"] else []
        if not wanted:
            print(_overview(groups))
            return 0
        argv = [*wanted, "--help"]
    if argv[0] in ("-V", "--version", "version"):
        from importlib.metadata import version

        print(f"textmill {version('textmill')}")
        return 0
    parsers = {name: parser for _, commands in groups for name, parser in commands.items()}
    parser = parsers.get(argv[0])
    if parser is None:
        _unknown_command(argv[0], list(parsers))
    try:
        arguments, rest = parser.parse_known_args(with_dashes(argv[1:]))
    except SystemExit as asked_for_help:
        return int(asked_for_help.code or 0)
    if rest:
        parser.unknown(rest)
    run: Callable[[argparse.Namespace], int] | None = getattr(arguments, "run_command", None)
    if run is None:
        parser.print_help()
        return 0
    return run(arguments)


def with_dashes(argv: Sequence[str]) -> list[str]:
    """The arguments with ``--max_new_tokens`` written ``--max-new-tokens``; values are left alone."""
    result: list[str] = []
    for position, argument in enumerate(argv):
        if argument == "--":
            return [*result, *argv[position:]]
        if argument.startswith("--"):
            name, equals, value = argument.partition("=")
            argument = name.replace("_", "-") + equals + value
        result.append(argument)
    return result


def add_subcommands(parser: Parser) -> Callable[[str, str], Parser]:
    """Commands below a command: ``tokenizer train``."""
    subparsers = parser.add_subparsers(metavar="COMMAND", title="commands")

    def add(name: str, summary: str) -> Parser:
        child: Parser = subparsers.add_parser(name, help=summary, description=summary)
        return child

    return add


def command_groups() -> list[tuple[str, dict[str, Parser]]]:
    """All commands: title of the group, and its parsers by name."""
    from textmill.cli import (
        asking,
        corpus,
        crawling,
        deduplication,
        machine,
        running,
        scores,
        speaking,
        stages,
        starting,
        training,
    )

    groups = []
    for module in (
        starting,
        running,
        asking,
        scores,
        crawling,
        corpus,
        deduplication,
        stages,
        training,
        speaking,
        machine,
    ):
        commands: dict[str, Parser] = {}

        def add(name: str, summary: str, commands: dict[str, Parser] = commands) -> Parser:
            commands[name] = Parser(prog=f"textmill {name}", description=summary)
            return commands[name]

        module.register(add)
        groups.append((module.TITLE, commands))
    return groups


def _overview(groups: Sequence[tuple[str, dict[str, Parser]]]) -> str:
    lines = ["textmill: from raw text to a trained language model; every document accounted for.", ""]
    lines += ["usage: textmill COMMAND [options]; textmill COMMAND --help", ""]
    for title, commands in groups:
        lines.append(f"{title}:")
        lines += [screen.fit(f"  {name:<12}{parser.description}", 14) for name, parser in commands.items()]
        lines.append("")
    lines.append("first steps: textmill quickstart; then: textmill init FOLDER")
    return "\n".join(lines)


def _unknown_command(name: str, names: list[str]) -> NoReturn:
    close = get_close_matches(name, names, n=1)
    hint = f"did you mean: textmill {close[0]}?" if close else "an overview: textmill --help"
    if name.endswith((".yaml", ".yml")):
        hint = f"to run a recipe: textmill run {name}"
    raise UserError(
        f"There is no command {name!r}.",
        expected="one of: " + ", ".join(names),
        found=" ".join(sys.argv[1:]) if sys.argv[1:2] == [name] else name,
        hint=hint,
    )
