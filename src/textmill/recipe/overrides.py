"""``--set gopher_quality.min_words=30``: one value of a recipe, changed from the command line.

A path begins with a section (``train.tokens``, ``run.workers``, ``sources.0.path``, ``curate.2.min_words``)
or with the id of a step or the label of a source. It must mean one place; a path that could mean two is
refused with both named. The value is YAML; relative paths in it are relative to the current folder. Dashes
and underscores are equal.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from textmill.errors import UserError
from textmill.recipe.kinds import is_import_path, kind_of
from textmill.recipe.mistakes import did_you_mean, same_name, value_in_words
from textmill.recipe.model import Recipe, Registry, RunSection
from textmill.recipe.syntax import Node, Place, parse_yaml
from textmill.recipe.validation import nested_model
from textmill.steps.settings import Settings


@dataclass(frozen=True)
class Override:
    """One change.

    Attributes:
        path: dotted, as the user wrote it.
        value: YAML.
        origin: what messages call it: ``--set run.workers=8`` or ``--workers 8``.
    """

    path: str
    value: str
    origin: str

    @classmethod
    def parse(cls, text: str) -> Override:
        """From ``path=value``.

        Raises:
            UserError: there is no ``=``, or nothing before it.
        """
        path, equals, value = text.partition("=")
        if not equals or not path.strip(" ."):
            raise UserError(
                "An override is a path, an equals sign and a value.",
                expected="--set gopher_quality.min_words=30",
                found=text or "nothing",
                where=f"--set {text}",
            )
        return cls(path.strip(), value, f"--set {text}")


def apply_overrides(root: Node, overrides: Sequence[str | Override], registry: Registry) -> None:
    """Change the tree of a recipe in place, one override after the other.

    Raises:
        UserError: a path that names nothing or could name two things, or a value that is not YAML.
    """
    for item in overrides:
        override = Override.parse(item) if isinstance(item, str) else item
        segments = [segment.strip() for segment in override.path.split(".")]
        if not all(segments):
            raise UserError(
                "The path has an empty part.", expected="names between the dots", found=override.path,
                where=override.origin,
            )  # fmt: skip
        value = parse_yaml(override.value, override.origin, Path.cwd(), located=False)
        value.key_place = value.place
        _Target(root, registry, override).put(segments, value)


class _Target:
    """Finds the place that a path means."""

    def __init__(self, root: Node, registry: Registry, override: Override) -> None:
        self.root = root
        self.registry = registry
        self.where = override.origin
        self.path = override.path
        self.place = Place(override.origin, Path.cwd())

    def put(self, segments: list[str], value: Node) -> None:
        top = self._mapping(self.root)
        first = same_name(segments[0])
        sections = [key for key in Recipe.model_fields if key == first]
        items = [
            (kind, position)
            for kind in ("sources", "curate")
            for position in range(len(self._items(kind)))
            if first in self._names(kind, position)
        ]
        addresses = sections + [f"{kind}.{position}" for kind, position in items]
        if len(addresses) > 1:
            raise self._ambiguous(segments[0], addresses, segments[1:])
        if not addresses:
            raise self._unknown(segments)
        if items:
            self._put_in_item(*items[0], segments[1:], value)
            return
        rest = segments[1:]
        if first in ("sources", "curate") and rest:
            self._put_in_item(first, self._position(first, rest[0], rest[1:]), rest[1:], value)
        else:
            self._put_below(top, first, rest, value, self._section_model(first))

    def _items(self, kind: str) -> list[Node]:
        node = self._mapping(self.root).get(kind)
        return node.value if node is not None and isinstance(node.value, list) else []

    def _names(self, kind: str, position: int) -> set[str]:
        """What a step or source answers to: its kind, and its id or label."""
        _, settings = item_parts(self._items(kind)[position])
        label = given_label(settings, kind)
        return {same_name(self._kind_name(kind, position))} | ({same_name(label)} if label else set())

    def _model(self, kind: str, position: int) -> type[Settings] | None:
        item = self._items(kind)[position]
        return kind_of(kind, item_parts(item)[0], item, self.registry)

    def _kind_name(self, kind: str, position: int) -> str:
        """The step's or source's own name: a class named by import path answers to that, not to the path."""
        name, _ = item_parts(self._items(kind)[position])
        model = self._model(kind, position) if is_import_path(name) else None
        return model.name if model is not None else name

    def _position(self, kind: str, segment: str, rest: list[str]) -> int:
        items = self._items(kind)
        if segment.isdecimal():
            if int(segment) < len(items):
                return int(segment)
            raise UserError(
                f"{kind} has no item {segment}.",
                expected=f"0 to {len(items) - 1}" if items else f"a recipe with {kind}",
                where=self.where,
            )
        found = [p for p in range(len(items)) if same_name(segment) in self._names(kind, p)]
        if len(found) > 1:
            raise self._ambiguous(segment, [f"{kind}.{position}" for position in found], rest)
        if not found:
            names = sorted(set().union(*(self._names(kind, p) for p in range(len(items)))))
            raise UserError(
                f"{kind} has no {segment!r}.",
                expected="one of: " + ", ".join(names) if names else f"a recipe with {kind}",
                where=self.where,
                hint=did_you_mean(segment, names),
            )
        return found[0]

    def _put_in_item(self, kind: str, position: int, rest: list[str], value: Node) -> None:
        items = self._items(kind)
        name, settings = item_parts(items[position])
        if not rest:
            # A whole step is replaced by a step, its settings by settings or a bare value.
            replaces = value.value == name or (isinstance(value.value, dict) and list(value.value) == [name])
            # An import path stays where the recipe has it: it is relative to the recipe.
            place = items[position].place if is_import_path(name) else self.place
            items[position] = value if replaces else Node({name: value}, place, self.place)
            return
        model = self._model(kind, position)
        holder = {name: settings}
        self._put_below(holder, name, rest, value, model)
        items[position] = Node(dict(holder), items[position].place, items[position].key_place)

    def _put_below(self, holder: dict[str, Node], key: str, rest: list[str], value: Node, model: Any) -> None:
        """Set ``holder[key]``, or what lies below it on the way ``rest``."""
        if not rest:
            holder[key] = value
            return
        node = holder.get(key)
        if node is None or node.value is None:
            node = holder[key] = Node({}, self.place, self.place)
        if isinstance(node.value, list):
            segment = rest[0]
            if not segment.isdecimal() or int(segment) >= len(node.value):
                raise UserError(
                    f"{key} is a list of {len(node.value)}.",
                    expected=f"an item from 0 to {len(node.value) - 1}" if node.value else "items",
                    found=segment,
                    where=self.where,
                )
            inside = {segment: node.value[int(segment)]}
            self._put_below(inside, segment, rest[1:], value, None)
            node.value[int(segment)] = inside[segment]
            return
        if not isinstance(node.value, dict):
            shorthand = getattr(model, "shorthand", None)
            if shorthand is None:
                raise UserError(
                    f"{key} has no field {rest[0]!r}: it is a single value.",
                    found=value_in_words(node.plain()), where=self.where,
                )  # fmt: skip
            node = holder[key] = Node(
                {shorthand: Node(node.value, node.place, node.key_place)}, node.place, node.key_place
            )
        inside = self._mapping(node)
        existing = next((k for k in inside if same_name(k) == same_name(rest[0])), rest[0])
        field = getattr(model, "model_fields", {}).get(same_name(existing))
        self._put_below(inside, existing, rest[1:], value, nested_model(field.annotation) if field else None)

    def _section_model(self, name: str) -> Any:
        return RunSection if name == "run" else self.registry.sections.get(name)

    def _mapping(self, node: Node) -> dict[str, Node]:
        assert isinstance(node.value, dict)
        return node.value

    def _ambiguous(self, segment: str, addresses: list[str], rest: list[str]) -> UserError:
        ways = [".".join([address, *rest]) for address in addresses]
        return UserError(
            f"{segment!r} could mean {len(ways)} places.",
            expected="a path that means one place",
            found=" or ".join(self._describe(address) for address in addresses),
            where=self.where,
            hint="write " + " or ".join(ways),
        )

    def _describe(self, address: str) -> str:
        kind, _, position = address.partition(".")
        if not position:
            return f"the section {kind}"
        name, settings = item_parts(self._items(kind)[int(position)])
        label = given_label(settings, kind)
        called = f" called {label}" if label else ""
        return f"{'step' if kind == 'curate' else 'source'} {name}{called} ({address}, at {settings.place})"

    def _unknown(self, segments: list[str]) -> UserError:
        names = list(Recipe.model_fields)
        names += [
            n for k in ("sources", "curate") for p in range(len(self._items(k))) for n in self._names(k, p)
        ]
        last = same_name(segments[-1])
        deep = [way for way in self._ways() if len(segments) == 1 and way.rpartition(".")[2] == last]
        if len(deep) > 1:
            return UserError(
                f"{segments[0]!r} could mean {len(deep)} places.",
                expected="a path that means one place",
                found=" or ".join(deep),
                where=self.where,
                hint="write one of these paths",
            )
        hint = f"did you mean {deep[0]!r}?" if deep else did_you_mean(segments[0], names)
        if hint is None and same_name(segments[0]) in self.registry.steps:
            hint = "the step exists, but this recipe does not use it: add it under curate:"
        return UserError(
            f"The recipe has nothing called {segments[0]!r}.",
            expected="one of: " + ", ".join(dict.fromkeys(names)),
            found=self.path,
            where=self.where,
            hint=hint,
        )

    def _ways(self) -> Iterator[str]:
        """Paths of all fields that this recipe could set."""
        top = self._mapping(self.root)
        for section, model in self.registry.sections.items():
            if section in top:
                yield from _fields(section, model)
        yield from _fields("run", RunSection)
        for kind in ("sources", "curate"):
            names = [same_name(self._kind_name(kind, p)) for p in range(len(self._items(kind)))]
            for position, item in enumerate(self._items(kind)):
                alone = names.count(names[position]) == 1
                address = given_label(item_parts(item)[1], kind)
                address = address or (names[position] if alone else f"{kind}.{position}")
                yield from _fields(address, self._model(kind, position))


def item_parts(item: Node) -> tuple[str, Node]:
    """Name and settings of an item of ``sources:`` or ``curate:``, whatever its form."""
    if isinstance(item.value, str):
        return item.value, Node(None, item.place, item.place)
    if isinstance(item.value, dict) and item.value:
        name = next(iter(item.value))
        return name, item.value[name]
    return "", Node(None, item.place, item.place)


def given_label(settings: Node, kind: str) -> str | None:
    """The id that a step was given (``kind`` is ``curate``), or the label of a source."""
    key = "id" if kind == "curate" else "label"
    child = settings.value.get(key) if isinstance(settings.value, dict) else None
    return child.value if child is not None and isinstance(child.value, str) else None


def _fields(prefix: str, model: object) -> Iterator[str]:
    for name, field in getattr(model, "model_fields", {}).items():
        yield f"{prefix}.{name}"
        inner = nested_model(field.annotation)
        if inner is not None and inner is not model:
            yield from _fields(f"{prefix}.{name}", inner)
