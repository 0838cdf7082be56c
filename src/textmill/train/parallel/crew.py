"""Several processes for one training: this one leads, the others follow.

::

    textmill run … ─► stage ─► crew ─┬─► this process: rank 0, holds the run, writes files, draws the bar
                                     ├─► python -m textmill.train.parallel.follow        rank 1 … on this machine
                                     └─► ssh HOST python -m textmill.train.parallel.follow   … and on the others

Followers are told what to train by rank 0 over the process group. Under torchrun (or any launcher that sets RANK and
WORLD_SIZE) the followers are there already: processes other than the first go to :func:`follow.follow` at once.
"""

from __future__ import annotations

import os
import shlex
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import torch

from textmill.errors import UserError
from textmill.train.parallel.hostfile import Host, read_environment, read_hostfile
from textmill.train.settings import TrainSection

PORT = 29_400
"""Where rank 0 listens if there are several machines; MASTER_PORT overrules it."""

_FOLLOW = "textmill.train.parallel.follow"
_PASSED_ON = (
    "NCCL_",
    "GLOO_",
    "CUDA_",
    "OMP_",
    "TORCH_",
    "DS_",
    "HF_",
    "PYTHONPATH",
    "PATH",
    "LD_LIBRARY_PATH",
)


@contextmanager
def crew(settings: TrainSection, say: Callable[[str], None]) -> Iterator[None]:
    """Start the followers that the settings ask for, and make this process rank 0 of them.

    Args:
        settings: ``processes`` on this machine, or ``hostfile`` for several.
        say: told how many there are.

    Raises:
        UserError: a follower failed; its last lines are shown.
    """
    if "WORLD_SIZE" in os.environ:  # a launcher has started all of them
        yield
        return
    hosts = _hosts(settings)
    size = sum(host.slots for host in hosts)
    if size == 1:
        yield
        return
    several = len(hosts) > 1
    extra = read_environment(Path(settings.environment)) if settings.environment else {}
    address = hosts[0].name if several else "127.0.0.1"
    port = os.environ.get("MASTER_PORT") or str(PORT if several else _free_port())
    common = extra | {"MASTER_ADDR": address, "MASTER_PORT": port, "WORLD_SIZE": str(size)}
    say(f"{size} processes" + (f" on {len(hosts)} machines" if several else ""))
    before = {name: os.environ.get(name) for name in (*common, "RANK", "LOCAL_RANK")}
    followers: list[tuple[str, subprocess.Popen[bytes], IO[bytes]]] = []
    rank = 0
    try:
        for number, host in enumerate(hosts):
            for slot in range(host.slots):
                own = common | {"RANK": str(rank), "LOCAL_RANK": str(slot)}
                if rank == 0:
                    os.environ.update(own)
                else:
                    followers.append(_start(host, own, remote=number > 0))
                rank += 1
        yield
        for _, process, _ in followers:
            process.wait(timeout=120)
    except Exception as error:
        failed = _failure(followers)
        if failed is not None and not isinstance(error, UserError):
            raise failed from error
        raise
    finally:
        for _, process, log in followers:
            process.terminate()
            process.wait()
            log.close()
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _hosts(settings: TrainSection) -> list[Host]:
    if settings.hostfile is not None:
        return read_hostfile(Path(settings.hostfile))
    if settings.processes is not None:
        return [Host("localhost", settings.processes)]
    on_gpus = settings.device in ("auto", "cuda") and torch.cuda.is_available()
    return [Host("localhost", max(1, torch.cuda.device_count()) if on_gpus else 1)]


def _start(
    host: Host, variables: Mapping[str, str], *, remote: bool
) -> tuple[str, subprocess.Popen[bytes], IO[bytes]]:
    log = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the crew
    name = f"process {variables['RANK']} on {host.name}"
    if remote:
        command = remote_command(host, variables)
        environment = dict(os.environ)
    else:
        command = [sys.executable, "-m", _FOLLOW]
        environment = os.environ | dict(variables)
    process = subprocess.Popen(
        command, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT
    )
    return name, process, log


def remote_command(host: Host, variables: Mapping[str, str]) -> list[str]:
    """How a follower is started on another machine: the same folder, the same Python, over ssh without a password.

    >>> remote_command(Host("node2", 8), {"RANK": "8"})[:4]
    ['ssh', '-tt', '-o', 'BatchMode=yes']
    """
    kept = {name: value for name, value in os.environ.items() if name.startswith(_PASSED_ON)}
    words = [f"{name}={value}" for name, value in {**kept, **variables}.items()]
    line = (
        f"cd {shlex.quote(str(Path.cwd()))} && exec env {shlex.join([*words, sys.executable, '-m', _FOLLOW])}"
    )
    return ["ssh", "-tt", "-o", "BatchMode=yes", host.name, line]


def _failure(followers: Sequence[tuple[str, subprocess.Popen[bytes], IO[bytes]]]) -> UserError | None:
    """What the first follower that broke said last."""
    for name, process, log in followers:
        try:
            code = process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            continue
        if code:
            log.seek(0)
            lines = log.read().decode("utf-8", "replace").strip().splitlines()
            return UserError(
                f"{name} of the training failed (exit code {code})",
                found="\n".join(lines[-12:]) or "no output",
            )
    return None


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    return port
