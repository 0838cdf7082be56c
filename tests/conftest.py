"""What all tests share."""

from __future__ import annotations

import os

import pytest
from hypothesis import settings

# Continuous integration judges a change, not its luck: the same examples every time. Elsewhere, new ones.
settings.register_profile("ci", derandomize=True, deadline=None)
settings.register_profile("dev", deadline=None)
settings.load_profile("ci" if os.environ.get("CI") else "dev")

# With several processes a file is one piece of work: the longest begin first, so that none waits for them at the end.
_LONGEST = [
    "test_whole_mill.py",
    "test_quickstart.py",
    "test_training.py",
    "test_run.py",
    "test_interruption.py",
    "test_span_dedup.py",
    "test_near_dedup_runs.py",
    "test_loop.py",
    "test_hostile.py",
    "test_bpe_merging.py",
]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    rank = {name: place for place, name in enumerate(_LONGEST)}
    items.sort(key=lambda item: rank.get(item.path.name, len(rank)))
