"""Real data for tests, which the repository does not hold: the folder that TEXTMILL_DATA names, where there is one."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


def development_data(path: str) -> Path:
    """A file or folder of the development data; the test is skipped without it."""
    folder = os.environ.get("TEXTMILL_DATA")
    if not folder or not (found := Path(folder, path)).exists():
        pytest.skip(f"needs {path} in the folder that TEXTMILL_DATA names")
    return found
