"""Files to begin with for several machines: a hostfile, variables for NCCL, a configuration of DeepSpeed."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from textmill.errors import UserError

TEMPLATES = ("hostfile", "nccl.env", "deepspeed.json")


def write_templates(folder: Path) -> list[Path]:
    """Copy the templates to a folder.

    Raises:
        UserError: one of them is there already.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name in TEMPLATES:
        if (folder / name).exists():
            raise UserError(
                "a template would overwrite a file", where=str(folder / name), hint="name another folder"
            )
    for name in TEMPLATES:
        (folder / name).write_bytes(files(__package__).joinpath(name).read_bytes())
    return [folder / name for name in TEMPLATES]
