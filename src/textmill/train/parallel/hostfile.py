"""The machines of a training: DeepSpeed's and Open MPI's hostfile, one line ``name slots=8`` per machine."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from textmill.errors import UserError


@dataclass(frozen=True)
class Host:
    """A machine.

    Attributes:
        name: as ssh knows it; the first one of a file is where the command runs.
        slots: processes there, one per GPU.
    """

    name: str
    slots: int


def read_hostfile(path: Path) -> list[Host]:
    """The machines of a file; ``#`` begins a comment.

    Raises:
        UserError: no such file, no machine in it, or a line of another form.
    """
    try:
        lines = path.read_text("utf-8").splitlines()
    except OSError as error:
        raise UserError("the hostfile cannot be read", where=str(path), found=error.strerror) from None
    hosts: list[Host] = []
    for number, line in enumerate(lines, 1):
        written = line.partition("#")[0].strip()
        if not written:
            continue
        match = re.fullmatch(r"(\S+)(?:\s+slots\s*=\s*([1-9]\d*))?", written)
        if match is None:
            raise UserError(
                "this is no line of a hostfile",
                where=f"{path}:{number}",
                expected="name slots=8",
                found=written,
            )
        if match[1] in {host.name for host in hosts}:
            raise UserError("a machine is named twice", where=f"{path}:{number}", found=match[1])
        hosts.append(Host(match[1], int(match[2] or 1)))
    if not hosts:
        raise UserError("the hostfile names no machine", where=str(path), expected="name slots=8")
    return hosts


def read_environment(path: Path) -> dict[str, str]:
    """Variables from a file of lines ``NAME=value``, for NCCL and the like; ``#`` begins a comment.

    Raises:
        UserError: no such file, or a line of another form.
    """
    try:
        lines = path.read_text("utf-8").splitlines()
    except OSError as error:
        raise UserError(
            "the file of variables cannot be read", where=str(path), found=error.strerror
        ) from None
    found = {}
    for number, line in enumerate(lines, 1):
        written = line.strip()
        if not written or written.startswith("#"):
            continue
        name, equals, value = written.partition("=")
        if not equals or not re.fullmatch(r"[A-Za-z_]\w*", name.strip()):
            raise UserError(
                "this is no variable", where=f"{path}:{number}", expected="NAME=value", found=written
            )
        found[name.strip()] = value.strip()
    return found
