"""What a recipe may say under ``tokenizer:``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from textmill.steps.settings import ByteSize, Count, InputPath, Settings
from textmill.steps.stage import Stage

if TYPE_CHECKING:
    from textmill.steps.stage import StageContext, StageResult

DEFAULT_EOS = "<|endoftext|>"
BYTES = 256


class TokenizerTraining(Settings):
    """Train byte-level BPE on the run's own documents (Sennrich et al. 2016; Radford et al. 2019)."""

    vocab_size: Count = Field(
        ge=BYTES + 1,
        le=2**31,
        description="Entries in all: 256 bytes, merges, special tokens. A small corpus may give fewer.",
    )
    pattern: Literal["gpt2", "cl100k", "o200k"] = Field(
        default="cl100k",
        description="Where texts are cut before merging: as GPT-2, as GPT-4 and LLaMA-3, or as GPT-4o.",
    )
    special_tokens: tuple[str, ...] = Field(
        default=(), description="Further special tokens, after the end-of-text token."
    )
    min_frequency: int = Field(default=2, ge=1, description="A pair seen less often than this is not merged.")
    sample_bytes: ByteSize = Field(
        default=512 * 2**20,
        ge=1024,
        description="Bytes of text to train on. A larger corpus is sampled by document id; memory follows "
        "the distinct words of the sample (about 250 bytes each).",
    )

    @field_validator("special_tokens")
    @classmethod
    def _special_tokens_are_distinct(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if any(not token.strip() for token in value):
            raise ValueError("a special token needs at least one visible character")
        if len(set(value)) != len(value):
            raise ValueError("a special token stands twice in special_tokens")
        return value


class TokenizerSection(Stage):
    """The tokenizer: ``train: {vocab_size: 32_000}`` or ``use: path``, exactly one of the two."""

    name: ClassVar[str] = "tokenizer"
    shorthand: ClassVar[str | None] = "use"
    needs: ClassVar[tuple[str, ...]] = ("documents",)

    train: TokenizerTraining | None = Field(default=None, description="Train one on the documents.")
    use: InputPath | None = Field(
        default=None,
        description="A tokenizer on this machine: a Hugging Face folder, or its tokenizer.json.",
    )
    eos_token: str | None = Field(
        default=None,
        min_length=1,
        description=f"Token after each document. Default: {DEFAULT_EOS}, or what the tokenizer in use names.",
    )

    @model_validator(mode="after")
    def _exactly_one_way(self) -> TokenizerSection:
        if (self.train is None) == (self.use is None):
            both = "both stand there" if self.train else "neither stands there"
            raise ValueError(
                "tokenizer: wants exactly one of train: {vocab_size: 32_000} and use: path/to/tokenizer; "
                + both
            )
        if self.train is not None:
            if self.end_token in self.train.special_tokens:
                raise ValueError(
                    f"{self.end_token} is the end-of-text token and stands in special_tokens too"
                )
            least = BYTES + 1 + len(self.train.special_tokens)
            if self.train.vocab_size < least:
                raise ValueError(
                    f"vocab_size is {self.train.vocab_size}; 256 bytes and the special tokens "
                    f"alone need {least}"
                )
        return self

    @property
    def end_token(self) -> str:
        """The end-of-text token of a tokenizer that is trained here."""
        return self.eos_token or DEFAULT_EOS

    def files(self) -> list[str]:
        """The files of a tokenizer in use.

        Raises:
            UserError: there is none at that path.
        """
        if self.use is None:
            return []
        from textmill.tokenizer.folder import tokenizer_files

        return [str(path) for path in tokenizer_files(Path(self.use)).values()]

    def run(self, context: StageContext) -> StageResult:
        """Write ``tokenizer/`` of the run folder; numbers: vocab_size, eos_id, bytes_per_token, ...

        Raises:
            UserError: no usable tokenizer at ``use``, or no documents to train on.
        """
        from textmill.tokenizer.stage import run_tokenizer

        return run_tokenizer(self, context)
