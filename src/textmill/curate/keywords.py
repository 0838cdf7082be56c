"""Keywords: the filter ``keywords`` for documents, the transform ``keyword_lines`` for their lines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol

import numpy as np
import numpy.typing as npt
from pydantic import Field, field_validator, model_validator

from textmill.curate.word_lists import existing_file, read_list
from textmill.errors import UserError
from textmill.steps.context import StepContext
from textmill.steps.filter import Filter, FilterRunner, Scores
from textmill.steps.rules import Rule
from textmill.steps.settings import InputPath, Settings, StepSettings
from textmill.steps.transform import Edit, Transform, TransformRunner

if TYPE_CHECKING:
    import pyarrow as pa

    from textmill.documents import Batch
    from textmill.text.keywords import Automaton

Require = int | Literal["any", "all", "none"]
"""How many different keywords are asked for."""


class _KeywordList(StepSettings):
    """What both steps are told about keywords."""

    shorthand: ClassVar[str | None] = "file"

    file: InputPath | None = Field(
        default=None, description="File with one keyword per line (UTF-8); blank lines do not count."
    )
    words: list[str] = Field(default=[], description="Keywords, beside those of the file.")
    kind: Literal["words", "patterns"] = Field(
        default="words", description="Whether keywords are plain text or regular expressions (RE2's syntax)."
    )
    ignore_case: bool = Field(default=True, description="Whether ``Table`` is found by ``table``.")
    whole_words: bool = Field(
        default=True,
        description="Whether ``able`` must not be found in ``table``. Patterns say so themselves (``\\b``).",
    )
    require: Require = Field(
        default="any",
        description="How many different keywords must be there: ``any`` (1), ``all``, ``none``, or a number.",
    )

    @field_validator("words", mode="before")
    @classmethod
    def _one_is_a_list(cls, value: Any) -> Any:
        return [value] if isinstance(value, str) else value

    @model_validator(mode="after")
    def _some_keywords(self) -> _KeywordList:
        if self.file is None and not any(word.strip() for word in self.words):
            raise ValueError("no keywords: name a file with one per line, or write words: [one, another]")
        if isinstance(self.require, int) and self.require < 1:
            raise ValueError("require must be 1 or more; to drop what holds a keyword, write require: none")
        return self

    def files(self) -> list[str]:
        """The keyword file decides results.

        Raises:
            UserError: it does not exist.
        """
        return [] if self.file is None else [str(existing_file(self.file, f"{self.step_id}.file"))]

    def finder(self) -> _Finder:
        """What finds these keywords.

        Raises:
            UserError: the file cannot be read or holds no keyword, or a pattern is none.
        """
        keywords = self._keywords()
        return _Patterns(keywords, self) if self.kind == "patterns" else _Words(keywords, self)

    def _keywords(self) -> list[str]:
        keywords = [word.strip() for word in self.words]
        if self.file is not None:
            keywords += read_list(self.file, f"{self.step_id}.file")
        keywords = list(dict.fromkeys(filter(None, keywords)))
        if not keywords:
            raise UserError("the keyword file holds no keyword", where=self.file or "")
        return keywords

    def bounds(self, keywords: int) -> tuple[int, int | None]:
        """Least and most different keywords that are asked for."""
        if self.require == "none":
            return 0, 0
        if self.require == "any":
            return 1, None
        return keywords if self.require == "all" else self.require, None


class Keywords(Filter, _KeywordList):
    """Keeps documents that hold keywords, or, with ``require: none``, those that hold none.

    Thousands of words are looked for at once (Aho and Corasick, 1975), thousands of regular expressions by RE2.
    A word of several parts is found as it is written, with one space in between; writing it in capitals or not
    makes no difference unless ``ignore_case`` is turned off. In scripts written without spaces every place is a
    word boundary.

    A course's filter for a crawl, "any keyword of a file, in any case, and at least 100 words", reads
    ``keywords: words.txt`` and then ``heuristics: {min_words: 100}``. With ``unit: line`` in
    place of ``unit: document`` this is the step ``keyword_lines``, which keeps the lines that hold a keyword.

    Scores: ``different``, keywords found, each counted once; ``matches``, all places (for patterns, the same as
    ``different``); label ``first``, the keyword found first (for patterns, the first of the list).
    """

    name: ClassVar[str] = "keywords"

    @classmethod
    def variant(cls, written: Mapping[str, Any]) -> type[Settings]:
        """``keyword_lines`` with ``unit: line``."""
        return KeywordLines if written.get("unit") == "line" else cls

    @model_validator(mode="before")
    @classmethod
    def _unit_chose(cls, values: Any) -> Any:
        return _without_unit(values, "document")

    def rules(self) -> list[Rule]:
        """One rule, on the number of different keywords."""
        if self.require == "all":
            return [Rule("missing", maximum=0)]
        least, most = self.bounds(1)
        return [Rule("different", least or None, most)]

    def open(self, context: StepContext) -> FilterRunner:
        """Read the keywords and prepare them.

        Raises:
            UserError: the file cannot be read or holds no keyword, or a pattern is none.
        """
        return _Scorer(self.finder())


class KeywordLines(Transform, _KeywordList):
    """Keeps the lines that hold keywords, or, with ``require: none``, those that hold none.

    Keywords are given and found as in ``keywords``. Lines that stay are joined by newlines. A document of which
    nothing stays is empty afterwards: a filter behind this step decides about it, such as ``heuristics:
    {min_words: 100}``.
    """

    name: ClassVar[str] = "keyword_lines"

    @model_validator(mode="before")
    @classmethod
    def _unit_chose(cls, values: Any) -> Any:
        return _without_unit(values, "line")

    def open(self, context: StepContext) -> TransformRunner:
        """Read the keywords and prepare them.

        Raises:
            UserError: the file cannot be read or holds no keyword, or a pattern is none.
        """
        finder = self.finder()
        return _Cutter(finder, *self.bounds(len(finder.keywords)))


def _without_unit(values: Any, own: str) -> Any:
    """The settings without ``unit``, which has chosen between the two steps already."""
    if isinstance(values, dict) and "unit" in values:
        if values["unit"] != own:
            raise ValueError(f"unit is document or line, found {values['unit']!r}")
        return {key: value for key, value in values.items() if key != "unit"}
    return values


class _Finder(Protocol):
    """Finds keywords in spans of a batch: different ones, all matches, and the first one's number or -1."""

    keywords: list[str]

    def documents(self, batch: Batch) -> _Found: ...

    def lines(self, batch: Batch) -> _Found: ...


_Found = tuple[npt.NDArray[np.int32], npt.NDArray[np.int64], npt.NDArray[np.int32]]


class _Words:
    """Plain keywords, by an automaton over the bytes of the batch."""

    def __init__(self, keywords: Sequence[str], settings: _KeywordList) -> None:
        import pyarrow as pa

        from textmill.text.keywords import build_automaton

        self._ignore_case = settings.ignore_case
        self._whole_words = settings.whole_words
        if settings.ignore_case:
            lowered = _lowered(pa.array(keywords, pa.large_string())).to_pylist()
            keywords = list(dict.fromkeys(lowered))
        self.keywords = list(keywords)
        try:
            self._automaton: Automaton = build_automaton(self.keywords)
        except ValueError as error:
            raise UserError(
                "these keywords are too many to be looked for at once", found=str(error)
            ) from error

    def documents(self, batch: Batch) -> _Found:
        seen = self._seen(batch)
        return self._count(seen, seen.offsets[:-1], seen.offsets[1:])

    def lines(self, batch: Batch) -> _Found:
        # Small letters may have other lengths than capitals, but never make or take a newline.
        seen = self._seen(batch)
        return self._count(seen, seen.lines.starts, seen.lines.ends)

    def _seen(self, batch: Batch) -> Batch:
        return batch.with_texts(_lowered(batch.records.column("text"))) if self._ignore_case else batch

    def _count(self, batch: Batch, starts: npt.NDArray[Any], ends: npt.NDArray[Any]) -> _Found:
        from textmill.text.keywords import count_keywords

        return count_keywords(batch.data, starts, ends, self._automaton, self._whole_words)


class _Patterns:
    """Regular expressions, by a set of RE2: linear in the text, whatever the patterns."""

    def __init__(self, keywords: Sequence[str], settings: _KeywordList) -> None:
        import re2

        self.keywords = list(keywords)
        options = re2.Options()
        options.case_sensitive = not settings.ignore_case
        options.log_errors = False
        options.max_mem = _PATTERN_MEMORY
        self._set = re2.Set.SearchSet(options)
        for pattern in self.keywords:
            try:
                self._set.Add(pattern)
            except re2.error as error:
                raise UserError(
                    "a pattern is no regular expression",
                    expected="RE2's syntax (https://github.com/google/re2/wiki/Syntax)",
                    found=f"{pattern}: {error}",
                    where=settings.file or f"{settings.step_id}.words",
                ) from error
        # Matches everything: when even this is not found, RE2 has given up, which it does not tell otherwise.
        self._set.Add("")
        self._set.Compile()

    def documents(self, batch: Batch) -> _Found:
        return self._match(batch, batch.offsets[:-1], batch.offsets[1:])

    def lines(self, batch: Batch) -> _Found:
        return self._match(batch, batch.lines.starts, batch.lines.ends)

    def _match(self, batch: Batch, starts: npt.NDArray[Any], ends: npt.NDArray[Any]) -> _Found:
        different = np.zeros(len(starts), np.int32)
        firsts = np.full(len(starts), -1, np.int32)
        data = batch.data.data
        for span, (start, end) in enumerate(zip(starts.tolist(), ends.tolist(), strict=True)):
            found = self._set.Match(bytes(data[start:end]))
            if found is None:
                raise MemoryError("RE2 needs more memory for these patterns than it may have")
            different[span] = len(found) - 1
            if len(found) > 1:
                firsts[span] = min(found)
        return different, different.astype(np.int64), firsts


_PATTERN_MEMORY = 256 * 2**20


def _lowered(texts: pa.Array) -> pa.Array:
    import pyarrow.compute as pc

    return pc.utf8_lower(texts)


class _Scorer:
    def __init__(self, finder: _Finder) -> None:
        self._finder = finder

    def scores(self, batch: Batch) -> Scores:
        """How many keywords each document holds, and lacks, and which it holds first."""
        different, matches, firsts = self._finder.documents(batch)
        keywords = self._finder.keywords
        return {
            "different": different.astype(np.float64),
            "missing": (len(keywords) - different).astype(np.float64),
            "matches": matches.astype(np.float64),
            "first": [keywords[first] if first >= 0 else "" for first in firsts.tolist()],
        }


class _Cutter:
    def __init__(self, finder: _Finder, least: int, most: int | None) -> None:
        self._finder = finder
        self._least = least
        self._most = most

    def transform(self, batch: Batch) -> Edit:
        """The lines that stay; ``counts`` says per document how many went."""
        import pyarrow as pa

        different, _, _ = self._finder.lines(batch)
        keep = different >= self._least
        if self._most is not None:
            keep &= different <= self._most
        lines = batch.lines
        texts, cut = [], np.zeros(len(batch), np.int64)
        data = batch.data.data
        for row, column in enumerate(batch.records.column("text")):
            first, last = int(lines.document_offsets[row]), int(lines.document_offsets[row + 1])
            kept = np.flatnonzero(keep[first:last]) + first
            cut[row] = last - first - len(kept)
            if cut[row]:
                spans = zip(lines.starts[kept].tolist(), lines.ends[kept].tolist(), strict=True)
                texts.append(b"\n".join(bytes(data[start:end]) for start, end in spans).decode())
            else:
                texts.append(column.as_py())
        return Edit(pa.array(texts, pa.large_string()), {"lines": cut})
