"""Numbered token shards: ``train_000000.npy``, ``train_000001.npy``, ... in one folder, each 1-D.

The layout of Templar's data preparation: shards laid end to end are one stream of tokens, documents may run
across their borders, and only the last shard may be shorter than the others.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from textmill.errors import UserError

BLOCK_BYTES = 16 * 2**20
DTYPES = ("uint16", "uint32")

_NAME = re.compile(r"train_(\d{6,})\.npy")


@dataclass(frozen=True)
class NumberedShard:
    """One ``.npy`` file as its header describes it.

    Attributes:
        path: the file.
        tokens: number of tokens.
        dtype: uint16 or uint32, with the byte order of the file.
        data_start: first byte behind the header.
    """

    path: Path
    tokens: int
    dtype: np.dtype[Any]
    data_start: int


def shard_name(number: int) -> str:
    """File name of shard ``number``, from 0."""
    return f"train_{number:06d}.npy"


def shard_numbers(folder: Path) -> list[int]:
    """The numbers of the shards that lie in ``folder``, ascending; empty when there are none."""
    found = (_NAME.fullmatch(path.name) for path in folder.iterdir()) if folder.is_dir() else ()
    return sorted(int(match[1]) for match in found if match)


def list_shards(folder: Path, token_dtype: str | None = None) -> list[NumberedShard]:
    """The shards of ``folder`` in order, their headers checked against their sizes.

    Args:
        folder: where they lie.
        token_dtype: what they must hold; left out, whatever the first one holds.

    Raises:
        UserError: none there, a number is missing, a file is no 1-D array of that type, or is cut short.
    """
    numbers = shard_numbers(folder)
    if not numbers:
        raise UserError(
            "There are no token shards here.",
            expected=f"{shard_name(0)}, {shard_name(1)}, ...",
            found="no such folder" if not folder.is_dir() else "no file of that name",
            where=str(folder),
            hint="make them with textmill tokens build, or name the folder that holds them",
        )
    for position, number in enumerate(numbers):
        if number != position:
            raise UserError(
                "A token shard is missing.",
                expected=shard_name(position),
                found=f"{len(numbers)} shards, the next one is {shard_name(number)}",
                where=str(folder),
                hint="fetch or build the missing shard; without it every later token would move",
            )
    shards = [read_header(folder / shard_name(number)) for number in numbers]
    expected = token_dtype or shards[0].dtype.name
    for shard in shards:
        if shard.dtype.name != expected:
            source = "--token-dtype" if token_dtype else f"the type of {shards[0].path.name}"
            raise UserError(
                "A token shard holds another type of number.",
                expected=f"{expected} ({source})",
                found=shard.dtype.name,
                where=str(shard.path),
                hint="build all shards with one tokenizer and one token dtype",
            )
    return shards


def read_header(path: Path) -> NumberedShard:
    """What the header of a shard says, checked against the size of the file.

    Raises:
        UserError: no ``.npy`` file, not 1-D, not uint16 or uint32, or the file is cut short or too long.
    """
    try:
        with path.open("rb") as stream:
            version = np.lib.format.read_magic(stream)
            read = np.lib.format.read_array_header_1_0
            if version != (1, 0):
                read = np.lib.format.read_array_header_2_0
            shape, _, dtype = read(stream)
            data_start = stream.tell()
    except (ValueError, EOFError) as error:
        raise UserError(
            "A token shard cannot be read.",
            expected="a .npy file (numpy.save)",
            found=str(error),
            where=str(path),
            hint="fetch or build it again",
        ) from None
    if len(shape) != 1 or dtype.name not in DTYPES:
        raise UserError(
            "A token shard is not an array of tokens.",
            expected="one dimension, uint16 or uint32",
            found=f"shape {shape}, {dtype.name}",
            where=str(path),
            hint="fetch or build it again",
        )
    size = path.stat().st_size - data_start
    if size != shape[0] * dtype.itemsize:
        raise UserError(
            "A token shard is cut short."
            if size < shape[0] * dtype.itemsize
            else "A token shard is too long.",
            expected=f"{shape[0]:,} tokens of {dtype.name}: {shape[0] * dtype.itemsize:,} bytes",
            found=f"{size:,} bytes",
            where=str(path),
            hint="fetch or build it again",
        )
    return NumberedShard(path, int(shape[0]), dtype, data_start)


def blocks(shard: NumberedShard, start: int = 0) -> Iterator[npt.NDArray[Any]]:
    """The tokens of a shard from ``start`` on, little-endian, a block of :data:`BLOCK_BYTES` at a time."""
    target = shard.dtype.newbyteorder("<")
    with shard.path.open("rb") as stream:
        stream.seek(shard.data_start + start * shard.dtype.itemsize)
        left = shard.tokens - start
        while left:
            block = np.fromfile(stream, shard.dtype, min(left, BLOCK_BYTES // shard.dtype.itemsize))
            if not len(block):
                raise OSError(f"{shard.path} became shorter while it was read")
            left -= len(block)
            yield block.astype(target, copy=False)


def total_tokens(shards: Sequence[NumberedShard]) -> int:
    """Tokens of all shards together."""
    return sum(shard.tokens for shard in shards)
