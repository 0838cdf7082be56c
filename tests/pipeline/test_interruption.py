"""SIGKILL at any instant: the same command continues and ends in the same bytes."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

from tests.pipeline.run_folder import HERE, committed, on_disk
from textmill.workspace import Workspace, verify

KILLS = 5

PROGRAM = """
import sys
sys.path[:0] = {paths!r}
from tests.pipeline.run_folder import recipe, steps
from textmill.pipeline import run_recipe
curate = (steps.Upper(), steps.Even(pause=0.03), steps.Same(), steps.Even(id="again", max_tail=9, pause=0.02))
run_recipe(recipe(*curate, workers=2, source=steps.Numbers(documents=3000, per_split=60)), sys.argv[1])
"""


def start(folder: Path) -> subprocess.Popen[bytes]:
    root = str(Path(HERE).parent.parent)
    program = PROGRAM.format(paths=[root, HERE])
    return subprocess.Popen([sys.executable, "-c", program, str(folder)], stderr=subprocess.DEVNULL)


def test_sigkill_at_random_instants(tmp_path: Path) -> None:
    whole = tmp_path / "whole"
    started = time.monotonic()
    assert start(whole).wait() == 0
    duration = time.monotonic() - started
    expected = committed(Workspace.open(whole))

    folder = tmp_path / "killed"
    instants = random.Random(7)
    killed = 0
    for _ in range(KILLS):
        process = start(folder)
        try:
            # From before the first write to the middle of the work; later starts have less left to do.
            process.wait(timeout=instants.uniform(0.25, 0.3 + 0.35 * duration))
        except subprocess.TimeoutExpired:
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
            killed += 1
    assert start(folder).wait() == 0
    workspace = Workspace.open(folder)
    assert committed(workspace) == expected
    assert verify(workspace) == []
    assert on_disk(folder) == set(expected), "nothing but committed files is left"
    assert not list(folder.rglob("*.part"))
    assert killed >= 2, "the kills came too late to test anything"


def test_ctrl_c_ends_quietly_and_the_same_command_continues(tmp_path: Path) -> None:
    recipe = tmp_path / "docs.yaml"
    recipe.write_text(
        "name: docs\nsources: [python_docs: {max_source_bytes: 2MB}]\n"
        "curate: [normalize, gopher_quality, exact_dedup]\nrun: {shard_bytes: 64KiB, workers: 2}\n"
    )
    command = [sys.executable, "-m", "textmill.cli", "run", str(recipe), "--out", str(tmp_path / "run")]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)
    # Workers are at work from the first commit on.
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob("run/commits/*/*.json")) and process.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to all of them
    _, told = process.communicate(timeout=60)
    assert process.returncode in (0, 130)
    assert "Traceback" not in told
    if process.returncode:
        assert "the same command continues" in told
    again = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert again.returncode == 0, again.stderr
    assert verify(Workspace.open(tmp_path / "run")) == []
