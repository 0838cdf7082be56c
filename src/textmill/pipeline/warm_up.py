"""Compiling the kernels of a pass once, before several workers would each compile them for themselves.

The steps of the pass are opened and asked about four made-up documents; whatever they need is then compiled, and
kept on disk for all workers. So nobody waits for kernels that his recipe does not use, and nobody keeps a list of
them: a step of the user's own that has kernels is served like those of the mill.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from textmill.pipeline.settings_codec import decode
from textmill.steps import Filter, GlobalStep, StepContext, Transform
from textmill.steps.settings import StepSettings
from textmill.steps.stage import Report

if TYPE_CHECKING:
    from textmill.documents import Batch

# ASCII and not, sentences, lines and paragraphs that come twice, a script without spaces, a page of the web: every
# kernel that a text can lead to is reached by one of them.
_TEXTS = (
    "The mill turns. It doesn't stop at 24/7!\n\nThe mill turns. It doesn't stop at 24/7!\nWhy?\n",
    "Le moulin – déjà vieux – tourne « encore ».\nLe moulin – déjà vieux – tourne « encore ».\n",
    "水车转动。水车转动。\n",
    "<!doctype html><title>The mill</title><h1>The mill</h1><p>The mill turns.<ul><li><a>It doesn't</a></ul>\n",
)


def warm_up(item: Mapping[str, Any], report: Report) -> None:
    """A task that compiles the kernels of steps into the cache that all workers share.

    A step that refuses the documents is left alone: it is asked about those of the corpus soon enough, where what it
    raises is told and recorded. Kernels of other versions that nobody used for 30 days are removed.

    Args:
        item: steps (encoded filters, transforms and global steps), seed, scratch.
        report: called before each step, since a step can take some seconds to compile.
    """
    from textmill.documents import Batch
    from textmill.text.kernel_cache import remove_old_caches

    remove_old_caches()
    batch = Batch.from_texts(_TEXTS, source="warm_up")
    with tempfile.TemporaryDirectory(prefix="warm-up-", dir=item["scratch"]) as scratch:
        context = StepContext(seed=item["seed"], scratch=Path(scratch))
        for encoded in item["steps"]:
            step = decode(encoded, StepSettings)
            report(step=step.step_id)
            try:
                _work_of(step, context)(batch)
            except Exception:
                continue


def _work_of(step: StepSettings, context: StepContext) -> Callable[[Batch], object]:
    """What a step does with a batch."""
    if isinstance(step, Filter):
        return step.open(context).scores
    if isinstance(step, Transform):
        return step.open(context).transform
    assert isinstance(step, GlobalStep)
    return step.open(context).fingerprint
