"""One training on several processes; the model knows nothing of it.

::

    torchrun ─► World (rank, size) ─► Strategy ─► the same steps, the same order of samples, the same checkpoints
                                       ├── Strategy        one process
                                       ├── DataParallel    DDP: a copy of the model in every process
                                       ├── FullySharded    FSDP2: every block's weights shared out
                                       └── DeepSpeedZero   ZeRO 1 to 3

A batch is the same rows for any number of processes; each takes its slice. The loss is divided by the tokens of the
whole batch, so results are those of one process but for rounding. A checkpoint holds whole tensors, gathered in
process 0: it goes on under any strategy with any number of processes. All processes read it, so they must see the
same folder.

>>> from textmill.train.parallel.world import World
>>> World(rank=1, size=4, local_rank=1).first
False
"""
