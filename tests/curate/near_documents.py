"""What the tests of ``near_dedup`` share: runs over texts, and the semantics by brute force."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

import textmill
from textmill.curate import NearDedup
from textmill.curate.near_dedup_decide import agreement
from textmill.documents import Batch, Document
from textmill.recipe import Recipe, RunSection
from textmill.sources.files import Files
from textmill.text.minhash import EMPTY, band_keys, text_signatures
from textmill.text.shingles import shingle_hashes

Texts = dict[str, list[str]]
"""Texts by source, in recipe order."""


def recipe(folder: Path, texts: Texts, *steps: Any, metadata: Any = None, **run: Any) -> Recipe:
    """A recipe over jsonl files that hold ``texts``."""
    sources = []
    for name, lines in texts.items():
        (folder / f"{name}.jsonl").write_text(
            "".join(
                json.dumps({"text": line, **(metadata(line) if metadata else {})}) + "\n" for line in lines
            )
        )
        paths = [str(folder / f"{name}.jsonl")]
        sources.append(
            Files(label=name, paths=paths, metadata_fields=["quality"], max_document_bytes="100MB")
        )
    section = RunSection(**{"engine": "inline", **run})
    return Recipe(name="near", sources=tuple(sources), curate=steps or (NearDedup(),), run=section)


def deduplicate(folder: Path, texts: Texts, *steps: Any, to: str = "run", **options: Any) -> textmill.Run:
    """A run over ``texts``."""
    return textmill.run(recipe(folder, texts, *steps, **options), folder / to)


def removals(run: textmill.Run) -> dict[tuple[str, int], tuple[str, int, float]]:
    """Every document removed, as (source, number in it), with the one that is kept and the similarity."""
    rows = run.ledger("ingested").project("id, source, locator").fetchall()
    place = {bytes(row[0]): (row[1], int(row[2].rpartition(":")[2]) - 1) for row in rows}
    events = (
        run.ledger("events").filter("action = 'matched'").project("id, matched_id, similarity").fetchall()
    )
    return {place[bytes(one)]: (*place[bytes(other)], value) for one, other, value in events}


def brute_force(
    run: textmill.Run, texts: Texts, step: NearDedup
) -> dict[tuple[str, int], tuple[str, int, float]]:
    """The same by the definition: in order of priority, each document against all that are kept."""
    rows = run.ledger("ingested").project("id, source, locator").fetchall()
    ids = {(row[1], int(row[2].rpartition(":")[2]) - 1): bytes(row[0]) for row in rows}
    names = list(texts)
    places = sorted(
        ids,
        key=lambda place: (
            -len(texts[place[0]][place[1]]) if step.keep == "longest" else 0,
            names.index(place[0]),
            ids[place],
        ),
    )
    batch = Batch.from_documents("x", [Document(str(p), texts[p[0]][p[1]]) for p in places])
    sets = shingle_hashes(batch.data, batch.offsets, step.words)
    shingles = [set(sets.hashes[a:b].tolist()) for a, b in zip(sets.offsets, sets.offsets[1:], strict=False)]
    prints = text_signatures(batch.data, batch.offsets, step.permutations, words=step.words)
    keys = [{bytes(key) for key in of} for of in band_keys(prints, *step.shape())]
    least = agreement(step.threshold, step.permutations)
    kept: list[int] = []
    found = {}
    for number, place in enumerate(places):
        if (prints[number] == EMPTY).all():
            continue
        for other in kept:
            candidate = keys[number] & keys[other] and (prints[number] == prints[other]).sum() >= least
            shared = len(shingles[number] & shingles[other])
            similarity = shared / len(shingles[number] | shingles[other])
            if candidate and similarity >= step.threshold:
                found[place] = (*places[other], float(np.float32(similarity)))
                break
        else:
            kept.append(number)
    return found


def edited(text: str, share: float, chance: random.Random) -> str:
    """``text`` with this share of its words replaced."""
    words = text.split()
    for place in chance.sample(range(len(words)), int(share * len(words))):
        words[place] = f"new{chance.randrange(10**6):x}x"
    return " ".join(words)


def page(number: int, words: int = 200) -> str:
    """A text like no other."""
    chance = random.Random(number)
    return " ".join(f"w{letters(chance.randrange(5000))}" for _ in range(words))


def letters(number: int) -> str:
    """A number in letters: digits would all be the same to shingles."""
    return "".join(chr(97 + int(digit)) for digit in str(number))


def vocabulary(words: Sequence[int]) -> str:
    """A text of the words with these numbers."""
    return " ".join(letters(word) for word in words)
