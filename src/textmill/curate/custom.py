"""The filter ``custom``: a function of the user's own."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Callable, Mapping, Sequence
from numbers import Real
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import Field, model_validator

from textmill.errors import UserError
from textmill.steps.context import StepContext
from textmill.steps.filter import Filter, FilterRunner, Scores
from textmill.steps.rules import Rule
from textmill.steps.settings import RelativeToRecipe, Settings

if TYPE_CHECKING:
    from textmill.documents import Batch


class Range(Settings):
    """Bounds of one score; a bound left out is none."""

    minimum: float | None = Field(default=None, description="Least value kept.")
    maximum: float | None = Field(default=None, description="Largest value kept.")


class Custom(Filter):
    """Keeps what a Python function of yours keeps.

    The function gets one text and returns a truth value (keep or not), a number, to be kept between
    ``minimum`` and ``maximum``, or numbers by name (a dict), each with its range in ``ranges``. With ``unit:
    batch`` it gets a list of texts and returns a list of as many such answers. It is found by import path,
    ``mypackage.rules:no_tables``, with the current folder on the path, or by file, ``rules.py:no_tables``,
    relative to the recipe's folder.

    It must be a pure function of the text. Its module's source is part of the step's fingerprint, so that an
    edited function is run again; what it imports from elsewhere is not. When it raises, the document at fault
    is failed with the reason.
    """

    name: ClassVar[str] = "custom"
    shorthand: ClassVar[str | None] = "function"

    function: Annotated[str, RelativeToRecipe(only=".py:")] = Field(
        pattern=r"^[^:]+:[A-Za-z_]\w*$",
        description="Import path or file and name: ``package.module:function``.",
    )
    unit: Literal["text", "batch"] = Field(
        default="text", description="What the function is given: one text, or a list of texts."
    )
    minimum: float | None = Field(default=None, description="Least value kept, if it returns a number.")
    maximum: float | None = Field(default=None, description="Largest value kept, if it returns a number.")
    ranges: dict[str, Range] = Field(
        default={}, description="Range of each score, if it returns several numbers by name."
    )

    @model_validator(mode="after")
    def _one_kind_of_answer(self) -> Custom:
        if self.ranges and (self.minimum is not None or self.maximum is not None):
            raise ValueError(
                "ranges is for named numbers, minimum and maximum for a single one; write either"
            )
        return self

    def code(self) -> str:
        """Source of the function's module.

        Raises:
            UserError: the module cannot be found.
        """
        return _source_file(self.function).read_text("utf-8", "replace")

    def rules(self) -> list[Rule]:
        """One rule per score: ``keep`` for a truth value, ``value`` for a number, else the names in ranges."""
        if self.ranges:
            return [Rule(name, bounds.minimum, bounds.maximum) for name, bounds in self.ranges.items()]
        if self.minimum is not None or self.maximum is not None:
            return [Rule("value", self.minimum, self.maximum)]
        return [Rule("keep", minimum=1)]

    def open(self, context: StepContext) -> FilterRunner:
        """Import the function.

        Raises:
            UserError: it does not exist, or its module cannot be imported.
        """
        return _Caller(self, _load(self.function))


class _Caller:
    def __init__(self, settings: Custom, function: Callable[[Any], Any]) -> None:
        self._settings = settings
        self._function = function
        self._names = [rule.score for rule in settings.rules()]

    def scores(self, batch: Batch) -> Scores:
        """What the function says of every document.

        Raises:
            TypeError: it returned something else than its settings announce; whatever it raises itself.
        """
        if self._settings.unit == "batch":
            answers = self._function(batch.texts)
            if isinstance(answers, str) or not isinstance(answers, Sequence | np.ndarray):
                raise TypeError(f"{self._settings.function} returned {_kind(answers)}, expected a list")
            if len(answers) != len(batch):
                raise TypeError(
                    f"{self._settings.function} returned {len(answers)} answers for {len(batch)} texts"
                )
        else:
            answers = [self._function(text) for text in batch.texts]
        table = np.empty((len(self._names), len(batch)))
        for position, answer in enumerate(answers):
            table[:, position] = self._numbers(answer)
        return dict(zip(self._names, table, strict=True))

    def _numbers(self, answer: Any) -> list[float]:
        if self._settings.ranges:
            if isinstance(answer, Mapping) and all(name in answer for name in self._names):
                return [self._number(answer[name]) for name in self._names]
            expected = f"a dict with {', '.join(self._names)}"
        elif self._names == ["keep"]:
            if isinstance(answer, bool | np.bool_):
                return [float(answer)]
            expected = "True or False (for a number, set minimum or maximum; for several, ranges)"
        else:
            return [self._number(answer)]
        raise TypeError(f"{self._settings.function} returned {_kind(answer)}, expected {expected}")

    def _number(self, value: Any) -> float:
        if not isinstance(value, Real | np.number):
            raise TypeError(f"{self._settings.function} returned {_kind(value)}, expected a number")
        return float(value)


def _kind(value: Any) -> str:
    return "None" if value is None else f"{type(value).__name__} {value!r:.60}"


def _load(path: str) -> Callable[[Any], Any]:
    module_name, _, name = path.rpartition(":")
    source = _source_file(path)
    _see_current_folder()
    try:
        if module_name.endswith(".py"):
            spec = importlib.util.spec_from_file_location(source.stem, source)
            assert spec is not None
            assert spec.loader is not None
            module = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(module)
        else:
            module = importlib.import_module(module_name)
    except Exception as error:
        raise UserError(
            f"the module of a custom function cannot be imported: {type(error).__name__}: {error}",
            where=str(source),
            hint=f"python -c 'import {source.stem}' in its folder shows where",
        ) from error
    function = getattr(module, name, None)
    if not callable(function):
        names = [key for key, value in vars(module).items() if callable(value) and not key.startswith("_")]
        raise UserError(
            f"no function {name!r} in the module of a custom step",
            where=str(source),
            found=", ".join(names[:10]) or "no function at all",
            hint="check custom.function in the recipe",
        )
    return function  # type: ignore[no-any-return]


def _source_file(path: str) -> Path:
    """The file that holds the function's module, found without importing it."""
    module_name = path.rpartition(":")[0]
    if module_name.endswith(".py"):
        file = Path(module_name).expanduser()
        if file.is_file():
            return file
        raise UserError("the file of a custom function does not exist", where=str(file.absolute()))
    _see_current_folder()
    importlib.invalidate_caches()
    try:
        spec = importlib.util.find_spec(module_name)
    except (ImportError, ValueError, AttributeError):
        spec = None
    if spec is None or not spec.origin or not Path(spec.origin).is_file():
        raise UserError(
            f"no module {module_name!r} for the custom function {path!r}",
            expected="package.module:function, importable here, or file.py:function",
            where=f"looked in {Path.cwd()} and where Python finds packages",
            hint="start textmill in the folder that holds the module, or install it",
        )
    return Path(spec.origin)


def _see_current_folder() -> None:
    """Make modules of the current folder importable, as ``python -c`` has it; a console script does not.

    Behind everything else, so that a file there cannot take the place of an installed package.
    """
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.append(here)
