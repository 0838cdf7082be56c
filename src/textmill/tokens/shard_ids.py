"""Sample ids shard by shard: ``sample_ids_000007.bin`` beside ``train_000007.npy``.

The layout of Templar's newer data sets, whose shards are used as they are instead of being joined: samples are
cut from each shard by itself, and its tail of fewer than ``seq_len`` tokens belongs to none. Ids are
little-endian uint64 without a header, as in ``sample_ids.bin``.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np

from textmill.tokens.consolidated import Part
from textmill.tokens.folder_lock import only_writer
from textmill.tokens.numbered_shards import blocks, list_shards
from textmill.tokens.sample_ids import SampleIdStream


def write_shard_ids(folder: Path, *, seq_len: int = 2048, token_dtype: str | None = None) -> list[Part]:
    """Write the ids of every shard's samples; returns name, number and SHA-256 of each file, in order.

    Args:
        folder: holds ``train_%06d.npy``.
        seq_len: tokens per sample.
        token_dtype: uint16 or uint32, which the shards must hold; left out, what they hold.

    Raises:
        UserError: shards that are missing, damaged or of another type.
    """
    shards = list_shards(folder, token_dtype)
    parts = []
    with only_writer(folder):
        for number, shard in enumerate(shards):
            samples = shard.tokens // seq_len
            stream = SampleIdStream(seq_len, shard.dtype.itemsize, samples, "correct")
            path = folder / f"sample_ids_{number:06d}.bin"
            partial = path.with_name(f"{path.name}.partial")
            digest = hashlib.sha256()
            with partial.open("wb") as file:
                for block in blocks(shard):
                    ids = np.ascontiguousarray(stream.feed(block))
                    digest.update(ids.data)
                    file.write(ids.data)
            partial.replace(path)
            parts.append(Part(path.name, samples, digest.hexdigest()))
    return parts
