"""YAML 1.2, places, and everything that can be wrong with the file itself."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from textmill.errors import UserError
from textmill.recipe.syntax import parse_yaml, read_recipe_text

HERE = Path("/somewhere")


def parse(text: str):
    return parse_yaml(text, "r.yaml", HERE)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("no", "no"),
        ("yes", "yes"),
        ("on", "on"),
        ("true", True),
        ("False", False),
        ("100_000", 100_000),
        ("0x1F", 31),
        ("0o17", 15),
        ("010", 10),
        ("-5", -5),
        ("1e-5", 1e-5),
        ("2.5", 2.5),
        ("2.5B", "2.5B"),
        (".inf", float("inf")),
        ("~", None),
        ("null", None),
        ("'12'", "12"),
        ('"no"', "no"),
        ("2026-10-01", "2026-10-01"),
        ("1:30", "1:30"),
    ],
)
def test_scalars_are_yaml_1_2(text: str, value: object) -> None:
    plain = parse(f"key: {text}").plain()["key"]
    assert plain == value
    assert type(plain) is type(value)


def test_values_and_keys_know_their_place() -> None:
    root = parse("a: 1\nb:\n  - x\n  - deep: {y: 2}\n")
    deep = root.value["b"].value[1].value["deep"]
    assert (str(deep.key_place), str(deep.place)) == ("r.yaml:4:5", "r.yaml:4:11")
    assert deep.value["y"].place.folder == HERE


def test_anchors_and_aliases_are_values() -> None:
    assert parse("a: &x [1, 2]\nb: *x\n").plain() == {"a": [1, 2], "b": [1, 2]}


BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 9)
)


@pytest.mark.parametrize(
    ("text", "where", "words"),
    [
        ("a: [1\n", "r.yaml:1:4", "never closed"),
        ("a: 'x\n", "r.yaml:1:4", "never closed"),
        ("a:\n\tb: 1\n", "r.yaml:2:1", "a tab"),
        ("a: 1\nb: 2\na: 3\n", "r.yaml:3:1", "first at r.yaml:1:1"),
        ("a: b: c\n", "r.yaml:1:5", "a second ':'"),
        ("a: 1\n b: 2\n", "r.yaml:2:3", ""),
        ("a:\n  - x\n b:\n  - y\n", "r.yaml:3:2", "'b:', indented by 1 space\n"),
        ("a:\n   - b\n  - c\n", "r.yaml:3:3", "one column"),
        ("a: 1\n---\nb: 2\n", "r.yaml:2:1", "second document"),
        ("a: !!python/name:os.system x\n", "r.yaml:1:4", "python/name"),
        ("a: !mine x\n", "r.yaml:1:4", "!mine"),
        ("a: .nan\n", "r.yaml:1:4", ".nan"),
        ("a: &x [*x]\n", "r.yaml:1:4", "unfold"),
        (BOMB, "r.yaml", "unfold"),
        ("a: *nothing\n", "r.yaml:1:4", "nothing"),
        ("{a: 1}: 2\n", "r.yaml:1:1", "braces"),
        ("b:\n  <<: {a: 1}\n", "r.yaml:2:3", "Merge keys"),
        ("a: x\x01\n", "r.yaml:1", "U+0001"),
        ("[" * 20_000, "r.yaml", ""),
    ],
)
def test_bad_syntax_is_told_with_its_place(text: str, where: str, words: str) -> None:
    with pytest.raises(UserError) as caught:
        parse(text)
    assert str(caught.value.where).startswith(where)
    assert words in str(caught.value)


@given(st.text(max_size=200))
def test_any_text_parses_or_is_a_user_error(text: str) -> None:
    # A recipe typed by a cat: nothing but a UserError may come out.
    with contextlib.suppress(UserError):
        parse(text).plain()


def test_missing_file_names_the_nearest(tmp_path: Path) -> None:
    (tmp_path / "cyber.yaml").write_text("name: x\n")
    with pytest.raises(UserError, match="no such recipe") as caught:
        read_recipe_text(tmp_path / "cybr.yaml")
    assert "cyber.yaml" in str(caught.value.hint)


def test_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        read_recipe_text(tmp_path / "nowhere" / "cyber.yaml")
    assert "does not exist" in str(caught.value.hint)


def test_a_folder_is_no_recipe(tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text("name: x\n")
    with pytest.raises(UserError, match="folder") as caught:
        read_recipe_text(tmp_path)
    assert "recipe.yaml" in str(caught.value.hint)


def test_not_utf8_tells_line_and_column(tmp_path: Path) -> None:
    path = tmp_path / "r.yaml"
    path.write_bytes("name: x\n# café\n".encode("latin-1"))
    with pytest.raises(UserError, match="UTF-8") as caught:
        read_recipe_text(path)
    assert caught.value.where == f"{path}:2:6"
    assert "0xe9" in str(caught.value.found)


def test_a_data_file_is_no_recipe(tmp_path: Path) -> None:
    path = tmp_path / "data.jsonl"
    path.write_bytes(b" " * (5 * 2**20))
    with pytest.raises(UserError, match="too large"):
        read_recipe_text(path)


def test_byte_order_mark_is_no_mistake(tmp_path: Path) -> None:
    path = tmp_path / "r.yaml"
    path.write_bytes(b"\xef\xbb\xbfname: x\r\n")
    assert parse(read_recipe_text(path)).plain() == {"name": "x"}
