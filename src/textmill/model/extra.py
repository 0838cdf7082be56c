"""The optional part of the installation that models need."""

from __future__ import annotations

from importlib.util import find_spec

from textmill.errors import UserError


def require_torch() -> None:
    """Say how to install what models need, if it is not there.

    Raises:
        UserError: torch or safetensors is missing.
    """
    missing = [package for package in ("torch", "safetensors") if find_spec(package) is None]
    if missing:
        raise UserError(
            "training, evaluation and generation need packages that are not installed",
            expected="torch and safetensors",
            found=f"no {' and no '.join(missing)}",
            hint="pip install 'textmill[train]'",
        )
