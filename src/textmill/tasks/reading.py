"""Items of a task, one after another, from any of the usual files."""

from __future__ import annotations

import ast
import csv
import json
import string
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from textmill.errors import UserError
from textmill.tasks.settings import FORMATS, TaskFiles

# Names that published tasks use, the surest first. Names are compared in lower case, without "-", "_" and spaces.
QUESTIONS = (
    "question",
    "prompt",
    "problem",
    "query",
    "instruction",
    "goal",
    "ctx",
    "sentence",
    "input",
    "text",
)
CHOICE_LISTS = ("choices", "options", "endings", "candidates", "mc1targets")
CHOICE_FIELDS = (
    tuple(f"choice{n}" for n in range(10)),
    tuple(f"choice{letter}" for letter in "abcdefghij"),
    tuple(f"option{n}" for n in range(1, 10)),
    tuple(f"option{letter}" for letter in "abcdefghij"),
    tuple(f"sol{n}" for n in range(1, 5)),
    tuple(f"ending{n}" for n in range(10)),
    ("a", "b", "c", "d", "e", "f"),
    ("correctanswer", "distractor1", "distractor2", "distractor3"),
    ("bestanswer", "correctanswers", "incorrectanswers"),
)
ANSWERS = ("answer", "answerkey", "answers", "label", "target", "gold", "correctanswer", "correct", "solution",
           "output", "completion", "answeridx")  # fmt: skip


@dataclass(frozen=True)
class TaskItem:
    """One item of a task.

    Attributes:
        file: the file below the task's folder, with slashes.
        number: the record in its file, counted from 1, a heading not counted.
        question: what is asked.
        choices: what may be chosen; empty where the answer is free.
        answer: position among the choices, counted from 0; None where it is free or unknown.
        free_answer: the answer in words, where it is none of the choices.
    """

    file: str
    number: int
    question: str
    choices: tuple[str, ...] = ()
    answer: int | None = None
    free_answer: str = ""

    @property
    def name(self) -> str:
        """``test/anatomy_test.csv:17``."""
        return f"{self.file}:{self.number}"

    @property
    def answer_text(self) -> str:
        """The right answer in words; empty where the file does not tell."""
        return self.free_answer if self.answer is None else self.choices[self.answer]


def read_items(task: TaskFiles) -> Iterator[TaskItem]:
    """The items of a task, file after file in the order of their paths.

    Raises:
        UserError: there are no files, one cannot be read, or its fields are not recognised.
    """
    for file in task.found():
        yield from _items_of(task, file)


def _items_of(task: TaskFiles, file: Path) -> Iterator[TaskItem]:
    name = file.relative_to(task.root).as_posix()
    number = 0
    try:
        for number, record in enumerate(_records(file), 1):
            yield _item(task, name, number, record, str(file))
    except (OSError, ValueError) as error:
        if isinstance(error, UserError):
            raise
        raise UserError(
            f"A file of the task {task.task} cannot be read.",
            expected=f"one of {', '.join(FORMATS)}, in UTF-8",
            found=str(error) or type(error).__name__,
            where=f"{file}, after record {number}",
        ) from error
    if not number:
        raise UserError(
            f"A file of the task {task.task} is empty.", expected="one record per item", where=str(file)
        )


def _records(file: Path) -> Iterator[Mapping[str, Any]]:
    suffix = file.suffix.lower()
    if suffix in (".jsonl", ".ndjson"):
        with file.open(encoding="utf-8-sig") as lines:
            for line in lines:
                if line.strip():
                    yield _mapping(json.loads(line))
    elif suffix == ".json":
        yield from _json_records(json.loads(file.read_text("utf-8-sig")))
    elif suffix in (".csv", ".tsv"):
        yield from _csv_records(file, "\t" if suffix == ".tsv" else ",")
    elif suffix == ".parquet":
        import pyarrow.parquet as pq

        with pq.ParquetFile(file) as parquet:
            for batch in parquet.iter_batches(1024):
                yield from batch.to_pylist()
    else:
        raise ValueError(f"no reader for {suffix or 'a file without an ending'}")


def _mapping(value: Any) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"a record is {type(value).__name__}, not an object with fields")
    return value


def _json_records(value: Any) -> Iterator[Mapping[str, Any]]:
    """A list of records; an object that holds one (lm-eval's and SQuAD's ``data``); or columns of equal length."""
    if isinstance(value, dict):
        lists = {key: inner for key, inner in value.items() if isinstance(inner, list)}
        if len(lists) == len(value) > 1 and len({len(inner) for inner in lists.values()}) == 1:
            value = [dict(zip(lists, row, strict=True)) for row in zip(*lists.values(), strict=True)]
        else:
            nested = [inner for inner in lists.values() if inner and isinstance(inner[0], dict)]
            value = nested[0] if len(nested) == 1 else [value]
    if not isinstance(value, list):
        raise ValueError("expected a list of records")
    for record in value:
        yield _mapping(record)


def _csv_records(file: Path, separator: str) -> Iterator[Mapping[str, Any]]:
    # Every cell stays text: "None" and "N/A" are answers of MMLU.
    with file.open(encoding="utf-8-sig", newline="") as stream:
        rows = (row for row in csv.reader(stream, delimiter=separator, strict=True) if row)
        first = next(rows, None)
        if first is None:
            return
        if _is_heading(first):
            names = first
        else:
            names = _mmlu_names(first)
            yield dict(zip(names, first, strict=True))
        for row in rows:
            if len(row) != len(names):
                raise ValueError(f"a row has {len(row)} columns, the first has {len(names)}")
            yield dict(zip(names, row, strict=True))


def _is_heading(row: Sequence[str]) -> bool:
    named = {_plain(cell) for cell in row}
    known = {
        *QUESTIONS,
        *CHOICE_LISTS,
        *ANSWERS,
        *(name for names in CHOICE_FIELDS for name in names if len(name) > 1),
    }
    return len(named & known) >= (2 if len(row) > 2 else 1) and bool(named & set(QUESTIONS))


def _mmlu_names(row: Sequence[str]) -> list[str]:
    """Names for the columns of MMLU's original layout."""
    letters = string.ascii_uppercase[: len(row) - 2]
    if len(row) < 4 or row[-1].strip() not in letters:
        raise ValueError(
            f"the columns have no names, and {len(row)} columns ending in {row[-1]!r:.40} are not question, "
            "choices, letter of the answer; give them a heading"
        )
    return ["question", *letters, "answer"]


def _item(task: TaskFiles, file: str, number: int, record: Mapping[str, Any], where: str) -> TaskItem:
    fields = {_plain(name): name for name in record}
    asked = _field(task.question, "question", QUESTIONS, fields, record, where)
    question = record[asked]
    if isinstance(question, Mapping):  # {"stem": ..., "choices": [...]}, as ARC's own files have it
        record = {**record, **question}
        fields = {_plain(name): name for name in record}
        question = question.get("stem") or question.get("text") or ""
    choices = _choices(task.choices, fields, record, asked, where)
    key = None
    if task.answer is not None or any(name in fields for name in ANSWERS):
        key = _field(task.answer, "answer", ANSWERS, fields, record, where)
    answer, free = (None, "") if key is None or key == asked else _answer(record, key, choices)
    return TaskItem(file, number, _text(question), tuple(text for _, text in choices), answer, free)


def _field(
    given: str | None,
    what: str,
    known: Sequence[str],
    fields: Mapping[str, str],
    record: Mapping[str, Any],
    where: str,
) -> str:
    if given is not None:
        if given in record:
            return given
        found = fields.get(_plain(given))
    else:
        found = next((fields[name] for name in known if name in fields), None)
    if found is None:
        raise UserError(
            f"A task has no field {given!r}."
            if given
            else f"The {what} of a task's items is not recognised.",
            expected=given or f"a field called {', '.join(known[:6])} or the like",
            found=", ".join(map(str, record)) or "no field",
            where=where,
            hint=f"name it in the recipe: {{path: ..., {what}: FIELD}}",
        )
    return found


def _choices(
    given: Sequence[str] | None,
    fields: Mapping[str, str],
    record: Mapping[str, Any],
    asked: str,
    where: str,
) -> list[tuple[str, str]]:
    """Label and text of every choice."""
    if given is not None:
        names = [_field(name, "choices", (), fields, record, where) for name in given]
    else:
        listed = [fields[name] for name in CHOICE_LISTS if name in fields]
        sets = ([fields[name] for name in names if name in fields] for names in CHOICE_FIELDS)
        names = listed[:1] or next((found for found in sets if len(found) > 1 and asked not in found), [])
    if len(names) == 1:
        return _listed(record[names[0]])
    return [(name, text) for name in names for _, text in _listed(record[name])]


def _listed(value: Any) -> list[tuple[str, str]]:
    """Labels and texts of a list of choices, in the forms that files have them in."""
    if isinstance(value, str) and value[:1] in "[{":
        value = _literal(value)
    if isinstance(value, Mapping):
        texts = value.get("text", value.get("choices"))
        if isinstance(texts, list):
            labels = value.get("label") or value.get("labels") or range(len(texts))
            return [(str(label), _text(text)) for label, text in zip(labels, texts, strict=False)]
        return [(str(label), _text(text)) for label, text in value.items()]
    if isinstance(value, list):
        found = []
        for place, one in enumerate(value):
            if isinstance(one, Mapping):
                found.append((str(one.get("label", place)), _text(one.get("text", ""))))
            else:
                found.append((str(place), _text(one)))
        return found
    return [] if value is None else [("", _text(value))]


def _literal(text: str) -> Any:
    """A list that a CSV file holds as text: JSON's or Python's."""
    for read in (json.loads, ast.literal_eval):
        try:
            return read(text)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            continue
    return text


def _answer(
    record: Mapping[str, Any], key: str, choices: Sequence[tuple[str, str]]
) -> tuple[int | None, str]:
    """Position among the choices, or the answer in words."""
    value = record[key]
    if isinstance(value, Mapping):  # SQuAD: {"text": [...], "answer_start": [...]}
        value = value.get("text") or value.get("value") or ""
    if isinstance(value, list):
        value = value[0] if value else ""
    text = _text(value)
    if not choices:
        return None, text
    labels = [label.strip().lower() for label, _ in choices]
    wanted = text.strip().lower()
    if wanted in labels:
        return labels.index(wanted), ""
    if wanted.isdigit():
        # The choices' own numbers, whether they begin with 0 (choice0) or with 1 (option1).
        numbers = [label[len(label.rstrip(string.digits)) :] for label in labels]
        if wanted in numbers:
            return numbers.index(wanted), ""
    for position, (_, choice) in enumerate(choices):
        if choice == text:
            return position, ""
    if len(wanted) == 1 and wanted in string.ascii_lowercase[: len(choices)]:
        return string.ascii_lowercase.index(wanted), ""
    if wanted.isdigit() and int(wanted) < len(choices):
        return int(wanted), ""
    return None, "" if len(wanted) <= 1 else text


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        # Halves of surrogate pairs cannot be written as UTF-8; JSON's escapes can hold them.
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, list):
        return " ".join(_text(one) for one in value)
    return str(value)


def _plain(name: Any) -> str:
    return str(name).strip().lower().replace("_", "").replace("-", "").replace(" ", "")
