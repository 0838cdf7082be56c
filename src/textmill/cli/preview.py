"""``preview``: the windows of a run's training, as it reads them."""

from __future__ import annotations

import argparse
from typing import Any

from textmill.cli.run_choice import chosen_run
from textmill.cli.windows import legend, print_windows
from textmill.errors import UserError


def print_preview(arguments: argparse.Namespace) -> int:
    """Show windows from a step on, and look for what must not be trained on.

    Raises:
        UserError: no such run, no tokens in it, or something in its batches that must not be trained on.
    """
    from textmill.model.extra import require_torch
    from textmill.workspace import Workspace

    require_torch()
    from textmill.train.data import open_data
    from textmill.train.inspection import check_batches
    from textmill.train.shown_windows import decoder, first_windows

    if arguments.step < 1 or arguments.samples < 1:
        given = f"--step {arguments.step} --samples {arguments.samples}"
        raise UserError("This is out of range.", expected="1 or more", found=given)
    workspace = Workspace.open(chosen_run(arguments.run))
    if workspace.manifest.find("tokens") is None:
        raise UserError(
            "This run has no tokens.",
            expected="a run whose recipe has a section tokens:",
            where=workspace.url,
            hint="add tokens: to the recipe and run it again",
        )
    settings, seed = _settings(workspace, arguments.overrides)
    tokens, tokenizer = workspace.local("tokens"), workspace.local("tokenizer") / "tokenizer.json"
    data = open_data(settings, tokens, seed)
    first = arguments.step - 1
    windows = first_windows(data.feed, arguments.samples, data.eos_id, first)
    print_windows(windows, decoder(tokenizer), full=arguments.full)
    legend()
    batches = ((data.feed.samples(step), data.feed.batch(step)) for step in range(first, first + 4))
    found = check_batches(
        batches, vocab_size=data.vocab_size, eos_id=data.eos_id, stops_per_token=data.stops_per_token
    )
    for line in found.lines():
        print(line)
    return 0


def _settings(workspace: Any, overrides: list[str]) -> tuple[Any, int]:
    """The section ``train`` of a run's recipe, or its defaults; and the seed of its data order."""
    from textmill.recipe import load_recipe
    from textmill.train.settings import TrainSection

    recipe = load_recipe(workspace.read_text("recipe.yaml"), list(overrides))
    settings = recipe.train if isinstance(recipe.train, TrainSection) else TrainSection(preset="tiny")
    return settings.resolved(), recipe.seed if settings.seed is None else settings.seed
