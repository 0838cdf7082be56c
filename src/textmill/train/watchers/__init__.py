"""Who looks on: each is a :class:`~textmill.train.watchers.watcher.Watcher`, told by the loop in process 0.

::

    loop ─► started, stepped, row, saved, finished ─► ProgressBar, Metrics (metrics.jsonl), TensorBoard, Wandb, yours

>>> from textmill.train.watchers.watcher import Watcher
>>> class Losses(Watcher):
...     def row(self, row):
...         print(row["loss"])
>>> Losses().row({"step": 10, "loss": 2.5})
2.5
"""
