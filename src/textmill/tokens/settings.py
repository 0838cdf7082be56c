"""What a recipe may say under ``tokens:``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field, model_validator

from textmill.errors import UserError
from textmill.steps.settings import Count, InputPath, Settings
from textmill.steps.stage import Stage

if TYPE_CHECKING:
    from textmill.steps.stage import StageContext, StageResult


class SplitFractions(Settings):
    """Parts of the documents that are held out; what is left is ``train``."""

    validation: float = Field(
        default=0.01, ge=0.0, le=0.5, description="Fraction of document families held out for validation."
    )
    test: float = Field(
        default=0.0, ge=0.0, le=0.5, description="Fraction of document families held out for a final test."
    )

    field: str | None = Field(
        default=None,
        description="Metadata field that names a document's split: train, validation (or val, valid, dev) or "
        "test; source takes the name (label) of a document's source for it. Documents without it follow the "
        "fractions.",
    )
    validation_ids: InputPath | None = Field(
        default=None, description="File of document ids, one per line, whose families go to validation."
    )
    test_ids: InputPath | None = Field(
        default=None, description="File of document ids, one per line, whose families go to test."
    )

    @model_validator(mode="after")
    def _something_is_left(self) -> SplitFractions:
        if self.validation + self.test >= 1:
            raise ValueError("validation and test together take everything; nothing is left to train on")
        return self


class TokensSection(Stage):
    """Encode the documents, split them by family, write token shards."""

    name: ClassVar[str] = "tokens"
    needs: ClassVar[tuple[str, ...]] = ("documents", "events", "tokenizer")

    seq_len: Count = Field(
        default=2048, ge=2, le=2**24, description="Tokens per sample (window) that a model is trained on."
    )
    split: SplitFractions = Field(
        default=SplitFractions(),
        description="Held-out parts, by hash of the family and the seed: a document never changes sides, "
        "unless a verified near-duplicate with a smaller id comes to stand beside it.",
    )

    def files(self) -> list[str]:
        """The files of ids decide results.

        Raises:
            UserError: one does not exist.
        """
        named = {"validation_ids": self.split.validation_ids, "test_ids": self.split.test_ids}
        for name, path in named.items():
            if path is not None and not Path(path).is_file():
                raise UserError("The file of ids does not exist.", found=path, where=f"tokens.split.{name}")
        return [path for path in named.values() if path is not None]

    def run(self, context: StageContext) -> StageResult:
        """Write ``tokens/`` of the run folder.

        Raises:
            UserError: no documents, or nothing left to train on.
            ConservationError: a document was lost on the way.
        """
        from textmill.tokens.stage import run_tokens

        return run_tokens(self, context)
