"""Steps and sources of the user's own, named by import path: loading, mistakes, overrides, dump, workers."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from textmill.errors import UserError
from textmill.pipeline.settings_codec import decode, encode
from textmill.recipe import Recipe, dump_recipe, json_schema, load_recipe
from textmill.steps.settings import StepSettings

RULES = '''
from pydantic import Field
from textmill.steps import Filter, Rule, SourceSettings


class NoTables(Filter):
    """Drops tables."""

    max: int = Field(default=2, ge=0, description="Most bars.")

    def rules(self):
        return [Rule("bars", maximum=self.max)]

    def open(self, context):
        return self

    def scores(self, batch):
        return {"bars": [text.count("|") for text in batch.texts]}


class Named(NoTables):
    name = "bars"
    shorthand = "max"


class BadlyNamed(NoTables):
    name = "a.b"


class Pages(SourceSettings):
    path: str


def function(text):
    return True


value = 3
'''


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A recipe's folder that holds rules.py and a package, whose name no other test has imported."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "rules.py").write_text(RULES)
    (tmp_path / package(tmp_path)).mkdir()
    (tmp_path / package(tmp_path) / "__init__.py").write_text("")
    (tmp_path / package(tmp_path) / "rules.py").write_text(RULES)
    return tmp_path


def package(folder: Path) -> str:
    return f"package_{abs(hash(folder)) % 10**9}"


def load(folder: Path, items: str, *overrides: str, section: str = "curate") -> Recipe:
    sources = "sources: [files: /data]\n" if section == "curate" else ""
    path = folder / "r.yaml"
    path.write_text(f"name: x\n{sources}{section}: {items.replace('PACKAGE', package(folder))}\n")
    return load_recipe(path, list(overrides))


def mistake(folder: Path, items: str, *overrides: str, section: str = "curate") -> str:
    with pytest.raises(UserError) as caught:
        load(folder, items, *overrides, section=section)
    text = str(caught.value)
    assert len(text.splitlines()) <= 12
    return text


@pytest.mark.parametrize("module", ["rules.py", "PACKAGE.rules"])
def test_a_step_by_file_or_module(folder: Path, module: str) -> None:
    recipe = load(folder, f'["{module}:NoTables", {{"{module}:NoTables": {{max: 3, id: wide}}}}]')
    assert [step.step_id for step in recipe.curate] == ["no_tables", "wide"]
    assert [step.max for step in recipe.curate] == [2, 3]  # type: ignore[attr-defined]
    again = load_recipe(dump_recipe(recipe))
    assert again == recipe
    assert dump_recipe(again) == dump_recipe(recipe)


def test_a_name_and_a_shorthand_of_its_own(folder: Path) -> None:
    (step,) = load(folder, '[{"rules.py:Named": 7}]').curate
    assert (step.step_id, step.max) == ("bars", 7)  # type: ignore[attr-defined]


def test_a_source_of_ones_own(folder: Path) -> None:
    recipe = load(folder, '[{"rules.py:Pages": {path: a}}]', "pages.path=b", section="sources")
    assert (recipe.sources[0].source_name, recipe.sources[0].path) == ("pages", "b")  # type: ignore[attr-defined]
    assert load_recipe(dump_recipe(recipe)) == recipe


def test_overrides_go_by_the_name_of_the_class(
    folder: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    # From another folder: the path stays relative to the recipe.
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    for items in ('["rules.py:NoTables"]', '[{"rules.py:NoTables": {max: 1}}]', "[PACKAGE.rules:NoTables]"):
        for path in ("no_tables.max=5", "no-tables.max=5", "curate.0.max=5", "no_tables={max: 5}"):
            (step,) = load(folder, items, path).curate
            assert step.max == 5  # type: ignore[attr-defined]
    assert "did you mean 'no_tables.max'?" in mistake(folder, '["rules.py:NoTables"]', "max=3")


def test_mistakes_in_its_settings_are_told_as_for_any_step(folder: Path) -> None:
    text = mistake(folder, '[{"rules.py:NoTables": {max: -1}}]')
    assert "no_tables.max cannot be the number -1" in text
    assert "a whole number, 0 or more (Most bars)" in text
    assert "r.yaml:3:" in text
    assert "did you mean 'max'?" in mistake(folder, '[{"rules.py:NoTables": {maxx: 1}}]')
    assert "Two steps are called 'no_tables'" in mistake(folder, '["rules.py:NoTables", "rules.py:NoTables"]')


@pytest.mark.parametrize(
    ("items", "words"),
    [
        ('["nowhere.py:X"]', ["nowhere.py", "cannot be read", "rules.py", "r.yaml:3:10"]),
        ("[no_such_package.rules:X]", ["There is no module 'no_such_package'", "beside the recipe"]),
        ("[PACKAGE.nothing:X]", ["There is no module 'PACKAGE.nothing'"]),
        ('["rules.py:NoTable"]', ["has no class 'NoTable'", "one of: NoTables, Named, BadlyNamed"]),
        ('["rules.py:function"]', ["function is no step", "type function", "custom: {function:"]),
        ('["rules.py:value"]', ["value is no step", "type int"]),
        ('["rules.py:Pages"]', ["Pages is no step", "Filter, Transform or GlobalStep"]),
        ('["rules.py:Filter"]', ["Filter is no step"]),
        ('["rules.py:BadlyNamed"]', ["cannot be called 'a.b'"]),
        ('["rules.py:"]', ["no import path"]),
        ('[":X"]', ["no import path"]),
        ("[zzzzzz]", ["package.module:Class or file.py:Class"]),
    ],
)  # fmt: skip
def test_mistakes(folder: Path, items: str, words: list[str]) -> None:
    text = mistake(folder, items)
    for word in words:
        assert word.replace("PACKAGE", package(folder)) in text


def test_a_module_that_another_hides(folder: Path) -> None:
    (folder / "json.py").write_text(RULES)
    text = mistake(folder, "[json:NoTables]")
    assert "two modules called 'json'" in text
    assert "json.py:NoTables" in text
    assert load(folder, '["json.py:NoTables"]').curate[0].name == "no_tables"


def test_a_step_is_no_source(folder: Path) -> None:
    text = mistake(folder, '["rules.py:NoTables"]', section="sources")
    assert "NoTables is no source" in text
    assert "SourceSettings" in text


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("x = 1\ny = 1 / 0\n", ["raised ZeroDivisionError", "broken.py:2", "y = 1 / 0"]),
        ("x = 1\nif x\n", ["raised SyntaxError", "broken.py:2", "if x"]),
        ("import not_installed_anywhere\n", ["raised ModuleNotFoundError", "not_installed_anywhere", "py:1"]),
        ("raise SystemExit(3)\n", ["raised SystemExit", "broken.py:1"]),
        ("def f():\n    raise KeyError('k')\nf()\n", ["raised KeyError", "broken.py:2"]),
    ],
)
@pytest.mark.parametrize("way", ["broken.py:X", "PACKAGE.broken:X"])
def test_what_a_module_raises_is_told_with_its_line(
    folder: Path, code: str, words: list[str], way: str
) -> None:
    (folder / "broken.py").write_text(code)
    (folder / package(folder) / "broken.py").write_text(code)
    text = mistake(folder, f'["{way}"]')
    for word in words:
        assert word in text


def test_the_source_is_part_of_the_fingerprint(folder: Path) -> None:
    before = load(folder, '["rules.py:NoTables"]').curate[0].fingerprint()
    assert load(folder, '["rules.py:NoTables"]').curate[0].fingerprint() == before
    (folder / "rules.py").write_text(RULES.replace('count("|")', 'count("-")'))
    assert load(folder, '["rules.py:NoTables"]').curate[0].fingerprint() != before


def test_a_fingerprint_does_not_hang_on_the_folder(folder: Path) -> None:
    elsewhere = folder / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "rules.py").write_text(RULES)
    here = load(folder, '["rules.py:NoTables"]').curate[0]
    there = load(folder, '["elsewhere/rules.py:NoTables"]').curate[0]
    assert type(here) is not type(there)
    assert here.fingerprint() == there.fingerprint()


def test_workers_get_the_same_class(folder: Path) -> None:
    (step,) = load(folder, '[{"rules.py:NoTables": {max: 4}}]').curate
    encoded = encode(step)
    assert decode(encoded, StepSettings) == step
    (folder / "rules.py").write_text(RULES + "\n# edited\n")
    with pytest.raises(UserError, match="edited while the run"):
        decode(encoded, StepSettings)


def test_a_class_that_no_worker_can_find_is_told() -> None:
    with pytest.raises(UserError, match="cannot find the class Hidden"):
        decode({"class": "json:Hidden", "values": {}}, StepSettings)


def test_the_schema_allows_import_paths() -> None:
    jsonschema = pytest.importorskip("jsonschema")
    validator = jsonschema.Draft202012Validator(json_schema())
    for item, valid in (
        ("a.b:C", True),
        ({"dir/a b.py:C": {"x": 1}}, True),
        ({"C:/x/rules.py:C": 3}, True),
        ("a.b:", False),
        (":C", False),
        ({"a.b:C": {}, "a.b:D": {}}, False),
    ):
        assert validator.is_valid({"name": "x", "curate": [item]}) == valid, item
