"""YAML text as a tree of values that know where they stand.

YAML 1.2's core schema (https://yaml.org/spec/1.2.2/#103-core-schema), so ``no`` is Norwegian and ``100_000``
a whole number. Dates stay text, keys are always text, a key given twice is a mistake. Everything that can be
wrong with the file itself is told here.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, ScalarNode, SequenceNode
from ruamel.yaml.reader import ReaderError

from textmill.errors import UserError

Scalar: TypeAlias = str | int | float | bool | None

# Far above any recipe, far below what an alias bomb (aliases of aliases of aliases) unfolds to.
_MAX_NODES = 100_000
_MAX_FILE_BYTES = 4 * 2**20


@dataclass(frozen=True)
class Place:
    """Where something was written.

    Attributes:
        where: ``recipe.yaml:12:5`` or ``--set near_dedup.threshold=0.85``.
        folder: what relative paths written there are relative to.
    """

    where: str
    folder: Path

    def __str__(self) -> str:
        return self.where


@dataclass
class Node:
    """A value and its place.

    Attributes:
        value: a scalar, a mapping of text to nodes, or a list of nodes.
        place: where the value begins.
        key_place: where its key stands, for values in a mapping.
    """

    value: Scalar | dict[str, Node] | list[Node]
    place: Place
    key_place: Place | None = None

    def plain(self) -> Any:
        """The value as ordinary Python dicts, lists and scalars."""
        if isinstance(self.value, dict):
            return {key: child.plain() for key, child in self.value.items()}
        if isinstance(self.value, list):
            return [child.plain() for child in self.value]
        return self.value


def read_recipe_text(path: Path) -> str:
    """The text of a recipe file.

    Raises:
        UserError: it is missing, a folder, unreadable, not UTF-8, or far too large to be a recipe.
    """
    where = str(path)
    if path.is_dir():
        inside = sorted(path.glob("*.yaml"))
        hint = f"did you mean {inside[0]}?" if inside else "name a recipe file, such as recipe.yaml"
        raise UserError("This is a folder, not a recipe.", expected="a YAML file", where=where, hint=hint)
    try:
        if path.stat().st_size > _MAX_FILE_BYTES:
            raise UserError(
                "This file is too large to be a recipe.",
                expected=f"a YAML file of at most {_MAX_FILE_BYTES >> 20} MiB",
                found=f"{path.stat().st_size:,} bytes",
                where=where,
                hint="to make a recipe for your data: textmill init FOLDER",
            )
        data = path.read_bytes()
    except FileNotFoundError:
        raise UserError(
            "There is no such recipe.", expected="a YAML file", where=where, hint=_similar_files(path)
        ) from None
    except OSError as error:
        raise UserError("The recipe cannot be read.", found=error.strerror, where=where) from None
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        column = error.start - (data.rfind(b"\n", 0, error.start) + 1) + 1
        raise UserError(
            "The recipe is not UTF-8 text.",
            expected="UTF-8",
            found=f"the byte 0x{data[error.start]:02x}",
            where=f"{where}:{line}:{column}",
            hint="save the file as UTF-8",
        ) from None


def parse_yaml(text: str, origin: str, folder: Path, *, located: bool = True) -> Node:
    """Parse one YAML document.

    Args:
        text: the document.
        origin: what error messages call it: a file name, or a whole command-line option.
        folder: what relative paths in it are relative to.
        located: add ``:line:column`` to places; false for values from the command line.

    Raises:
        UserError: bad syntax, a key given twice, or a tag that a recipe cannot hold.
    """
    yaml = YAML(typ="safe", pure=True)
    try:
        composed = yaml.compose(text)
    except MarkedYAMLError as error:
        raise _syntax_error(error, text, origin, located) from None
    except ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise UserError(
            "The recipe holds a character that YAML does not allow.",
            found=f"U+{ord(text[error.position]):04X}" if error.position < len(text) else str(error.reason),
            where=f"{origin}:{line}" if located else origin,
            hint="delete the character",
        ) from None
    except RecursionError:
        raise UserError("The recipe is nested far too deeply.", where=origin) from None
    except YAMLError as error:
        raise UserError("This is not YAML.", found=str(error).splitlines()[0], where=origin) from None
    if composed is None:
        return Node(None, Place(f"{origin}:1:1" if located else origin, folder))
    return _Builder(origin, folder, located).build(composed)


def node_of(value: Any, place: Place, path: str = "") -> Node:
    """The tree for plain Python values, whose places are dotted paths: for recipes written in Python."""
    here = Place(f"{place.where}: {path}", place.folder) if path else place
    if isinstance(value, Mapping):
        inside = {
            str(key): node_of(child, place, f"{path}.{key}".lstrip(".")) for key, child in value.items()
        }
        for child in inside.values():
            child.key_place = child.place
        return Node(inside, here)
    if isinstance(value, Sequence) and not isinstance(value, str):
        items = [node_of(child, place, f"{path}.{i}".lstrip(".")) for i, child in enumerate(value)]
        return Node(items, here)
    if isinstance(value, Path):
        return Node(str(value), here)
    if value is None or isinstance(value, str | int | float | bool):
        return Node(value, here)
    raise UserError(
        "A recipe holds text, numbers, lists and mappings.", found=type(value).__name__, where=here.where
    )


class _Builder:
    """Turns ruamel's nodes into ours."""

    def __init__(self, origin: str, folder: Path, located: bool) -> None:
        self.origin = origin
        self.folder = folder
        self.located = located
        self.count = 0
        self.open: list[Any] = []

    def place(self, node: Any) -> Place:
        if not self.located:
            return Place(self.origin, self.folder)
        mark = node.start_mark
        return Place(f"{self.origin}:{mark.line + 1}:{mark.column + 1}", self.folder)

    def build(self, node: Any) -> Node:
        place = self.place(node)
        self.count += 1
        if self.count > _MAX_NODES or any(node is outer for outer in self.open):
            raise UserError(
                "The aliases of this recipe unfold without end.",
                expected=f"at most {_MAX_NODES:,} values",
                where=place.where,
            )
        if isinstance(node, ScalarNode):
            return Node(self.scalar(node), place)
        self.open.append(node)
        try:
            if isinstance(node, SequenceNode):
                return Node([self.build(child) for child in node.value], place)
            if isinstance(node, MappingNode):
                return Node(dict(self.pairs(node)), place)
        finally:
            self.open.pop()
        raise UserError("A recipe cannot hold this.", found=str(node.tag), where=place.where)

    def pairs(self, node: Any) -> Iterator[tuple[str, Node]]:
        seen: dict[str, Place] = {}
        for key_node, value_node in node.value:
            key_place = self.place(key_node)
            if not isinstance(key_node, ScalarNode):
                raise UserError(
                    "A key must be a word.", expected="name: value", found="braces or a list as key",
                    where=key_place.where, hint="put quotes around text that begins with { or [",
                )  # fmt: skip
            key = str(key_node.value)
            if key in seen:
                raise UserError(
                    f"The key {key!r} is given twice.",
                    expected="each key once",
                    found=f"first at {seen[key]}, again here",
                    where=key_place.where,
                    hint="delete one of the two; steps used twice go into the list under curate:",
                )
            if key == "<<":
                raise UserError(
                    "Merge keys (<<) are no part of YAML 1.2.", where=key_place.where,
                    hint="write the fields out",
                )  # fmt: skip
            seen[key] = key_place
            child = self.build(value_node)
            child.key_place = key_place
            yield key, child

    def scalar(self, node: Any) -> Scalar:
        kind = str(node.tag).rsplit(":", 1)[-1]
        text = str(node.value)
        if not str(node.tag).startswith("tag:yaml.org,2002:") or kind not in _SCALAR_KINDS:
            raise UserError(
                "A recipe holds text, numbers, lists and mappings only.",
                found=f"the tag {node.tag}",
                where=self.place(node).where,
                hint="put quotes around text that begins with !",
            )
        if node.style in ("'", '"', "|", ">"):
            return text
        try:
            return _scalar_value(kind, text)
        except ValueError:
            raise UserError(
                "This is no number.", found=text, where=self.place(node).where, hint="quote it if it is text"
            ) from None


_SCALAR_KINDS = {"str", "int", "float", "bool", "null", "timestamp"}


def _scalar_value(kind: str, text: str) -> Scalar:
    if kind == "null":
        return None
    if kind == "bool" and text.lower() in ("true", "false"):
        return text.lower() == "true"
    if kind == "int":
        digits = text.replace("_", "").lower()
        sign = -1 if digits.startswith("-") else 1
        digits = digits.lstrip("+-")
        base = {"0x": 16, "0o": 8, "0b": 2}.get(digits[:2], 10)
        return sign * int(digits[2:] if base != 10 else digits, base)
    if kind == "float":
        digits = text.replace("_", "").lower()
        number = float(digits.replace(".inf", "inf").replace(".nan", "nan"))
        if math.isnan(number):
            raise ValueError(text)
        return number
    return text


def _syntax_error(error: MarkedYAMLError, text: str, origin: str, located: bool) -> UserError:
    mark = error.problem_mark or error.context_mark
    where, found, hint = origin, str(error.problem or error.context), None
    if mark is not None:
        lines = text.splitlines()
        line = lines[mark.line] if mark.line < len(lines) else ""
        if ("stream end" in found or "end of stream" in found) and error.context_mark is not None:
            mark = error.context_mark
            found = "a bracket, brace or quote that is never closed"
            hint = "close it"
        if located:
            where = f"{origin}:{mark.line + 1}:{mark.column + 1}"
        if "\t" in line[: mark.column + 1]:
            found, hint = "a tab", "indent with spaces"
        elif "expected a single document" in str(error.context or ""):
            found, hint = "a second document after ---", "keep one recipe per file"
        elif "<block end>" in found:
            spaces = len(line) - len(line.lstrip())
            found = f"{line.strip()!r}, indented by {spaces} space{'' if spaces == 1 else 's'}"
            hint = "what belongs together begins in one column: indent it as its neighbours above are"
        elif "mapping values are not allowed" in found:
            found = f"a second ':' in {line.strip()!r}"
            hint = "check the indentation, and put quotes around text that holds ': '"
        elif line.strip() and not hint:
            found = f"{found}, in {line.strip()!r}"
    what = "The recipe is not valid YAML." if located else "The value is not valid YAML."
    return UserError(what, found=found, where=where, hint=hint)


def _similar_files(path: Path) -> str:
    try:
        near = sorted(p.name for p in path.parent.iterdir() if p.suffix in (".yaml", ".yml"))
    except OSError:
        return f"the folder {path.parent} does not exist either; check the path"
    close = difflib.get_close_matches(path.name, near, n=1)
    if close:
        return f"did you mean {path.parent / close[0]}?"
    if near:
        return "recipes there: " + ", ".join(near[:6])
    return "to make a recipe for your data: textmill init FOLDER; to see the mill turn: textmill quickstart"
