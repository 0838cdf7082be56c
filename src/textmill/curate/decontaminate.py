"""The global step ``decontaminate``: evaluation questions out of the corpus.

::

    task files ─► items ─► phrases of 13 words, in a table          (decontaminate_items)
    documents ─► hits: which phrase, where                          (this module, on every shard)
                   └─► count ─► decide ─► tell                      (decontaminate_decide)
                       phrases too common   documents to drop,      items hit,
                       decide nothing       or spans to cut         task by task
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from pydantic import Field, ModelWrapValidatorHandler, field_validator, model_validator

from textmill.errors import UserError
from textmill.steps import CuttingStep, GlobalStep, Phase, StepContext
from textmill.tasks import TaskFiles

if TYPE_CHECKING:
    import pyarrow as pa

    from textmill.curate.decontaminate_items import ExamItems
    from textmill.documents import Batch
    from textmill.steps.phases import PhaseWork


class Decontaminate(GlobalStep):
    """Removes documents that hold questions or answers of evaluation tasks, or cuts these out of them.

    An item of a task is found by runs of 13 words that its question, one of its choices or its answer share with
    a document, as for GPT-3 (Brown et al. 2020, arXiv:2005.14165, appendix C); lower and upper case, punctuation
    and white space make no difference. A question of fewer words is looked for as a whole if it has at least
    ``min_words``, or together with its right answer if both have; items shorter than that are not checked, and the
    report says how many and which. Run ``normalize`` before, as composed and decomposed letters differ here.

    By default one run of words is enough. ``min_share`` asks for a share of an item's runs, ``max_documents`` lets
    those decide nothing that more documents hold: sayings, laws, lists (GPT-3: 10).

    What is found is verified word by word, so that no document is lost to a collision of hashes. The table of
    phrases takes about 130 bytes per word of the tasks in every worker: 7 MB for 5,000 questions of MMLU's kind.

    Without ``tasks`` the files are those that the section ``evaluate`` of the recipe names.
    """

    name: ClassVar[str] = "decontaminate"
    shorthand: ClassVar[str | None] = "tasks"

    tasks: list[TaskFiles] = Field(
        default=[], description="Files of the evaluation tasks; those of the section evaluate if left out."
    )
    action: Literal["drop", "cut"] = Field(
        default="drop", description="Drop the document, or cut what matches out of it."
    )
    ngram: int = Field(
        default=13, ge=2, le=256, description="Words of a run that must agree (GPT-3: 13, datatrove: 12)."
    )
    min_words: int = Field(
        default=8, ge=2, description="Words that a shorter question needs to be looked for as a whole."
    )
    min_share: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="Share of an item's runs that a document must hold; 0: one run is enough.",
    )
    max_documents: int | None = Field(
        default=None,
        ge=1,
        description="A run of words in more documents than this decides nothing; no limit if left out.",
    )
    context: int = Field(
        default=200,
        ge=0,
        description="With action cut: characters cut on both sides of a match (GPT-3: 200).",
    )
    min_words_left: int = Field(
        default=1,
        ge=0,
        description="With action cut: a document that was cut and keeps fewer words is dropped.",
    )
    min_characters_left: int = Field(
        default=1,
        ge=0,
        description="With action cut: a document that was cut and keeps fewer characters is dropped.",
    )

    def __new__(cls, **values: Any) -> Decontaminate:
        """A step that cuts is of another kind to the pipeline: an object of a class of its own."""
        kind = _Cutting if cls is Decontaminate and values.get("action") == "cut" else cls
        return super().__new__(kind)

    @model_validator(mode="wrap")
    @classmethod
    def _kind_by_action(cls, values: Any, build: ModelWrapValidatorHandler[Decontaminate]) -> Decontaminate:
        step = build(values)
        if step.action == "cut" and not isinstance(step, CuttingStep):
            return _Cutting.model_construct(step.model_fields_set, **dict(step))
        return step

    @field_validator("tasks", mode="before")
    @classmethod
    def _one_is_a_list(cls, value: Any) -> Any:
        values = value if isinstance(value, list | tuple) else [value]
        return [{"path": one} if isinstance(one, str) else one for one in values]

    @model_validator(mode="after")
    def _tasks_have_names(self) -> Decontaminate:
        names = [task.task for task in self.tasks]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(
                f"two tasks are called {twice[0]!r}; give one another label: {{path: ..., label: ...}}"
            )
        if self.min_words > self.ngram:
            raise ValueError("min_words is for questions shorter than ngram; it cannot be larger")
        return self

    def files(self) -> list[str]:
        """All task files decide results.

        Raises:
            UserError: a task has none.
        """
        return [file for task in self.tasks for file in task.files()]

    def phases(self) -> tuple[Phase, ...]:
        """Common phrases are counted only if there is a limit."""
        answer = "cuts" if self.action == "cut" else "removals"
        hits = "fingerprints" if self.max_documents is None else "hits"
        count = Phase("count", per="partition", reads=("fingerprints",), writes=("hits",))
        return (
            *(() if self.max_documents is None else (count,)),
            Phase("decide", per="partition", reads=(hits,), writes=("found", answer)),
            Phase("tell", per="whole", reads=(hits, "found"), writes=()),
        )

    def open(self, context: StepContext) -> Any:
        """Read the tasks and make their table.

        Raises:
            UserError: there are no tasks, or one cannot be read.
        """
        if not self.tasks:
            raise UserError(
                "decontaminate has no tasks.",
                expected="files with evaluation questions",
                found="none in the step, and none in the section evaluate",
                where=f"{self.step_id}.tasks",
                hint="write decontaminate: {tasks: [mmlu/, gsm8k.jsonl]}",
            )
        from textmill.curate.decontaminate_items import exam_items

        return _Decontaminator(self, exam_items(self))


class _Cutting(Decontaminate, CuttingStep):
    """``decontaminate`` with ``action: cut``."""

    action: Literal["drop", "cut"] = "cut"


class _Decontaminator:
    def __init__(self, settings: Decontaminate, items: ExamItems) -> None:
        self._settings = settings
        self._items = items

    def fingerprint(self, batch: Batch) -> pa.RecordBatch:
        """One row per phrase found: ``key``, ``id``, ``phrase``, ``start``, ``end`` (bytes of the text, with context).

        And one of phrase -1 per batch, so that a corpus without any is told from one that nobody looked at.
        """
        import pyarrow as pa

        from textmill.text.phrases import find_phrases

        found = find_phrases(batch.data, batch.offsets, self._items.phrases)
        starts, ends = found.starts, found.ends
        if self._settings.action == "cut":
            starts, ends = _with_context(batch, found.documents, starts, ends, self._settings.context)
        origin = batch.offsets[:-1][found.documents]
        rows = np.concatenate([found.documents, np.zeros(min(1, len(batch)), np.int64)])
        phrases = np.concatenate([found.phrases, np.full(min(1, len(batch)), -1, np.int32)])
        nothing = np.zeros(min(1, len(batch)), np.int64)
        ids = batch.records.column("id").take(pa.array(rows))
        keys = ids if self._settings.max_documents is None else _spread(phrases)
        return pa.RecordBatch.from_arrays(
            [
                keys,
                ids,
                pa.array(phrases, pa.int32()),
                pa.array(np.concatenate([starts - origin, nothing]), pa.int64()),
                pa.array(np.concatenate([ends - origin, nothing]), pa.int64()),
            ],
            names=["key", "id", "phrase", "start", "end"],
        )

    def count(self, work: PhaseWork) -> None:
        """Without the phrases that too many documents hold."""
        from textmill.curate.decontaminate_decide import without_common

        without_common(work, self._settings)

    def decide(self, work: PhaseWork) -> None:
        """Which items each document holds, and what is to be done about it."""
        from textmill.curate.decontaminate_decide import decide

        decide(work, self._settings, self._items)

    def tell(self, work: PhaseWork) -> None:
        """The table of the tasks."""
        from textmill.curate.decontaminate_decide import tell

        tell(work, self._items)


def _spread(phrases: np.ndarray[Any, Any]) -> pa.Array:
    """Keys that equal phrases have in common, evenly spread: numbers times an odd constant, modulo 2**64."""
    import pyarrow as pa

    heads = (phrases.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)).byteswap()
    raw = np.stack([heads, np.zeros_like(heads)], axis=1)
    return pa.Array.from_buffers(pa.binary(16), len(phrases), [None, pa.py_buffer(raw.tobytes())])


def _with_context(
    batch: Batch,
    documents: np.ndarray[Any, Any],
    starts: np.ndarray[Any, Any],
    ends: np.ndarray[Any, Any],
    characters: int,
) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Spans longer by so many characters on both sides, within their documents."""
    data, offsets = batch.data.data, batch.offsets
    longer = np.empty((2, len(starts)), np.int64)
    for place, (document, start, end) in enumerate(
        zip(documents.tolist(), starts.tolist(), ends.tolist(), strict=True)
    ):
        low, high = max(int(offsets[document]), start - 4 * characters), int(offsets[document + 1])
        before = bytes(data[low:start]).decode("utf-8", "ignore")[-characters:] if characters else ""
        after = bytes(data[end : min(high, end + 4 * characters)]).decode("utf-8", "ignore")[:characters]
        longer[:, place] = start - len(before.encode()), end + len(after.encode())
    return longer[0], longer[1]
