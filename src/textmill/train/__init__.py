"""Pretraining: tokens in, checkpoints and a Hugging Face folder out.

::

    (seed, step) ─► order.samples_of_step ─► windows ─► model ─► optimizer ─► checkpoint-N
                                                ▲                                │
                                                └── killed? the same call ◄──────┘

Importing this package loads no torch.

>>> import numpy as np
>>> from textmill.train.order import samples_of_step
>>> epoch = np.concatenate([samples_of_step(seed=7, step=s, batch_size=4, samples=12) for s in range(3)])
>>> sorted(epoch.tolist()) == list(range(12))
True
"""

from textmill.train.settings import ModelShape, TrainSection

__all__ = ["ModelShape", "TrainSection"]
