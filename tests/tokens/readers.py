"""The readers and writers of other tools, in an environment of their own.

    python -m tests.tokens.readers        # install them into build/readers (or TEXTMILL_READERS)

The tests that use them are skipped where the environment is not there.
"""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from pathlib import Path
from typing import Any

import pytest

REQUIREMENTS = (
    "torch==2.13.0",
    "datatrove==0.10.1",
    "megatron-core==0.16.1",
    "datasets==5.2.0",
    "tokenizers",
)
FOLDER = Path(os.environ.get("TEXTMILL_READERS") or Path(__file__).parents[2] / "build" / "readers")
PYTHON = FOLDER / "bin" / "python"


def call(script: str, *arguments: Any) -> str:
    """What a script of the other environment prints; it fails if the script does."""
    if not PYTHON.exists():
        pytest.skip(f"no {PYTHON}: python -m tests.tokens.readers")
    done = subprocess.run(
        [str(PYTHON), "-W", "ignore", "-c", script, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "PYTHONUTF8": "1"},
    )
    if done.returncode:
        pytest.fail(f"the other tool's reader failed:\n{done.stderr[-3000:]}")
    return done.stdout


def main() -> int:
    if not PYTHON.exists():
        venv.create(FOLDER, with_pip=True)
    return subprocess.run(
        [str(PYTHON), "-m", "pip", "install", "--quiet", *REQUIREMENTS], check=False
    ).returncode


if __name__ == "__main__":
    sys.exit(main())
