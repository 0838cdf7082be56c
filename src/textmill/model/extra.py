"""The optional part of the installation that models need."""

from __future__ import annotations

import os
from importlib.util import find_spec

from textmill.errors import UserError


def require_torch() -> None:
    """Say how to install what models need, if it is not there; to be called before torch is imported.

    OpenMP's threads are told to sleep while they wait for work, not to spin: on two cores that others use too, a
    spinning thread takes the time that the other one needs, and training was 4 times slower for it
    (docs/decisions/0007-quickstart-training.md). OMP_WAIT_POLICY set by the user is left alone.

    Raises:
        UserError: torch or safetensors is missing.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    missing = [package for package in ("torch", "safetensors") if find_spec(package) is None]
    if missing:
        raise UserError(
            "training, evaluation and generation need packages that are not installed",
            expected="torch and safetensors",
            found=f"no {' and no '.join(missing)}",
            hint="pip install 'textmill[train]'",
        )
