"""Stages without a run of documents: training on tokens that exist, in a folder on this machine."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from textmill.errors import UserError
from textmill.pipeline.engine import Crash, Engine
from textmill.pipeline.inline import InlineEngine
from textmill.recipe import Recipe
from textmill.steps import StageResult
from textmill.steps.progress import Progress
from textmill.tokenizer.folder import tokenizer_files
from textmill.tokenizer.load import load_encoder
from textmill.tokens.adopt import adopt_tokens
from textmill.workspace.storage import Storage


def train_on_tokens(
    recipe: Recipe, tokens: Path, run: Path, *, held_out: Path | None = None, progress: Progress
) -> StageResult:
    """Carry out ``train:`` on tokens that were made elsewhere.

    Args:
        recipe: its sections ``tokenizer`` (which one to use), ``tokens`` (length of a window) and ``train`` count.
        tokens: see :func:`textmill.tokens.adopt.is_tokens`.
        run: folder for ``tokens/``, ``tokenizer/``, ``checkpoints/`` and ``model/``.
        held_out: tokens to validate on.
        progress: told what happens.

    Raises:
        UserError: no tokens, or whatever :func:`textmill.train.stage.run_training` refuses.
    """
    assert recipe.train is not None
    tokenizer = run / "tokenizer"
    vocab_size, eos_id = _tokenizer(recipe, tokenizer)
    seq_len = getattr(recipe.tokens, "seq_len", 2048)
    index = adopt_tokens(
        tokens, run / "tokens", seq_len=seq_len, vocab_size=vocab_size, eos_id=eos_id, held_out=held_out
    )
    upstream = {"tokens": StageResult((), index.numbers()), "tokenizer": StageResult(())}
    context = FolderContext(run, upstream, seed=recipe.seed, progress=progress)
    progress.start("train", 0, "")
    try:
        return recipe.train.run(context)
    finally:
        context.close()


def _tokenizer(recipe: Recipe, folder: Path) -> tuple[int | None, int | None]:
    """Copy the files of the tokenizer in use; its vocabulary and end-of-text token, where there is one."""
    folder.mkdir(parents=True, exist_ok=True)
    use = getattr(recipe.tokenizer, "use", None)
    if use is None:
        return None, None
    for name, file in tokenizer_files(use).items():
        shutil.copyfile(file, folder / name)
    encoder = load_encoder(folder)
    return encoder.vocab_size, encoder.eos_id


class FolderContext:
    """What a stage needs, in a folder; see :class:`textmill.steps.StageContext`.

    Args:
        root: the folder; created.
        upstream: what earlier stages are said to have made, by name.
        seed: behind every random choice.
        progress: told what happens.
        engine: runs tasks; in this process if left out.
    """

    def __init__(
        self,
        root: Path,
        upstream: Mapping[str, StageResult],
        *,
        seed: int,
        progress: Progress,
        engine: Engine | None = None,
    ) -> None:
        root.mkdir(parents=True, exist_ok=True)
        self.seed = seed
        self.root = root
        self.scratch = Path(tempfile.mkdtemp(prefix=".scratch-", dir=root))
        self._upstream = dict(upstream)
        self._progress = progress
        self._engine = engine or InlineEngine()
        self._storage = Storage(str(root))

    def close(self) -> None:
        """Remove what was only in the making."""
        shutil.rmtree(self.scratch, ignore_errors=True)

    def upstream(self, stage: str) -> StageResult:
        """What an earlier stage is said to have made."""
        if stage not in self._upstream:
            raise UserError(f"there is no {stage} here")
        return self._upstream[stage]

    def has(self, stage: str) -> bool:
        """Whether it is there."""
        return stage in self._upstream

    def local(self, path: str) -> Path:
        """The file or folder itself."""
        return self.root / path

    def publish(self, file: Path, path: str) -> str:
        """Move a finished file into the folder."""
        return self._storage.publish(file, path).path

    def published(self, folder: str) -> list[str]:
        """Files below ``folder``."""
        return self._storage.files(folder)

    def remove(self, path: str) -> None:
        """Delete a file or folder."""
        self._storage.remove(path)

    def map(self, function: str, items: Sequence[Mapping[str, Any]]) -> Iterator[tuple[int, Any]]:
        """Run tasks."""
        for position, outcome in self._engine.map(function, items, lambda _report: None):
            if isinstance(outcome, Crash):
                raise RuntimeError(f"{function} died on item {position}: {outcome.reason}")
            yield position, outcome

    def progress(self, text: str, done: float, total: float, **numbers: float) -> None:
        """Tell how far it is."""
        self._progress.update(text, done, total, **numbers)

    def say(self, text: str) -> None:
        """A line that stays."""
        self._progress.say(text)
