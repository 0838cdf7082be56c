"""C4's rules: the transform ``c4_lines`` cuts lines, the filter ``c4`` judges what is left.

::

    text ─► c4_lines ─► lines that are prose ─► c4 ─► enough sentences, no placeholder, no code
            (cuts)                              (drops)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from textmill.steps.context import StepContext
from textmill.steps.filter import Filter, FilterRunner, Scores
from textmill.steps.rules import Rule
from textmill.steps.transform import Edit, Transform, TransformRunner

if TYPE_CHECKING:
    from textmill.documents import Batch


class C4Lines(Transform):
    """Cuts the lines of a web page that C4 took for no prose (Raffel et al., 2020, arXiv:1910.10683, 2.2).

    In this order, for every line without the white space at its ends: a line with a word of more than
    ``max_word_length`` characters goes; ``[12]``, ``[edit]`` and ``[citation needed]`` are taken out; a line
    goes that does not end in one of ``. ? ! " '`` or that ends in ``...``; that has fewer than ``min_words``
    words; that says ``javascript``; that speaks of terms of use, privacy or cookie policy, or use of cookies.
    The ledger tells for every document how often each rule struck.

    Put the filter ``c4`` behind it: lines that say ``lorem ipsum`` or hold ``{`` stay here, and condemn the
    whole document there. FineWeb (Penedo et al., 2024) cuts with ``terminal_punctuation: false``.
    """

    name: ClassVar[str] = "c4_lines"

    max_word_length: int | None = Field(
        default=1000, ge=1, description="Longest word that a line may hold (characters)."
    )
    citations: bool = Field(
        default=True, description="Take ``[12]``, ``[edit]`` and ``[citation needed]`` out of lines."
    )
    terminal_punctuation: bool = Field(
        default=True, description="Cut lines that do not end like a sentence (FineWeb: false)."
    )
    min_words: int = Field(default=3, ge=0, description="Least words of a line.")
    javascript: bool = Field(default=True, description="Cut lines that say ``javascript``.")
    policy: bool = Field(
        default=True, description="Cut lines about terms of use, privacy policies and cookies."
    )

    def open(self, context: StepContext) -> TransformRunner:
        """Return the runner."""
        return _Cutter(self)


class _Cutter:
    def __init__(self, settings: C4Lines) -> None:
        self._settings = settings

    def transform(self, batch: Batch) -> Edit:
        """What is left; ``counts`` says per document how often each rule struck (lines, or citations)."""
        import pyarrow as pa

        from textmill.text.c4 import CUTS, LineRules, cut_lines

        settings = self._settings
        rules = LineRules(
            max_word_length=-1 if settings.max_word_length is None else settings.max_word_length,
            citations=settings.citations,
            terminal_punctuation=settings.terminal_punctuation,
            min_words=settings.min_words,
            javascript=settings.javascript,
            policy=settings.policy,
        )
        cut = cut_lines(batch.data, batch.lines, rules)
        texts = pa.LargeStringArray.from_buffers(
            len(batch), pa.py_buffer(cut.offsets), pa.py_buffer(cut.data)
        )
        return Edit(texts, dict(zip(CUTS, cut.counts, strict=True)))


class C4(Filter):
    """C4's rules about whole documents (Raffel et al., 2020, arXiv:1910.10683, section 2.2).

    Drops a document with a line that says ``lorem ipsum``, with a ``{`` (it is code), or with too few
    sentences. C4 judged what its rules about lines had left: put ``c4_lines`` before it. Sentences end at marks
    of Unicode's property Sentence_Terminal; full stops in numbers, initials, names and English abbreviations
    are none. A bound set to null is no rule.
    """

    name: ClassVar[str] = "c4"

    max_lorem_ipsum: int | None = Field(
        default=0, ge=0, description="Most lines that say ``lorem ipsum``, in any case."
    )
    max_curly_brackets: int | None = Field(default=0, ge=0, description="Most lines that hold ``{``.")
    min_sentences: int | None = Field(default=5, ge=0, description="Least sentences.")

    def rules(self) -> list[Rule]:
        """What one line decides comes first."""
        rules = [
            Rule("lorem_ipsum", maximum=self.max_lorem_ipsum),
            Rule("curly_brackets", maximum=self.max_curly_brackets),
            Rule("sentences", minimum=self.min_sentences),
        ]
        return [rule for rule in rules if rule.minimum is not None or rule.maximum is not None]

    def open(self, context: StepContext) -> FilterRunner:
        """Return the runner."""
        return _Judge()


class _Judge:
    def scores(self, batch: Batch) -> Scores:
        """Lines with ``lorem ipsum``, lines with ``{``, and sentences."""
        from textmill.text.c4 import c4_statistics

        return c4_statistics(batch.data, batch.lines)
