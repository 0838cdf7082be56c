"""The watchers that the settings name."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from textmill.errors import UserError
from textmill.train.settings import TrainSection
from textmill.train.store import Store
from textmill.train.watchers.metrics import Metrics
from textmill.train.watchers.watcher import Watcher


def watchers_of(
    settings: TrainSection, store: Store, scratch: Path, metrics: Metrics, identity: str
) -> list[Watcher]:
    """Watchers beside the progress bar and the metrics.

    Raises:
        UserError: a package is missing.
    """
    found: list[Watcher] = []
    if "tensorboard" in settings.watch:
        if find_spec("tensorboardX") is None:
            raise UserError(
                "curves for TensorBoard need a package that is not installed",
                where="train.watch",
                expected="the package tensorboardX",
                hint="pip install 'textmill[train]', or train.watch: []",
            )
        from textmill.train.watchers.tensorboard import TensorBoard

        found.append(TensorBoard(store, scratch, metrics.rows))
    if "wandb" in settings.watch:
        from textmill.train.watchers.wandb import Wandb

        found.append(Wandb(identity))
    return found
