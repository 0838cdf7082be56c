"""From a recipe file (or text, or a mapping) and overrides to a :class:`Recipe`.

All mistakes of a recipe are told at once, each with its place.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar, cast

from pydantic import ValidationError

from textmill.errors import UserError
from textmill.recipe.kinds import imported_kind, is_import_path, kind_of
from textmill.recipe.mistakes import RecipeError, did_you_mean, same_name, value_in_words
from textmill.recipe.model import NAME_PATTERN, STAGE_SECTIONS, Recipe, Registry, RunSection, default_registry
from textmill.recipe.overrides import Override, apply_overrides
from textmill.recipe.syntax import Node, Place, node_of, parse_yaml, read_recipe_text
from textmill.recipe.validation import build_settings
from textmill.steps.settings import Settings
from textmill.tasks import named_tasks

Item = TypeVar("Item", bound=Settings)


def load_recipe(
    path_or_text: str | Path | Mapping[str, Any],
    overrides: Sequence[str | Override] = (),
    *,
    registry: Registry | None = None,
    origin: str | None = None,
    folder: Path | None = None,
) -> Recipe:
    """Load a recipe.

    Args:
        path_or_text: a file; or YAML text (anything with a line break); or a mapping as YAML would give it.
        overrides: ``near_dedup.threshold=0.85`` and the like, applied in order.
        registry: what a recipe can hold; everything the mill has, if left out.
        origin: what error messages call the recipe; its path if left out.
        folder: what relative paths in it are relative to; the file's folder, or the current one.

    Raises:
        UserError: the file cannot be read or is no YAML, or a :class:`RecipeError` with all its mistakes.
    """
    registry = registry or default_registry()
    root, origin, default_name = _read(path_or_text, origin, folder)
    if root.value is None:
        raise UserError(
            "The recipe is empty.", expected="a mapping with a name and sources", where=origin,
            hint="to make a recipe for your data: textmill init FOLDER",
        )  # fmt: skip
    if not isinstance(root.value, dict):
        raise UserError(
            "A recipe is a mapping of sections.",
            expected="name: ..., sources: ..., curate: ...",
            found=value_in_words(root.plain()),
            where=root.place.where,
            hint="each section starts at the left margin, as 'name:' followed by its content",
        )
    root = _canonical_sections(root, registry)
    apply_overrides(root, overrides, registry)
    return _Assembly(root, registry, origin, default_name).recipe()


def _read(
    path_or_text: str | Path | Mapping[str, Any], origin: str | None, folder: Path | None
) -> tuple[Node, str, str]:
    """The tree, its name in messages, and the run's name where the recipe gives none."""
    if isinstance(path_or_text, Mapping):
        origin = origin or "recipe"
        return node_of(path_or_text, Place(origin, folder or Path.cwd())), origin, "recipe"
    if isinstance(path_or_text, str) and "\n" in path_or_text:
        origin = origin or "recipe"
        return parse_yaml(path_or_text, origin, folder or Path.cwd()), origin, "recipe"
    path = Path(path_or_text)
    origin = origin or str(path)
    stem = re.sub(r"[^A-Za-z0-9_.-]+", "-", path.stem).strip("-._") or "recipe"
    return parse_yaml(read_recipe_text(path), origin, folder or path.absolute().parent), origin, stem


def _canonical_sections(root: Node, registry: Registry) -> Node:
    """The root with its own copy of the mapping, so that overrides change no tree of the caller's."""
    assert isinstance(root.value, dict)
    sections = {}
    for key, child in root.value.items():
        sections[same_name(key) if same_name(key) in Recipe.model_fields else key] = child
    return Node(sections, root.place, root.key_place)


class _Assembly:
    """Builds the parts of a recipe and gathers their mistakes."""

    def __init__(self, root: Node, registry: Registry, origin: str, default_name: str) -> None:
        assert isinstance(root.value, dict)
        self.root = root
        self.sections: dict[str, Node] = root.value
        self.registry = registry
        self.origin = origin
        self.default_name = default_name
        self.mistakes: list[UserError] = []

    def recipe(self) -> Recipe:
        self.check_section_names()
        fields: dict[str, Any] = {"name": self.name()}
        if "seed" in self.sections:
            fields["seed"] = self.seed()
        fields["sources"] = self.items("sources", self.registry.sources, "source")
        fields["curate"] = self.items("curate", self.registry.steps, "step")
        self.check_distinct("sources", "source", "label")
        self.check_distinct("curate", "step", "id")
        for name in STAGE_SECTIONS:
            node = self.sections.get(name)
            if node is not None and node.value is not None and name in self.registry.sections:
                fields[name] = build_settings(self.registry.sections[name], node, name, self.mistakes)
        run = self.sections.get("run", Node({}, self.root.place))
        fields["run"] = build_settings(RunSection, run, "run", self.mistakes)
        if not self.mistakes:
            fields["curate"] = tuple(
                self.with_tasks(step, fields.get("evaluate")) for step in fields["curate"]
            )
            self.check_needs(fields)
        if self.mistakes:
            raise RecipeError(self.origin, self.mistakes)
        try:
            return Recipe(**fields)
        except ValidationError as error:  # pragma: no cover - each part was judged above
            raise UserError(str(error), where=self.origin) from None

    def check_section_names(self) -> None:
        names = ["name", "seed", "sources", "curate", *self.registry.sections, "run"]
        for key, node in self.sections.items():
            if key in names:
                continue
            hint = did_you_mean(key, names)
            if same_name(key) in self.registry.steps:
                hint = f"{key} is a step: write it as an item of the list under curate:"
            elif same_name(key) in self.registry.sources:
                hint = f"{key} is a kind of source: write it as an item of the list under sources:"
            self.mistake(
                f"A recipe has no section {key!r}.",
                expected="one of: " + ", ".join(names),
                found=key,
                where=(node.key_place or node.place).where,
                hint=hint,
            )

    def name(self) -> str:
        node = self.sections.get("name")
        if node is None or node.value is None:
            return self.default_name
        if isinstance(node.value, str) and re.fullmatch(NAME_PATTERN, node.value) and len(node.value) <= 100:
            return node.value
        self.mistake(
            f"The name cannot be {value_in_words(node.plain())}.",
            expected="letters, digits, dots, dashes and underscores, beginning with a letter or digit",
            found=value_in_words(node.plain()),
            where=node.place.where,
            hint="put quotes around a name that looks like a number"
            if not isinstance(node.value, str)
            else "the run's folder is named after it",
        )
        return self.default_name

    def seed(self) -> int:
        node = self.sections["seed"]
        if isinstance(node.value, int) and not isinstance(node.value, bool) and 0 <= node.value < 2**63:
            return node.value
        self.mistake(
            f"The seed cannot be {value_in_words(node.plain())}.",
            expected="a whole number from 0 to 2^63 - 1",
            found=value_in_words(node.plain()),
            where=node.place.where,
        )
        return 0

    def items(self, section: str, registry: Mapping[str, type[Item]], kind: str) -> tuple[Item, ...]:
        node = self.sections.get(section)
        if node is None or node.value is None:
            return ()
        if not isinstance(node.value, list):
            self.mistake(
                f"{section} must be a list.",
                expected=f"one {kind} per line, each after a dash: '- {next(iter(registry), kind)}'",
                found=value_in_words(node.plain()),
                where=node.place.where,
                hint="the order is yours, so it is a list",
            )
            return ()
        built = [self.item(item, registry, kind) for item in node.value]
        return tuple(item for item in built if item is not None)

    def item(self, node: Node, registry: Mapping[str, type[Item]], kind: str) -> Item | None:
        value = node.value
        if isinstance(value, dict) and len(value) == 1:
            written, settings = next(iter(value.items()))
        elif isinstance(value, str):
            written, settings = value, Node({}, node.place, node.place)
        elif isinstance(value, dict) and value:
            self.misindented(value, registry, kind)
            return None
        else:
            self.mistake(
                f"This is no {kind}.",
                expected=f"the name of a {kind}, alone or with settings: '- name' or '- name: {{field: value}}'",
                found=value_in_words(node.plain()),
                where=node.place.where,
            )
            return None
        if is_import_path(written):
            own: Item | None = self.own_item(written, node, settings, kind)
            return own
        name = written if written in registry else same_name(written)
        if name not in registry:
            hint = did_you_mean(written, registry)
            if name in self.registry.sections:
                hint = f"{name} is a section: write '{name}:' at the left margin"
            elif kind == "step" and name in self.registry.sources:
                hint = f"{name} is a kind of source: it belongs under sources:"
            elif kind == "source" and name in self.registry.steps:
                hint = f"{name} is a step: it belongs under curate:"
            self.mistake(
                f"There is no {kind} {written!r}.",
                expected="one of: " + ", ".join(sorted(registry)),
                found=written,
                where=(settings.key_place or node.place).where,
                hint=hint
                or f"a {kind} of your own is written by import path: package.module:Class or file.py:Class",
            )
            return None
        model = registry[name]
        plain = settings.plain()
        if isinstance(plain, Mapping):
            model = cast("type[Item]", model.variant(plain))
        return build_settings(model, settings, written, self.mistakes)

    def own_item(self, written: str, node: Node, settings: Node, kind: str) -> Any:
        """A step or source of the user's own, named by import path."""
        place = settings.key_place or settings.place
        try:
            section = "sources" if kind == "source" else "curate"
            model = imported_kind(section, written, node.place.folder)
        except UserError as error:
            inner = f"{error.found} (at {error.where})" if error.found and error.where else error.found
            self.mistake(
                error.message,
                expected=error.expected,
                found=inner or error.where,
                where=place.where,
                hint=error.hint,
            )
            return None
        return build_settings(model, settings, model.name, self.mistakes)

    def misindented(self, value: dict[str, Node], registry: Mapping[str, Any], kind: str) -> None:
        first, *others = value
        hint = f"one {kind} per dash"
        if same_name(first) in registry and value[first].value is None:
            fields = registry[same_name(first)].model_fields
            if any(same_name(other) in fields for other in others):
                hint = f"indent {', '.join(others)} by two more spaces, so that they lie below {first}"
        self.mistake(
            f"One item holds {len(value)} names: {', '.join(value)}.",
            expected=f"one {kind} per item",
            found=", ".join(value),
            where=(value[others[0]].key_place or value[others[0]].place).where,
            hint=hint,
        )

    def check_distinct(self, section: str, kind: str, field: str) -> None:
        """Ids of steps and labels of sources name one thing each: ledger, scores and ids hang on them."""
        node = self.sections.get(section)
        if node is None or not isinstance(node.value, list):
            return
        seen: dict[str, Node] = {}
        for item in node.value:
            called = _called(item, section, field, self.registry)
            if called is None:
                continue
            if called in seen:
                first = seen[called].place.where
                self.mistake(
                    f"Two {kind}s are called {called!r}.",
                    expected=f"a {kind} used twice takes {'an' if field == 'id' else 'a'} {field} of its own",
                    found=f"first at {first}, again here",
                    where=item.place.where,
                    hint=f"give this one a name: {field}: {called}_2",
                )
            else:
                seen[called] = item

    def with_tasks(self, step: Any, evaluate: Any) -> Any:
        """A step that takes evaluation tasks and names none gets those that the model will be measured on."""
        if "tasks" not in type(step).model_fields or step.tasks:
            return step
        tasks = named_tasks(evaluate)
        if not tasks:
            node = self.sections["curate"]
            self.mistake(
                f"{step.step_id} has no tasks.",
                expected="files with evaluation questions",
                found="none in the step, and none in the section evaluate",
                where=(node.key_place or node.place).where,
                hint=f"write {step.name}: {{tasks: [mmlu/, gsm8k.jsonl]}}",
            )
            return step
        return type(step).model_validate({**dict(step), "tasks": tasks})

    def check_needs(self, fields: Mapping[str, Any]) -> None:
        if fields["curate"] and not fields["sources"]:
            self.missing("curate", "sources", "documents to work on: sources")
        for name in STAGE_SECTIONS:
            section = fields.get(name)
            for need in section.needs if section is not None else ():
                if need == "documents" and not fields["sources"]:
                    self.missing(name, "sources", "documents to work on: sources")
                elif need in STAGE_SECTIONS and fields.get(need) is None:
                    self.missing(name, need, f"the section {need}")
        if not self.mistakes and not fields["sources"] and not any(map(fields.get, STAGE_SECTIONS)):
            self.mistake(
                "The recipe has nothing to do.",
                expected="sources: with at least one source",
                where=self.origin,
                hint="to make a recipe for your data: textmill init FOLDER",
            )

    def missing(self, section: str, need: str, what: str) -> None:
        node = self.sections[section]
        self.mistake(
            f"The section {section} needs {what}.",
            expected=f"a section {need}",
            found=f"no {need}" if need not in self.sections else f"an empty {need}",
            where=(node.key_place or node.place).where,
            hint=f"add '{need}:' to the recipe, or take '{section}:' out",
        )

    def mistake(self, message: str, **details: str | None) -> None:
        self.mistakes.append(UserError(message, **details))


def _called(item: Node, section: str, field: str, registry: Registry) -> str | None:
    if isinstance(item.value, str):
        kind = kind_of(section, item.value, item, registry)
        return kind.name if kind is not None else None
    if not isinstance(item.value, dict) or len(item.value) != 1:
        return None
    name, settings = next(iter(item.value.items()))
    kind = kind_of(section, name, item, registry)
    if kind is None:
        return None
    given = settings.value.get(field) if isinstance(settings.value, dict) else None
    return given.value if given is not None and isinstance(given.value, str) else kind.name
