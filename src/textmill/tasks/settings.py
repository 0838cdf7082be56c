"""Which files hold a task, and which of their fields mean what."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

from pydantic import BaseModel, Field, field_validator

from textmill.errors import UserError
from textmill.steps.settings import InputPath, Settings

FORMATS = (".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".parquet")


class TaskFiles(Settings):
    """Files with the questions and answers of one evaluation task.

    Fields are found by the names that published tasks give them (question, prompt, problem ...; choices, options,
    endings, choice0 ..., A to D; answer, label, target ...). A CSV file without a heading is read as MMLU's own
    layout: question, choices, the answer's letter (Hendrycks et al. 2021, arXiv:2009.03300).
    """

    name: ClassVar[str] = "task"
    shorthand: ClassVar[str | None] = "path"

    path: InputPath = Field(
        description="File (.jsonl, .json, .csv, .tsv, .parquet), folder of such files, or pattern."
    )
    label: str | None = Field(
        default=None,
        pattern=r"^[^\s:,;]+$",
        description="What the task is called; the name of its file or folder if left out.",
    )
    question: str | None = Field(
        default=None, description="Field with the question; found by its name if left out."
    )
    choices: list[str] | None = Field(
        default=None,
        description="Fields with the choices, or one field with a list of them; found by their names if left out.",
    )
    answer: str | None = Field(
        default=None, description="Field with the answer; found by its name if left out."
    )

    @field_validator("choices", mode="before")
    @classmethod
    def _one_is_a_list(cls, value: Any) -> Any:
        return [value] if isinstance(value, str) else value

    @property
    def task(self) -> str:
        """What the task is called."""
        if self.label is not None:
            return self.label
        path = Path(self.path)
        stem = path.name if path.is_dir() else path.stem
        return "-".join(stem.replace("*", "").replace(":", "").split()) or "task"

    def files(self) -> list[str]:
        """The task's files, sorted.

        Raises:
            UserError: there are none.
        """
        return [str(file) for file in self.found()]

    def found(self) -> list[Path]:
        """The task's files, sorted by their path below :attr:`root`."""
        path = Path(self.path)
        if path.is_dir():
            files = [file for file in path.rglob("*") if file.suffix.lower() in FORMATS and file.is_file()]
        elif path.is_file():
            files = [path]
        else:
            files = [file for file in self.root.glob(str(path.relative_to(self.root))) if file.is_file()]
        hidden = [
            file for file in files if not any(p.startswith(".") for p in file.relative_to(self.root).parts)
        ]
        if not hidden:
            raise UserError(
                f"The task {self.task} has no files.",
                expected=f"a file or a folder of files: {', '.join(FORMATS)}",
                found="an empty folder" if path.is_dir() else "nothing",
                where=self.path,
                hint="paths in a recipe are relative to the recipe's folder",
            )
        return sorted(hidden, key=lambda file: file.relative_to(self.root).as_posix())

    @property
    def root(self) -> Path:
        """The folder that the items' names begin in."""
        path = Path(self.path)
        if path.is_dir():
            return path
        folder = path.parent
        while any(mark in str(folder) for mark in "*?["):
            folder = folder.parent
        return folder


def named_tasks(settings: Any) -> list[TaskFiles]:
    """Every :class:`TaskFiles` that some settings hold, in the order of their fields.

    So a section that evaluates says by its fields alone what it examines with.
    """
    return list(_tasks_in(settings))


def _tasks_in(value: Any) -> Iterator[TaskFiles]:
    if isinstance(value, TaskFiles):
        yield value
    elif isinstance(value, BaseModel):
        for name in type(value).model_fields:
            yield from _tasks_in(getattr(value, name))
    elif isinstance(value, dict):
        for inner in value.values():
            yield from _tasks_in(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _tasks_in(inner)
