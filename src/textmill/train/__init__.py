"""Pretraining: tokens in, checkpoints and a Hugging Face folder out.

::

    step ─► Feed.batch ─► TokenBatch ─► Strategy: Objective(Trainee) forward, backward, clip, update
                 ▲                              │                                  │
                 │                              └─► Watcher: bar, metrics, …       └─► checkpoint-N
                 └────────────────────── killed? the same call ◄──────────────────────────┘

Where to put something new:

=====================  ============================================================================================
another model          a :class:`~textmill.train.trainee.Trainee`: its loss, its blocks, how its weights are
                       written and read. ``train(settings, trainee, …)`` takes it; ``LlamaTrainee`` is the pattern.
                       Only parameters with ``requires_grad`` are trained and, unless ``saved`` says otherwise, saved
other data             a :class:`~textmill.train.feed.Feed`: the batch of (step, rank, world size), with targets
                       (``IGNORE`` where nothing is learnt) and documents. ``WindowFeed`` is the pattern
another way to watch   a :class:`~textmill.train.watchers.watcher.Watcher`: told of start, steps, rows, checkpoints,
                       end
another way to share   a :class:`~textmill.train.parallel.strategy.Strategy`: places the model, gathers whole tensors
the work               to save
what is left at the    :mod:`textmill.train.stage`: the model's folder and ``training_summary.json`` from
end                    :class:`~textmill.train.loop.Trained`
=====================  ============================================================================================

A checkpoint holds whole tensors under the model's parameter names whatever the number of processes that made it.

Importing this package loads no torch.

>>> import numpy as np
>>> from textmill.train.order import samples_of_step
>>> epoch = np.concatenate([samples_of_step(seed=7, step=s, batch_size=4, samples=12) for s in range(3)])
>>> sorted(epoch.tolist()) == list(range(12))
True
"""

from textmill.train.settings import ModelShape, TrainSection

__all__ = ["ModelShape", "TrainSection"]
