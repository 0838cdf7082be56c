"""A small registry with every form that settings can take, so that these tests hang on no real step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

from pydantic import Field

from textmill.recipe import Registry
from textmill.steps import Count, Rule, Settings, SourceSettings, Stage
from textmill.steps.filter import Filter
from textmill.steps.global_step import GlobalStep
from textmill.steps.settings import InputPath
from textmill.steps.transform import Transform


class Files(SourceSettings):
    """Files of text."""

    name = "files"
    shorthand = "path"

    path: InputPath | list[InputPath] = Field(description="Files or folders.")
    field: str = Field(default="text", description="Field of JSON lines that holds the text.")


class Pages(SourceSettings):
    """Needs nothing."""

    name = "pages"


class Normalize(Transform):
    """Same text, tidier."""

    name = "normalize"

    form: Literal["NFC", "NFKC"] = Field(default="NFC", description="Unicode normalisation form.")
    strip_accents: bool = False


class Words(Filter):
    """Length in words."""

    name = "words"

    min_words: int = Field(default=50, ge=0, description="Smallest number of words kept.")
    max_words: int = Field(default=100_000, ge=0)
    max_share: float = Field(default=0.5, ge=0, le=1, description="Largest share kept, 0 to 1.")
    keep: tuple[str, ...] = ("en",)

    def rules(self) -> Sequence[Rule]:
        return [Rule("words", self.min_words, self.max_words)]


class NearDedup(GlobalStep):
    """Near-duplicates."""

    name = "near_dedup"
    shorthand = "threshold"

    threshold: float = Field(default=0.8, ge=0, le=1, description="Jaccard similarity of shingles.")
    words_file: InputPath | None = None


class Vocabulary(Settings):
    """How to train a vocabulary."""

    shorthand = "vocab_size"

    vocab_size: int = Field(default=4096, ge=257)
    min_count: int = Field(default=2, ge=1)


class Tokenizer(Stage):
    """Train a tokenizer or use one."""

    name = "tokenizer"
    needs: ClassVar[tuple[str, ...]] = ("documents",)

    train: Vocabulary | None = None
    use: InputPath | None = None


class Tokens(Stage):
    """Tokens."""

    name = "tokens"
    needs: ClassVar[tuple[str, ...]] = ("documents", "tokenizer")

    seq_len: int = Field(default=256, ge=2)
    split: dict[str, float] = Field(default_factory=lambda: {"validation": 0.01})


class Train(Stage):
    """A model."""

    name = "train"
    needs: ClassVar[tuple[str, ...]] = ("tokens", "tokenizer")

    preset: Literal["tiny", "small"] = "tiny"
    tokens: Count = Field(default=1_000_000, ge=1, description="Training budget in tokens.")


REGISTRY = Registry(
    sources={"files": Files, "pages": Pages},
    steps={"normalize": Normalize, "words": Words, "near_dedup": NearDedup},
    sections={"tokenizer": Tokenizer, "tokens": Tokens, "train": Train},
)
