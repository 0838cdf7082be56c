"""torch.compile block by block: one block is compiled, the others have its shapes and take its code."""

from __future__ import annotations

from collections.abc import Callable

from textmill.train.batch import TokenBatch
from textmill.train.parallel.strategy import Strategy
from textmill.train.trainee import Trainee


def compile_blocks(
    trainee: Trainee, strategy: Strategy, batch: TokenBatch, say: Callable[[str], None]
) -> None:
    """Compile every block; if the machine cannot (no C++ compiler), say so and train uncompiled.

    Args:
        trainee: its blocks are compiled.
        strategy: carries out the first pass.
        batch: for that pass, with the shapes that training will have.
        say: told if it does not work.
    """
    blocks = trainee.blocks()
    for block in blocks:
        block.compile(dynamic=False)
    # On a CPU chunks differ in length with what is masked; there they stay in the cache and gain little.
    trainee.compiled_loss = strategy.device.type == "cuda"
    rows = strategy.settings.micro_batch_size or len(batch)
    try:
        strategy.accumulate(next(batch.split(rows)).to(strategy.device), 1.0, last=True)
    except Exception as error:
        for block in blocks:
            block._compiled_call_impl = None
        trainee.compiled_loss = False
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        say(f"torch.compile does not work here, training uncompiled: {reason}")
    strategy.forget_gradients()
