"""Which documents a tokenizer is trained on: all of them, or a sample by id.

A document belongs to the sample when a hash of its id (and the seed) falls below a threshold, so the sample
depends neither on shards nor on workers, and another document's arrival changes it only through the
fraction.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from hashlib import blake2b
from pathlib import Path

_PERSON = b"textmill-sample"


def sample_texts(
    shards: Sequence[Path],
    *,
    sample_bytes: int,
    corpus_bytes: int,
    seed: int,
    read: Callable[[int], None] = lambda shards_read: None,
) -> Iterator[str]:
    """Texts of the documents in ``shards``, in order, of about ``sample_bytes`` bytes and never more.

    A document that would not fit into what is left is passed over. Memory: one row group.

    Args:
        shards: document shards.
        sample_bytes: bytes of UTF-8 to give at most.
        corpus_bytes: bytes of UTF-8 in all shards together.
        seed: another seed, another sample.
        read: called with the number of shards read so far.
    """
    import pyarrow.parquet as pq

    threshold = 2**64 if corpus_bytes <= sample_bytes else sample_bytes * 2**64 // corpus_bytes
    left = sample_bytes
    for position, shard in enumerate(shards):
        with pq.ParquetFile(shard, pre_buffer=False) as parquet:
            for group in range(parquet.num_row_groups):
                ids = parquet.read_row_group(group, columns=["id"], use_threads=False).column("id")
                chosen = [in_sample(identifier, seed, threshold) for identifier in ids.to_pylist()]
                # Texts are decompressed only where one of them is wanted.
                if left <= 0 or not any(chosen):
                    continue
                texts = parquet.read_row_group(group, columns=["text"], use_threads=False).column("text")
                for wanted, text in zip(chosen, texts, strict=True):
                    if not wanted:
                        continue
                    buffer = text.as_buffer()
                    size = 0 if buffer is None else buffer.size
                    if size <= left:
                        left -= size
                        yield text.as_py()
        read(position + 1)


def in_sample(identifier: bytes, seed: int, threshold: int) -> bool:
    """Whether a document is among the ``threshold`` / 2**64 of all documents that ``seed`` chooses."""
    return sample_hash(identifier, seed) < threshold


def sample_hash(identifier: bytes, seed: int) -> int:
    """Where a document stands among all: a number below 2**64 that its id and the seed alone decide."""
    digest = blake2b(
        identifier, digest_size=8, person=_PERSON, key=seed.to_bytes(16, "little", signed=True)
    ).digest()
    return int.from_bytes(digest, "little")


def sample_evenly(shards: Sequence[Path], *, texts_bytes: int, places: int = 32) -> Iterator[str]:
    """Texts from the start of evenly spaced shards, to measure something without reading everything.

    Args:
        shards: document shards.
        texts_bytes: bytes of UTF-8 to give in all, at least one document per place.
        places: number of shards to look into at most.
    """
    from textmill.documents import read_batches

    count = min(places, len(shards))
    for place in range(count):
        left = texts_bytes // count
        for batch in read_batches(shards[place * len(shards) // count]):
            for text in batch.texts:
                yield text
                left -= len(text.encode())
                if left <= 0:
                    break
            break
