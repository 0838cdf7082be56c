"""The items of evaluation tasks and the phrases that they are found by."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from textmill.tasks import TaskItem, read_items
from textmill.text.phrases import Phrases, build_phrases, count_words

if TYPE_CHECKING:
    from textmill.curate.decontaminate import Decontaminate

EXCERPT = 160


@dataclass(frozen=True)
class ExamItems:
    """All items of all tasks, numbered through.

    Attributes:
        tasks: what the tasks are called.
        task_of: int32[items], position of the item's task.
        names: ``test/anatomy_test.csv:17``, per item.
        excerpts: how the items' questions begin.
        phrases: the table to look them up in.
        phrase_of, item_of: int32[pairs], which phrases belong to which items, each pair once.
        phrase_counts: int64[items], phrases of each item; 0 for one that is too short to be checked.
    """

    tasks: tuple[str, ...]
    task_of: npt.NDArray[np.int32]
    names: tuple[str, ...]
    excerpts: tuple[str, ...]
    phrases: Phrases
    phrase_of: npt.NDArray[np.int32]
    item_of: npt.NDArray[np.int32]
    phrase_counts: npt.NDArray[np.int64]


def exam_items(settings: Decontaminate) -> ExamItems:
    """The items of all tasks; read once per process, as long as no file changes.

    Raises:
        UserError: a task cannot be read.
    """
    # The fingerprint covers the settings and the contents of all task files.
    key = settings.fingerprint()
    if key not in _made:
        _made.clear()
        _made[key] = _read(settings)
    return _made[key]


_made: dict[str, ExamItems] = {}


def _read(settings: Decontaminate) -> ExamItems:
    items: list[TaskItem] = []
    task_of: list[int] = []
    for number, task in enumerate(settings.tasks):
        for item in read_items(task):
            items.append(item)
            task_of.append(number)
    texts, sizes, owners = _texts(items, settings.ngram, settings.min_words)
    phrases, runs, borders = build_phrases(*_buffer(texts), np.array(sizes, np.int64))
    owner_of_run = np.repeat(np.array(owners, np.int64), np.diff(borders))
    pairs = np.unique(runs.astype(np.int64) * max(1, len(items)) + owner_of_run)
    phrase_of, item_of = np.divmod(pairs, max(1, len(items)))
    return ExamItems(
        tuple(task.task for task in settings.tasks),
        np.array(task_of, np.int32),
        tuple(item.name for item in items),
        tuple(" ".join(item.question.split())[:EXCERPT] for item in items),
        phrases,
        phrase_of.astype(np.int32),
        item_of.astype(np.int32),
        np.bincount(item_of, minlength=len(items)).astype(np.int64),
    )


def _texts(items: list[TaskItem], ngram: int, min_words: int) -> tuple[list[str], list[int], list[int]]:
    """What is looked for: texts, words of their phrases, and the items that they belong to."""
    texts: list[str] = []
    sizes: list[int] = []
    owners: list[int] = []

    def look_for(item: int, text: str, size: int) -> None:
        texts.append(text)
        sizes.append(size)
        owners.append(item)

    asked = _count([item.question for item in items])
    joined_texts = [f"{item.question}\n{item.answer_text}" for item in items]
    joined = _count(joined_texts)
    others = [dict.fromkeys((*item.choices, item.free_answer)) for item in items]
    lengths = iter(_count([text for texts_ in others for text in texts_]))
    for number, item in enumerate(items):
        if asked[number] >= min_words:
            look_for(number, item.question, min(ngram, asked[number]))
        elif joined[number] >= min_words:
            look_for(number, joined_texts[number], min(ngram, joined[number]))
        # Choices are looked for by long runs alone: "none of the above" is nobody's property.
        for text in others[number]:
            if next(lengths) >= ngram:
                look_for(number, text, ngram)
    return texts, sizes, owners


def _count(texts: list[str]) -> list[int]:
    counts: list[int] = []
    for part, _ in pairwise([*range(0, len(texts), 4096), len(texts)]):
        counts += count_words(*_buffer(texts[part : part + 4096])).tolist()
    return counts


def _buffer(texts: list[str]) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    encoded = [text.encode() for text in texts]
    return np.frombuffer(b"".join(encoded), np.uint8), np.cumsum([0, *map(len, encoded)], dtype=np.int64)
