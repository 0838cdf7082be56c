"""What a training step holds in memory, by part: counted while the real step runs on tensors without contents.

::

    trainee + optimisers + batch ─► two whole steps under FakeTensorMode ─► every storage that comes to be or goes
                                                                            └─► sums by part at the highest moment

No number is computed and nothing is allocated, so that a model that fits no machine can be measured on a laptop; and
because it is the very code that will train, no formula can fall behind it. The same count runs on real tensors.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


@dataclass(frozen=True)
class StepMemory:
    """Bytes at the moment in which a step holds most.

    Attributes:
        weights: parameters and buffers.
        gradients: of the parameters that are trained.
        optimizer: moments and counters.
        activations: what backward needs, and what is in the making.
        logits: everything with a side as long as the vocabulary: logits of a chunk, their gradient, the output
            layer's gradient before it is the parameter's.
    """

    weights: int = 0
    gradients: int = 0
    optimizer: int = 0
    activations: int = 0
    logits: int = 0

    @property
    def total(self) -> int:
        """All parts."""
        return sum(asdict(self).values())


class MemoryTracker(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the storages that live, by part, while it is active.

    Args:
        vocab_size: a tensor with a side of this length is counted under logits.
    """

    def __init__(self, vocab_size: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._vocab_size = vocab_size
        self._live: dict[int, tuple[str, int]] = {}
        self._sums = asdict(StepMemory())
        self._highest = dict(self._sums)
        self._peak = 0

    @property
    def peak(self) -> StepMemory:
        """The parts at the highest moment since :meth:`restart`."""
        return StepMemory(**self._highest)

    def restart(self) -> None:
        """Forget the highest moment so far."""
        self._peak = 0
        self._note()

    def mark(self, tensors: Iterable[Tensor], part: str) -> None:
        """Count these tensors under ``part`` from now on."""
        for tensor in tensors:
            self._count(tensor, part)

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Run an operation, and count what it made."""
        result = func(*args, **(kwargs or {}))
        for value in tree_leaves(result):
            if isinstance(value, Tensor) and value.untyped_storage()._cdata not in self._live:
                self._count(value, "logits" if self._vocab_size in value.shape else "activations")
        return result

    def _count(self, tensor: Tensor, part: str) -> None:
        storage = tensor.untyped_storage()
        key = storage._cdata
        before = self._live.get(key)
        if before is None:
            # The finalizer of a storage runs when its last tensor is gone: then its memory is free.
            weakref.finalize(storage, self._forget, key)
        else:
            self._sums[before[0]] -= before[1]
        self._live[key] = part, storage.nbytes()
        self._sums[part] += storage.nbytes()
        self._note()

    def _forget(self, key: int) -> None:
        part, size = self._live.pop(key, ("activations", 0))
        self._sums[part] -= size

    def _note(self) -> None:
        now = sum(self._sums.values())
        if now > self._peak:
            self._peak, self._highest = now, dict(self._sums)


def measure_step(
    model: nn.Module,
    optimizers: Iterable[torch.optim.Optimizer],
    step: Callable[[], None],
    tracker: MemoryTracker,
) -> StepMemory:
    """The highest moment of the second of two steps, when the optimisers have their moments.

    Args:
        model: made under ``tracker``.
        optimizers: of its parameters.
        step: forward, backward, update, and the gradients gone.
        tracker: active.
    """
    optimizers = list(optimizers)
    tracker.mark([*model.parameters(), *model.buffers()], "weights")
    handles = [
        parameter.register_post_accumulate_grad_hook(  # type: ignore[no-untyped-call]
            lambda parameter: (
                tracker.mark([parameter.grad], "gradients") if parameter.grad is not None else None
            )
        )
        for parameter in model.parameters()
        if parameter.requires_grad
    ]
    step()
    for optimizer in optimizers:
        for state in optimizer.state.values():
            tracker.mark([value for value in state.values() if isinstance(value, Tensor)], "optimizer")
    tracker.restart()
    step()
    for handle in handles:
        handle.remove()
    return tracker.peak


@contextmanager
def without_contents() -> Iterator[None]:
    """Tensors made inside have shape, type and device, and no contents."""
    from torch._subclasses.fake_tensor import FakeTensorMode

    with FakeTensorMode(allow_non_fake_inputs=True):
        yield
