"""What a report card shows, as plain values: everything to draw, nothing about how.

The objects here are filled by :mod:`textmill.report.collect` and drawn by :mod:`textmill.report.render`; they
import nothing, so that a report can be made by hand, in a test or from another tool.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class FunnelRow:
    """One step of the way: how many documents and characters came in and what became of them."""

    step: str
    documents_in: int
    kept: int
    dropped: int
    failed: int
    characters_in: int
    characters_kept: int
    pass_name: str = ""


@dataclass(frozen=True)
class Example:
    """A document that a rule dropped.

    Attributes:
        excerpt: the beginning of its text as it stood when it was dropped; None when it was not stored.
        characters: length of the whole text, if known.
        value: what was measured.
        threshold: the bound that ``value`` broke.
        label: what was found where the rule is about a label (a language), or a reason in words.
        note: why this example was chosen, in words.
    """

    source: str
    locator: str
    excerpt: str | None = None
    document_id: str = ""
    url: str | None = None
    characters: int | None = None
    value: float | None = None
    threshold: float | None = None
    label: str | None = None
    note: str = ""


@dataclass(frozen=True)
class Reason:
    """A rule and the documents that it dropped (or, for ``failed``, a reason why documents failed)."""

    step: str
    rule: str
    documents: int
    described: str = ""
    failed: bool = False
    examples: tuple[Example, ...] = ()


@dataclass(frozen=True)
class Copy:
    """A document that was removed because it matched another."""

    source: str
    locator: str
    document_id: str = ""
    similarity: float | None = None


@dataclass(frozen=True)
class DuplicateGroup:
    """A kept document and those that were removed because they matched it.

    Attributes:
        copies: how many were removed.
        members: some of them.
        excerpt: the beginning of the kept text; None when it is no longer there.
    """

    step: str
    kept: Copy
    copies: int
    members: tuple[Copy, ...] = ()
    excerpt: str | None = None


@dataclass(frozen=True)
class LargeGroup:
    """A kept document and the number of those that were removed for its sake."""

    source: str
    locator: str
    removed: int


@dataclass(frozen=True)
class NearReview:
    """What a step that removes near-duplicates says about its own work.

    Attributes:
        documents: that it looked at.
        removed: of these.
        compared: pairs whose similarity was computed exactly.
        estimated: pairs that the estimate of their signatures excluded.
        left_out: pairs that were not looked at, because a band held too many documents.
        sources: documents and what was left of them, by source.
        groups: the largest groups.
        warnings: what a person should look at.
    """

    step: str
    documents: int
    removed: int
    compared: int
    estimated: int
    left_out: int
    sources: tuple[Share, ...] = ()
    groups: tuple[LargeGroup, ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Cutting:
    """A step that cut repeated lines, paragraphs, sentences or spans of words out of texts.

    Attributes:
        documents: that lost something.
        characters: that they lost.
        rules: pairs of (rule, cuts).
        passages: pairs of (what was cut, how often it occurs in all), the most frequent of those that were noted.
    """

    step: str
    documents: int
    characters: int
    rules: tuple[tuple[str, int], ...] = ()
    passages: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True)
class Exam:
    """An evaluation task that the corpus was searched for.

    Attributes:
        items: questions with their answers.
        not_checkable: of these, too short to be searched for.
        items_hit: of these, found in the corpus.
        documents: that hold one of them.
        examples: name, question and number of documents of those found most.
    """

    task: str
    items: int
    not_checkable: int
    items_hit: int
    documents: int
    examples: tuple[tuple[str, str, int], ...] = ()


@dataclass(frozen=True)
class Share:
    """A row of a list with bars: how many documents were there, how many of them were kept."""

    name: str
    documents: int
    kept: int


@dataclass(frozen=True)
class Breakdown:
    """Documents by language, by source or by any other label.

    Attributes:
        title: what the documents are counted by.
        note: where along the way they were counted.
        shares: the largest first; the last may stand for all others.
    """

    title: str
    shares: tuple[Share, ...]
    note: str = ""


@dataclass(frozen=True)
class Histogram:
    """How many documents have which value.

    Attributes:
        edges: borders of the bins, ascending, one more than there are bins. Bin i holds the values in
            (edges[i], edges[i + 1]]; the first and the last also hold all that lies beyond.
        counts: documents per bin.
        outside: those of ``counts`` that break the rule, per bin.
        smallest, largest: of all finite values; None when there are none.
        missing: documents without a finite value.
        minimum, maximum: bounds of the rule, where there is one.
        dropped: documents of which this rule was the verdict; less than the sum of ``outside`` when another
            rule came first; None when unknown.
        logarithmic: whether the axis should be.
    """

    step: str
    score: str
    edges: tuple[float, ...]
    counts: tuple[int, ...]
    outside: tuple[int, ...] = ()
    smallest: float | None = None
    largest: float | None = None
    missing: int = 0
    minimum: float | None = None
    maximum: float | None = None
    dropped: int | None = None
    logarithmic: bool = False

    @property
    def documents(self) -> int:
        """Documents with a finite value."""
        return sum(self.counts)


@dataclass(frozen=True)
class TokenSplit:
    """One split of the tokenised corpus."""

    name: str
    tokens: int
    documents: int
    text_bytes: int
    shards: int = 0
    samples: int | None = None


@dataclass(frozen=True)
class LanguageTokens:
    """How the tokenizer fares with a language, measured on a sample.

    Attributes:
        bytes_per_token: UTF-8 bytes of text per token.
        tokens_per_word: None where there are no words.
    """

    name: str
    documents: int
    tokens: int
    bytes_per_token: float
    tokens_per_word: float | None = None


@dataclass(frozen=True)
class Tokens:
    """The tokenised corpus."""

    dtype: str
    vocab_size: int
    seq_len: int
    splits: tuple[TokenSplit, ...]
    eos_id: int | None = None
    languages: tuple[LanguageTokens, ...] = ()

    @property
    def total(self) -> int:
        """Tokens of all splits together."""
        return sum(split.tokens for split in self.splits)

    @property
    def text_bytes(self) -> int:
        """UTF-8 bytes of text of all splits together."""
        return sum(split.text_bytes for split in self.splits)


@dataclass(frozen=True)
class Training:
    """A training run.

    Attributes:
        loss: pairs of (tokens seen, training loss in nats per token).
        validation: pairs of (tokens seen, loss on held-out tokens in nats per token).
    """

    parameters: int | None = None
    steps: int | None = None
    tokens: int | None = None
    final_loss: float | None = None
    loss: tuple[tuple[float, float], ...] = ()
    validation: tuple[tuple[float, float], ...] = ()


@dataclass(frozen=True)
class Evaluation:
    """What the model scores on documents it has not seen, beside a unigram model over the same tokens."""

    bits_per_byte: float | None = None
    unigram_bits_per_byte: float | None = None
    perplexity: float | None = None
    nats_per_token: float | None = None
    tokens: int | None = None
    text_bytes: int | None = None

    @property
    def below_unigram(self) -> float | None:
        """By which fraction the model's bits per byte lie below the unigram model's; negative when above."""
        if self.bits_per_byte is None or not self.unigram_bits_per_byte:
            return None
        return 1 - self.bits_per_byte / self.unigram_bits_per_byte


@dataclass(frozen=True)
class Sample:
    """What the model wrote, how it was asked, and (where the prompt began a document) how that went on."""

    prompt: str
    continuation: str
    original: str = ""
    settings: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Output:
    """A file that the run made."""

    path: str
    sha256: str
    bytes: int
    rows: int | None = None


@dataclass(frozen=True)
class Measured:
    """What differs from machine to machine and from run to run; drawn apart from everything else.

    Attributes:
        durations: pairs of (pass or stage, seconds).
        facts: pairs of (name, value) such as the device or the speed of training.
        versions: pairs of (package, version).
    """

    durations: tuple[tuple[str, float], ...] = ()
    facts: tuple[tuple[str, str], ...] = ()
    versions: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class ReportData:
    """Everything that a report card shows.

    A section whose data is empty or None is left out.

    Attributes:
        name: of the run.
        data_date: date of the data as the run recorded it, never the time of day at which it is drawn.
        funnel: the steps in their order.
        reasons: why documents were dropped or failed, the most frequent first.
        reasons_left_out: further rules that are not in ``reasons``, and their documents.
        lengths: characters per kept document.
        outputs_left_out: further files that are not in ``outputs``.
    """

    name: str
    data_date: str | None = None
    funnel: tuple[FunnelRow, ...] = ()
    reasons: tuple[Reason, ...] = ()
    reasons_left_out: tuple[int, int] = (0, 0)
    duplicates: tuple[DuplicateGroup, ...] = ()
    reviews: tuple[NearReview, ...] = ()
    cuttings: tuple[Cutting, ...] = ()
    exams: tuple[Exam, ...] = ()
    breakdowns: tuple[Breakdown, ...] = ()
    lengths: Histogram | None = None
    histograms: tuple[Histogram, ...] = ()
    tokens: Tokens | None = None
    training: Training | None = None
    evaluation: Evaluation | None = None
    samples: tuple[Sample, ...] = ()
    recipe: str = ""
    outputs: tuple[Output, ...] = ()
    outputs_left_out: int = 0
    measured: Measured = field(default_factory=Measured)

    @property
    def documents_read(self) -> int:
        """Documents that came into the first step."""
        return self.funnel[0].documents_in if self.funnel else 0

    @property
    def documents_kept(self) -> int:
        """Documents that left the last step."""
        return self.funnel[-1].kept if self.funnel else 0

    @property
    def characters_read(self) -> int:
        """Characters (code points) that came into the first step."""
        return self.funnel[0].characters_in if self.funnel else 0

    @property
    def characters_kept(self) -> int:
        """Characters (code points) that left the last step."""
        return self.funnel[-1].characters_kept if self.funnel else 0
