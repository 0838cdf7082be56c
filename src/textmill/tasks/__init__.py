"""Evaluation tasks as files: questions, choices and answers, in whatever layout they come.

::

    task.jsonl · .json · .csv · .tsv · .parquet, or a folder of them
            │  fields found by their names, or named in the recipe
            ▼
    TaskItem(file, number, question, choices, answer)  ─┬─► evaluate   asks them
                                                        └─► decontaminate   looks for them in the corpus

One list of files serves both, so that a corpus is cleaned of exactly what the model is examined with.

>>> from pathlib import Path
>>> from tempfile import TemporaryDirectory
>>> with TemporaryDirectory() as folder:
...     _ = Path(folder, "anatomy_test.csv").write_text("How many bones has a hand?,25,26,27,28,C\\n")
...     [(item.name, item.question, item.answer_text) for item in read_items(TaskFiles(path=folder))]
[('anatomy_test.csv:1', 'How many bones has a hand?', '27')]
"""

from textmill.tasks.reading import TaskItem, read_items
from textmill.tasks.settings import TaskFiles, named_tasks

__all__ = ["TaskFiles", "TaskItem", "named_tasks", "read_items"]
