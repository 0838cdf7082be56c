"""The machine that a figure was measured on, in one line."""

from __future__ import annotations

import os
import platform
from datetime import UTC, datetime
from pathlib import Path


def describe() -> str:
    """Date, processor, cores, memory, versions."""
    import numba
    import numpy

    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return (
        f"{datetime.now(UTC):%Y-%m-%d}, {_processor()}, {os.cpu_count()} cores, {memory:.0f} GiB, "
        f"Python {platform.python_version()}, NumPy {numpy.__version__}, Numba {numba.__version__}"
    )


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    speeds = [line.partition(":")[2].strip() for line in lines if line.startswith("cpu MHz")]
    return f"{(models or [platform.machine()])[0]} ({float((speeds or ['0'])[0]) / 1000:.1f} GHz)"
