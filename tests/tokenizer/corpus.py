"""A small corpus for the tests of tokenizer and tokens: real prose, code, several scripts, hostile texts."""

from __future__ import annotations

import hashlib
import inspect
import json
import string
import textwrap
from pathlib import Path

import pyarrow as pa

from textmill.documents import Batch, Document, ShardWriter
from textmill.steps.stage import StageResult

HOSTILE = [
    "",
    " ",
    "\n\n\n",
    "ends with <|endoftext|>",
    "<|endoftext|><|endoftext|>",
    "a\x00b\x1c\x85\u2028\ufeff",
    "e\u0301\u0300\u0302 \u200d👩\u200d👩\u200d👧 \U0010ffff",
    "ſtraße 'ſ 'S it's IT'S",
    "中文没有空格的一句话。日本語のテキスト",
    "١٢٣٤ 12345 ½ Ⅷ",
    "\r\n\r\n\t x \r y",
    "=" * 300,
]


def prose() -> list[str]:
    """Some 200 texts that every machine has: docstrings and sources of the standard library."""
    texts = []
    for module in (json, string, textwrap, inspect):
        source = inspect.getsource(module)
        texts.append(source)
        texts.extend(part for part in source.split("\n\n") if len(part) > 80)
    return texts


def write_corpus(root: Path, texts: list[str], shards: int = 3, families: int | None = None) -> StageResult:
    """Write ``texts`` as document shards below ``root``, as the pipeline leaves them."""
    folder = root / "passes" / "0-ingest" / "documents"
    folder.mkdir(parents=True, exist_ok=True)
    outputs = []
    characters = text_bytes = 0
    for shard in range(shards):
        part = [(i, text) for i, text in enumerate(texts) if i * shards // max(1, len(texts)) == shard]
        batch = Batch.from_documents("test", [Document(str(i), text) for i, text in part])
        if families is not None:
            roots = [bytes([i % families]) * 16 for i, _ in part]
            records = batch.records.set_column(
                1, batch.records.schema.field("root"), pa.array(roots, pa.binary(16))
            )
            batch = Batch(records)
        path = folder / f"{shard:06d}.parquet"
        with ShardWriter(path) as writer:
            writer.write(batch)
        name = f"{shard:06d}-{hashlib.sha256(path.read_bytes()).hexdigest()[:16]}.parquet"
        path.rename(folder / name)
        outputs.append(f"passes/0-ingest/documents/{name}")
        characters += sum(len(text) for _, text in part)
        text_bytes += batch.text_bytes
    numbers = {"documents": len(texts), "characters": characters, "text_bytes": text_bytes}
    return StageResult(outputs, numbers)
