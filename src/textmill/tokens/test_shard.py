"""Which documents make a test shard: those whose hash is small, so that each has the same chance."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from textmill.tokens.encode_part import BUCKETS

EVERYTHING = 2**64


def threshold_of(measured: Iterable[Mapping[str, Any]], tokens: int) -> int:
    """The hash below which documents hold about ``tokens`` tokens; :data:`EVERYTHING` where all hold fewer.

    Args:
        measured: what :func:`textmill.tokens.encode_part.measure_part` said of each split: bytes of text by
            hash, and bytes and tokens of some documents, which give the bytes per token.
        tokens: how many are wanted.
    """
    histogram = [0] * BUCKETS
    sample_bytes = sample_tokens = 0
    for result in measured:
        histogram = [a + b for a, b in zip(histogram, result["bytes"], strict=True)]
        sample_bytes += result["sample_bytes"]
        sample_tokens += result["sample_tokens"]
    if not sample_tokens:
        return EVERYTHING
    wanted = tokens * sample_bytes / sample_tokens
    seen = 0.0
    for bucket, size in enumerate(histogram):
        if size and seen + size >= wanted:
            return min(EVERYTHING, (bucket << 52) + int((wanted - seen) / size * 2**52))
        seen += size
    return EVERYTHING
