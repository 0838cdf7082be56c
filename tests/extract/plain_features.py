"""Features of blocks in plain Python, from lists and dictionaries, slowly: what the kernels must agree with."""

from __future__ import annotations

from collections import Counter
from typing import Any

from textmill.extract.layout import (
    BLOCK_ELEMENT,
    CHARACTERS,
    DEPTH,
    ELEMENT,
    END_BLOCK,
    END_WORD,
    FIRST_BLOCK,
    FIRST_WORD,
    FLAGS,
    LINK_CHARACTERS,
    LINK_WORDS,
    PARENT,
    SENTENCES,
    SIGNATURE,
    TAG,
    UNSPACED,
)
from textmill.extract.names import FLAGS as FLAG_NAMES
from textmill.extract.names import TAGS
from textmill.extract.tree import Page


class PlainPage:
    """A page as lists, with what features are made of."""

    def __init__(self, page: Page, scores: Any) -> None:
        self.elements = page.elements.tolist()
        self.blocks = page.blocks.tolist()
        self.words = page.words.tolist()
        self.scores = scores.tolist()
        self.lengths = [b[END_WORD] - b[FIRST_WORD] - b[UNSPACED] / 2 for b in self.blocks]
        self.linked = [
            length * b[LINK_WORDS] / (b[END_WORD] - b[FIRST_WORD])
            for length, b in zip(self.lengths, self.blocks, strict=True)
        ]
        self.texts = [tuple(self.words[b[FIRST_WORD] : b[END_WORD]]) for b in self.blocks]

    def holder(self, b: int) -> int:
        return int(self.elements[self.blocks[b][ELEMENT]][BLOCK_ELEMENT])

    def above(self, e: int) -> int:
        return int(self.elements[self.elements[e][PARENT]][BLOCK_ELEMENT]) if e > 0 else 0

    def ancestors(self, e: int) -> list[int]:
        """e and all elements above, to the page."""
        chain = [e]
        while chain[-1] > 0:
            chain.append(self.elements[chain[-1]][PARENT])
        return chain

    def below(self, e: int) -> range:
        if e == 0:
            return range(len(self.blocks))
        return range(self.elements[e][FIRST_BLOCK], self.elements[e][END_BLOCK])

    def length_of(self, blocks: Any) -> float:
        return sum(self.lengths[b] for b in blocks)

    def level(self, b: int) -> int:
        name = TAGS[self.elements[self.holder(b)][TAG]]
        return int(name[1]) if name in ("h1", "h2", "h3", "h4", "h5", "h6") else 0

    def is_prose(self, b: int) -> bool:
        in_p = self.elements[self.blocks[b][ELEMENT]][FLAGS] >> FLAG_NAMES.index("p") & 1
        return bool(in_p) or self.lengths[b] - self.linked[b] >= 15

    def path(self, b: int) -> tuple[int, ...]:
        e = self.holder(b)
        return (*(self.elements[a][TAG] for a in self.ancestors(e)[:-1]), self.elements[e][SIGNATURE])

    def kind(self, e: int) -> tuple[int, int, int]:
        return self.elements[e][PARENT], self.elements[e][TAG], self.elements[e][SIGNATURE]


def plain_features(page: Page, scores: Any) -> list[dict[str, float]]:
    """Per block some of `features.FEATURES`, by name."""
    p = PlainPage(page, scores)
    count = len(p.blocks)
    everything = range(count)
    total = max(1.0, p.length_of(everything))
    siblings = Counter(p.kind(e) for e in range(1, len(p.elements)) if len(p.below(e)))
    paths = [p.path(b) for b in everything]
    rows: list[dict[str, float]] = []
    for b in everything:
        block, e = p.blocks[b], p.holder(b)
        row: dict[str, float] = {
            "own: length": p.lengths[b],
            "own: link share": block[LINK_CHARACTERS] / max(1, block[CHARACTERS]),
            "own: heading level": p.level(b),
            "own: depth": p.elements[e][DEPTH],
            "own: place in text": p.length_of(range(b)) / total,
            "own: same text": p.texts.count(p.texts[b]),
            "own: copy": p.texts[:b].count(p.texts[b]),
            "score: own": p.scores[e][0],
            "score: parent": p.scores[p.above(e)][0],
            "repetition: path count": paths.count(paths[b]),
            "repetition: path share": p.length_of(o for o in everything if paths[o] == paths[b]) / total,
            "page: length": total,
            "page: blocks": count,
            "page: link share": sum(p.linked) / total,
        }
        chain = p.ancestors(block[ELEMENT])[:-1]
        row["score: sum"] = sum(p.scores[a][0] for a in chain)
        row["score: lowest"] = min([0.0, *(p.scores[a][0] for a in chain)])
        row["score: general lowest"] = min([0.0, *(p.scores[a][1] for a in chain)])
        for bit, name in enumerate(FLAG_NAMES):
            row[f"flag: {name}"] = p.elements[block[ELEMENT]][FLAGS] >> bit & 1
        container = e
        for level in range(1, 6):
            if level > 1:
                held = p.length_of(p.below(container)) if container else total
                while container > 0:
                    container = p.above(container)
                    if container == 0 or p.length_of(p.below(container)) > held:
                        break
            inside = p.below(container)
            length = p.length_of(inside)
            row[f"container: {level} length"] = length
            row[f"container: {level} link share"] = sum(p.linked[o] for o in inside) / max(0.5, length)
            row[f"container: {level} share"] = length / total
            row[f"container: {level} sentences"] = sum(p.blocks[o][SENTENCES] for o in inside) / max(
                0.5, length
            )
            row[f"container: {level} blocks"] = len(inside)
            row[f"container: {level} prose"] = sum(
                p.lengths[o] - p.linked[o] for o in inside if p.is_prose(o)
            ) / max(0.5, length)
            row[f"container: {level} copied"] = p.length_of(
                o for o in inside if p.texts[o] in p.texts[:o]
            ) / max(0.5, length)
        kin = e
        for level in (1, 2, 3):
            row[f"repetition: siblings {level} count"] = siblings[p.kind(kin)]
            kin = p.above(kin)
        for step in (-1, 1):
            other = b + step
            known = 0 <= other < count
            row[f"surroundings: neighbour {step:+} length"] = p.lengths[other] if known else -1.0
        near = range(max(0, b - 3), min(count, b + 4))
        row["surroundings: window 3 length"] = p.length_of(near) / len(near)
        headings = [o for o in range(b + 1) if p.level(o)]
        row["heading: distance"] = b - headings[-1] if headings else 999
        row["heading: level"] = p.level(headings[-1]) if headings else 0
        later = [o for o in range(b + 1, count) if p.level(o)]
        row["heading: to next"] = later[0] - b if later else 999
        rows.append(row)
    return rows
