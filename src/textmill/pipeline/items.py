"""What there is to do in a pass: its items, from what the pass before committed."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from textmill.pipeline.plan import PassPlan
from textmill.pipeline.resolve import answer_kind, partitions
from textmill.pipeline.settings_codec import encode
from textmill.workspace.commits import FileRecord
from textmill.workspace.manifest import Manifest

if TYPE_CHECKING:
    from textmill.recipe import Recipe


@dataclass(frozen=True)
class Item:
    """One unit of work, resume and distribution.

    Attributes:
        name: within its pass; also orders the outputs.
        inputs: identities of what it is made of; other inputs mean that it must be made again.
        work: what the task needs to know, plain JSON values.
        size: bytes of text, for progress.
    """

    name: str
    inputs: tuple[str, ...]
    work: dict[str, Any]
    size: int


def split_items(recipe: Recipe) -> list[Item]:
    """The splits of all sources, in recipe order: the items of pass 0.

    Raises:
        UserError: an input is missing or empty.
    """
    items = []
    for position, source in enumerate(recipe.sources):
        encoded = encode(source)
        for number, split in enumerate(source.plan(recipe.run.shard_bytes)):
            work = {
                "source": encoded,
                "split": {"work": split.work, "version": split.version, "bytes": split.bytes},
                "shard_bytes": recipe.run.shard_bytes,
            }
            items.append(Item(f"{position:02d}-{number:05d}", (split.version,), work, split.bytes))
    return items


def later_items(plan: PassPlan, recipe: Recipe, manifest: Manifest) -> list[Item]:
    """The items of a curate or resolve pass: the shards or partitions that the passes before it committed."""
    if plan.kind == "resolve":
        return _partition_items(plan, recipe, manifest)
    before = manifest.document_passes_before(plan.name)[-1]
    removals: list[FileRecord] = []
    if plan.applies:
        resolved = manifest.find(_resolve_name(plan))
        assert resolved is not None
        removals = resolved.files(answer_kind(plan.applies))
    sources = [source.source_name for source in recipe.sources]
    items = []
    for shard, documents in enumerate(before.files("documents")):
        work = {
            "shard": shard,
            "documents": documents.path,
            "removals": [record.path for record in removals],
            "applies": encode(plan.applies) if plan.applies else None,
            "steps": [encode(step) for step in plan.steps],
            "prepares": encode(plan.prepares) if plan.prepares else None,
            "sources": sources,
            "score": recipe.run.score,
            "rejected_per_rule": recipe.run.rejected_per_rule,
        }
        inputs = (documents.sha256, digest(removals))
        items.append(Item(f"{shard:05d}", inputs, work, documents.text_bytes or documents.bytes))
    return items


def _partition_items(plan: PassPlan, recipe: Recipe, manifest: Manifest) -> list[Item]:
    before = manifest.document_passes_before(plan.name)[-1]
    files = before.files("fingerprints")
    rows = sum(record.rows or 0 for record in files)
    count = partitions(rows)
    assert plan.prepares is not None
    return [
        Item(
            f"{partition:05d}",
            (digest(files),),
            {
                "step": encode(plan.prepares),
                "fingerprints": [record.path for record in files],
                "partition": partition,
                "partitions": count,
                "memory_bytes": recipe.run.memory_per_worker,
            },
            rows // count,
        )
        for partition in range(count)
    ]


def digest(files: Sequence[FileRecord]) -> str:
    """One identity for many files: every shard depends on all removals, and naming them all would make the
    manifest grow with the square of the corpus."""
    return hashlib.sha256("".join(record.sha256 for record in files).encode()).hexdigest()


def _resolve_name(plan: PassPlan) -> str:
    number = int(plan.name.partition("-")[0])
    assert plan.applies is not None
    return f"{number - 1}-{plan.applies.step_id}"
