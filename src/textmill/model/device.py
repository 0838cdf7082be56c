"""Choosing where a model computes."""

from __future__ import annotations

import torch

from textmill.errors import UserError


def pick_device(name: str = "auto") -> torch.device:
    """The device that a setting means.

    Args:
        name: ``auto`` (a GPU if there is one), ``cpu``, ``cuda`` or ``mps``.

    Raises:
        UserError: this machine has no such device, or torch was built without it.
    """
    cuda, mps = torch.cuda.is_available(), torch.backends.mps.is_available()
    if name == "auto":
        return torch.device("cuda" if cuda else "mps" if mps else "cpu")
    if name not in ("cpu", "cuda", "mps") or (name == "cuda" and not cuda) or (name == "mps" and not mps):
        raise UserError(
            f"torch finds no device {name!r} here",
            expected=f"auto, cpu{', cuda' if cuda else ''}{', mps' if mps else ''} (torch {torch.__version__})",
            found=name,
            hint="choose auto or cpu, or install the torch build for this GPU",
        )
    return torch.device(name)
