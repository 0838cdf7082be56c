"""What goes wrong outside the mill, in processes of their own: exit code 2, one screen, nothing half-written.

Full and read-only disks are small memory file systems in a mount namespace; where the machine does not permit
that, these tests are skipped.
"""

from __future__ import annotations

import json
import os
import random
import shlex
import subprocess
import sys
import time
from pathlib import Path

import pytest

TEXTMILL = f"{shlex.quote(sys.executable)} -m textmill.cli"
ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
NAMESPACE = ["unshare", "--map-root-user", "--mount", "sh", "-c"]


def shell(script: str, folder: Path, namespace: bool = False) -> subprocess.CompletedProcess[str]:
    command = [*NAMESPACE, script] if namespace else ["sh", "-c", script]
    return subprocess.run(command, capture_output=True, text=True, cwd=folder, env=ENVIRONMENT)


def assert_told(done: subprocess.CompletedProcess[str], *words: str) -> None:
    """One screen without a traceback; lines of progress before it do not count."""
    assert "Traceback" not in done.stderr
    message = [
        line for line in done.stderr.splitlines() if not line.lstrip().startswith(("0-", "1-", "2-", "3-"))
    ]
    assert len(message) <= 24
    for word in words:
        assert word in done.stderr, done.stderr


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A recipe, 2 MB of text that does not compress well, and two empty folders to mount on."""
    for name in ("small", "frozen"):
        (tmp_path / name).mkdir()
    chance = random.Random(1)
    lines = [json.dumps({"text": " ".join(str(chance.random()) for _ in range(30))}) for _ in range(3000)]
    (tmp_path / "texts.jsonl").write_text("\n".join(lines))
    (tmp_path / "r.yaml").write_text(
        "name: m\nsources: [files: texts.jsonl]\ncurate: [normalize, exact_dedup]\nrun: {workers: 1}\n"
    )
    return tmp_path


@pytest.fixture(scope="module")
def _mounts(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("mount")
    try:
        done = shell(f"mount -t tmpfs tmpfs {shlex.quote(str(folder))}", folder, namespace=True)
    except OSError:
        pytest.skip("no unshare on this machine")
    if done.returncode:
        pytest.skip(f"no private mounts on this machine: {done.stderr.strip()}")


@pytest.mark.usefixtures("_mounts")
def test_a_full_disk_and_then_room(folder: Path) -> None:
    script = f"""
    mount -t tmpfs -o size=400k tmpfs small || exit 77
    {TEXTMILL} run r.yaml --out small/run; echo "code $?"
    find small -name '*.parquet' -o -name lock.json -o -name '*.tmp' -o -name .scratch
    mount -o remount,size=50m small || exit 77
    {TEXTMILL} run r.yaml --out small/run > /dev/null 2>&1; echo "code $?"
    {TEXTMILL} verify small/run
    """
    done = shell(script, folder, namespace=True)
    assert done.stdout.splitlines()[:2] == ["code 2", "code 0"], done.stdout + done.stderr
    assert "PASS" in done.stdout.splitlines()[2]
    assert_told(done, "no space left for the run folder", "the same command continues")


@pytest.mark.usefixtures("_mounts")
def test_no_room_for_an_export(folder: Path) -> None:
    script = f"""
    {TEXTMILL} run r.yaml --out run > /dev/null 2>&1 || exit 77
    mount -t tmpfs -o size=400k tmpfs small || exit 77
    for format in jsonl parquet txt; do
      {TEXTMILL} export run --format $format --out small/corpus; echo "code $?"
    done
    ls -A small
    """
    done = shell(script, folder, namespace=True)
    assert done.stdout.split() == ["code", "2"] * 3, done.stdout + done.stderr
    assert_told(done, "The disk is full.")


@pytest.mark.usefixtures("_mounts")
def test_a_read_only_folder_can_be_read_and_is_not_written(folder: Path) -> None:
    script = f"""
    mount -t tmpfs tmpfs frozen || exit 77
    {TEXTMILL} run r.yaml --out frozen/run > /dev/null 2>&1 || exit 77
    mount -o remount,ro frozen || exit 77
    for command in "run r.yaml --out frozen/run" "run r.yaml --out frozen/new" "report frozen/run" \\
                   "export frozen/run --out frozen/x" "curate --input texts.jsonl --output frozen/x"; do
      {TEXTMILL} $command; echo "code $?"
    done
    for command in "status frozen/run" "verify frozen/run" "why texts.jsonl:1 --run frozen/run"; do
      {TEXTMILL} $command > /dev/null; echo "code $?"
    done
    ls -A frozen
    """
    done = shell(script, folder, namespace=True)
    assert done.stdout.splitlines() == ["code 2"] * 5 + ["code 0"] * 3 + ["run"], done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert done.stderr.count("the run folder cannot be written") == 4


def test_a_locked_folder(folder: Path) -> None:
    script = (
        "from textmill.workspace import Workspace\nimport sys\n"
        "with Workspace.create('run').lock():\n    print('locked', flush=True)\n    sys.stdin.read()\n"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", script], cwd=folder, env=ENVIRONMENT, stdin=subprocess.PIPE,
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "locked\n"
        done = shell(f"{TEXTMILL} run r.yaml --out run", folder)
        assert (done.returncode, done.stdout) == (2, "")
        assert_told(done, "another run is at work in this folder", f"process {holder.pid} on", "wait for it")
        assert [path.name for path in (folder / "run").iterdir()] == ["lock.json"]
    finally:
        holder.communicate("")
    # Its end frees the folder; so would its death.
    assert shell(f"{TEXTMILL} run r.yaml --out run", folder).returncode == 0


def test_the_lock_of_a_killed_run_is_no_obstacle(folder: Path) -> None:
    script = "from textmill.workspace import Workspace\nimport time\n"
    script += "with Workspace.create('run').lock():\n    print('locked', flush=True)\n    time.sleep(60)\n"
    holder = subprocess.Popen(
        [sys.executable, "-c", script], cwd=folder, env=ENVIRONMENT, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "locked\n"
    holder.kill()
    holder.wait()
    holder.stdout.close()
    time.sleep(0.05)
    assert (folder / "run" / "lock.json").exists()
    assert shell(f"{TEXTMILL} run r.yaml --out run", folder).returncode == 0


@pytest.mark.parametrize(
    ("change", "option", "words"),
    [
        (("texts.jsonl", "nowhere/"), "", ["input not found", "nowhere"]),
        (("normalize", "normalise"), "", ["There is no step 'normalise'", "r.yaml:3:10", "did you mean 'normalize'?"]),
        (("workers: 1", "workers: many"), "", ["run.workers cannot be text 'many'", "r.yaml:4:16", "a whole number"]),
        (("workers: 1", "workers: -1"), "", ["run.workers cannot be the number -1", "0 or more"]),
        (("normalize,", "normalize, {normalize: {id: n2}},"), "--set normalize.unicode=NFKC",
         ["could mean 2 places", "curate.0.unicode or curate.1.unicode"]),
        (("normalize,", '"own.py:Step",'), "", ["own.py", "cannot be read"]),
    ],
)  # fmt: skip
def test_broken_recipes_leave_nothing(
    folder: Path, change: tuple[str, str], option: str, words: list[str]
) -> None:
    recipe = folder / "r.yaml"
    recipe.write_text(recipe.read_text().replace(*change))
    done = shell(f"{TEXTMILL} run r.yaml {option}", folder)
    assert (done.returncode, done.stdout) == (2, ""), done.stderr
    assert_told(done, *words)
    assert not (folder / "runs").exists(), "nothing half-written"


def test_an_empty_input(folder: Path) -> None:
    (folder / "texts.jsonl").write_text("")
    done = shell(f"{TEXTMILL} run r.yaml", folder)
    assert (done.returncode, done.stdout) == (2, "")
    assert_told(done, "the sources gave no document", "1 unreadable record: the file is empty")
