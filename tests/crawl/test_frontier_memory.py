"""Ten million known addresses take no more memory than one million."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_memory_does_not_grow_with_known_addresses(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "benchmarks.frontier", "--json", "--folder", str(tmp_path)]
    done = subprocess.run(
        [*command, "--addresses", "10_000_000"], capture_output=True, text=True, check=True, cwd=_ROOT
    )
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert rows[0]["addresses"] == pytest.approx(1e6, rel=0.01)
    assert rows[-1]["addresses"] == pytest.approx(1e7, rel=0.01)
    assert max(row["resident_mb"] for row in rows) <= 1.1 * rows[0]["resident_mb"], rows


_ROOT = Path(__file__).resolve().parents[2]
