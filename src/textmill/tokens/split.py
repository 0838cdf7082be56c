"""Which split a document belongs to: decided by its family and the seed, by nothing else.

A family (a document and all that was derived from it) is never divided. No document changes sides when
others come or go; a larger fraction only takes documents from ``train``.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b

SPLITS = ("train", "validation", "test")

_PERSON = b"textmill-split"


@dataclass(frozen=True)
class SplitRule:
    """Validation takes the lower end of the hash's range, test the upper end, train what lies between.

    Attributes:
        seed: another seed, other splits.
        validation: fraction of families.
        test: fraction of families.
    """

    seed: int
    validation: float = 0.0
    test: float = 0.0

    def of(self, root: bytes) -> str:
        """The split of the family whose root document has this id."""
        key = self.seed.to_bytes(16, "little", signed=True)
        value = int.from_bytes(blake2b(root, digest_size=8, person=_PERSON, key=key).digest(), "little")
        if value < int(self.validation * 2**64):
            return "validation"
        if value >= 2**64 - int(self.test * 2**64):
            return "test"
        return "train"

    @property
    def names(self) -> list[str]:
        """The splits that this rule can give, in their usual order."""
        fractions = {"train": 1.0, "validation": self.validation, "test": self.test}
        return [name for name in SPLITS if fractions[name] > 0]
