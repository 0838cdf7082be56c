"""Which documents a tokenizer is trained on: all of them, or a sample by id, evened out by language or source.

A document belongs to the sample when a hash of its id (and the seed) falls below a threshold, so the sample
depends neither on shards nor on workers, and another document's arrival changes it only through the
fraction. Evened out, each group (a language, a source) has a threshold of its own.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

_PERSON = b"textmill-sample"
POOL_SAMPLES = 8
"""How many times the size of a sample is looked at to even it out: rare languages are found in there."""
MOST_GROUPS = 4095
OTHERS = "(others)"


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


@dataclass(frozen=True)
class Share:
    """How often the documents of a group are taken: ``whole`` times each, and once more if chosen.

    Attributes:
        available: bytes of the group in the pool.
        target: bytes of it that the sample is to have.
    """

    available: int
    target: int

    @property
    def whole(self) -> int:
        """Times that each document is taken."""
        return self.target // self.available

    def times(self, place: int, pool: int) -> int:
        """How often the document is taken that stands at ``place`` of the ``pool`` (of :func:`sample_hash`)."""
        return self.whole + (place * self.available < pool * (self.target % self.available))


def group_shares(
    available: Mapping[str, int],
    *,
    sample_bytes: int,
    weights: Mapping[str, float],
    exponent: float,
    repeat: int,
) -> dict[str, Share]:
    """How much of each group a sample of ``sample_bytes`` takes.

    A group of n bytes gets a share in proportion to weight times n ** exponent (Conneau et al. 2020,
    https://arxiv.org/abs/1911.02116, section 3.1, with 0.3); none more than ``repeat`` times what it has, and
    what it cannot give goes to the others.

    Args:
        available: bytes by group.
        sample_bytes: bytes to share out.
        weights: factors by group; 1 where none is named, 0 leaves a group out.
        exponent: 1 for shares as they are, 0 for equal shares.
        repeat: how often a document may be taken.
    """
    wanted = {
        group: weights.get(group, 1.0) * size**exponent for group, size in sorted(available.items()) if size
    }
    wanted = {group: weight for group, weight in wanted.items() if weight > 0}
    targets: dict[str, int] = {}
    left = sample_bytes
    while wanted:
        total = sum(wanted.values())
        full = [group for group in wanted if left * wanted[group] / total >= repeat * available[group]]
        for group in full or list(wanted):
            targets[group] = repeat * available[group] if full else int(left * wanted[group] / total)
        if not full:
            break
        for group in full:
            left -= targets[group]
            del wanted[group]
    return {group: Share(available[group], target) for group, target in sorted(targets.items())}


def sample_by_group(
    shards: Sequence[Path],
    *,
    sample_bytes: int,
    corpus_bytes: int,
    seed: int,
    group: Callable[[Mapping[str, Any]], str],
    weights: Mapping[str, float],
    exponent: float,
    repeat: int,
    read: Callable[[int], None] = lambda shards_read: None,
) -> tuple[dict[str, Share], Iterator[str]]:
    """Shares of the groups, and the texts themselves, in the order of the shards.

    Looks at a pool of documents, chosen by id, of about :data:`POOL_SAMPLES` times the sample, twice: to
    measure the groups, and to read the texts. A small corpus is made larger by repeating documents of its
    smaller groups, up to ``sample_bytes`` or the size of the corpus, whatever is less. Memory: one row group.

    Args:
        shards: document shards.
        sample_bytes: bytes of UTF-8 to give, about.
        corpus_bytes: bytes of UTF-8 in all shards together.
        seed: another seed, another sample.
        group: the group of a record (columns ``source``, ``metadata``, ``text``).
        weights: see :func:`group_shares`.
        exponent: see :func:`group_shares`.
        repeat: see :func:`group_shares`.
        read: called with the number of shards read so far, of twice as many.
    """
    wished = POOL_SAMPLES * sample_bytes
    pool = 2**64 if corpus_bytes <= wished else wished * 2**64 // corpus_bytes
    available: dict[str, int] = {}
    # Guessing a language costs more than remembering it: two bytes for each document of the pool.
    numbers: dict[str, int] = {}
    groups = array("H")
    for record, _ in _records(shards, seed, pool, read):
        name = group(record)
        groups.append(numbers.setdefault(name, min(len(numbers), MOST_GROUPS)))
        name = name if numbers[name] < MOST_GROUPS else OTHERS
        available[name] = available.get(name, 0) + len(record["text"].encode())
    budget = min(sample_bytes, sum(available.values()))
    shares = group_shares(available, sample_bytes=budget, weights=weights, exponent=exponent, repeat=repeat)

    by_number = [shares.get(name) for name in list(numbers)[:MOST_GROUPS]] + [shares.get(OTHERS)]

    def texts() -> Iterator[str]:
        records = _records(shards, seed, pool, lambda done: read(len(shards) + done))
        for number, (record, place) in zip(groups, records, strict=True):
            share = by_number[number]
            for _ in range(share.times(place, pool) if share else 0):
                yield record["text"]

    return shares, texts()


def _records(
    shards: Sequence[Path], seed: int, pool: int, read: Callable[[int], None]
) -> Iterator[tuple[dict[str, Any], int]]:
    """Documents below the threshold ``pool``, with their places among all."""
    import pyarrow.parquet as pq

    for position, shard in enumerate(shards):
        with pq.ParquetFile(shard, pre_buffer=False) as parquet:
            for number in range(parquet.num_row_groups):
                ids = parquet.read_row_group(number, columns=["id"], use_threads=False).column("id")
                places = [sample_hash(identifier, seed) for identifier in ids.to_pylist()]
                chosen = [row for row, place in enumerate(places) if place < pool]
                if not chosen:
                    continue
                columns = ["source", "metadata", "text"]
                table = parquet.read_row_group(number, columns=columns, use_threads=False).take(chosen)
                for row, record in zip(chosen, table.to_pylist(), strict=True):
                    yield record, places[row]
        read(position + 1)


def sample_evenly(
    shards: Sequence[Path], *, texts_bytes: int, places: int = 32
) -> Iterator[tuple[str, str | None]]:
    """Texts and metadata from evenly spaced row groups, to measure something without reading everything.

    Args:
        shards: document shards.
        texts_bytes: bytes of UTF-8 to give in all, about.
        places: number of row groups to look into at most.
    """
    import pyarrow.parquet as pq

    count = min(places, len(shards))
    looked_at = [shards[place * len(shards) // count] for place in range(count)]
    for shard in looked_at:
        with pq.ParquetFile(shard, pre_buffer=False) as parquet:
            groups = min(parquet.num_row_groups, max(1, places // count))
            for place in range(groups):
                number = place * parquet.num_row_groups // groups
                table = parquet.read_row_group(number, columns=["text", "metadata"], use_threads=False)
                left = texts_bytes // (count * groups)
                size = max(1, table.column("text").nbytes)
                step = max(1, size // max(1, left))
                for record in table.take(list(range(0, table.num_rows, step))).to_pylist():
                    yield record["text"], record["metadata"]
                    left -= len(record["text"].encode())
                    if left <= 0:
                        break
