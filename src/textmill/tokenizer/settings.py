"""What a recipe may say under ``tokenizer:``."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from textmill.steps.settings import ByteSize, Count, InputPath, Settings
from textmill.steps.stage import Stage
from textmill.tokenizer.chat import CHAT_TOKENS

if TYPE_CHECKING:
    from textmill.steps.stage import StageContext, StageResult

DEFAULT_EOS = "<|endoftext|>"
SENTENCEPIECE_EOS = "</s>"
BYTES = 256

BPE_SAMPLE_BYTES = 2 * 2**30
# SentencePiece holds its texts in memory: measured, 15 to 19 bytes for each of theirs with BPE, 30 with Unigram.
SENTENCEPIECE_SAMPLE_BYTES = 64 * 2**20


class SampleBalance(Settings):
    """Even out what a vocabulary is learned from, so that small languages get entries too.

    A group of n bytes gets a share in proportion to weight x n ** exponent (Conneau et al. 2020, XLM-R).
    """

    shorthand: ClassVar[str | None] = "by"

    by: Literal["language", "source"] = Field(
        default="language",
        description="What is evened out. A document's language is what its metadata name (language, lang), or "
        "what fastText's lid.176 takes it for.",
    )
    weights: dict[str, float] = Field(
        default={},
        description="Factors for some groups, such as {fr: 2}; 1 for the others, 0 leaves one out.",
    )
    exponent: float = Field(
        default=0.3,
        ge=0,
        le=1,
        description="1 keeps the shares of the corpus, 0 makes them equal (XLM-R: 0.3).",
    )
    repeat: int = Field(
        default=10, ge=1, description="How often a document of a small group is counted at most."
    )

    @field_validator("weights")
    @classmethod
    def _weights_are_factors(cls, value: dict[str, float]) -> dict[str, float]:
        for group, weight in value.items():
            if not 0 <= weight < 1e6:
                raise ValueError(
                    f"the weight of {group} is {weight}; it must be 0 or more, and no more than 1e6"
                )
        if value and not any(value.values()):
            raise ValueError("at least one weight must be above 0")
        return value


# What only byte-level BPE knows.
BPE_FIELDS = ("pattern", "digits", "cjk", "normalizer", "min_frequency", "max_token_length")


class TokenizerTraining(Settings):
    """Train a vocabulary on the run's own documents.

    ``bpe`` is byte-level BPE (Sennrich et al. 2016; Radford et al. 2019), ``sentencepiece-bpe`` and
    ``sentencepiece-unigram`` are made by SentencePiece (Kudo 2018; Kudo and Richardson 2018) with bytes for rare
    characters, as LLaMA's vocabulary was, and give a ``tokenizer.model``.
    """

    kind: Literal["bpe", "sentencepiece-bpe", "sentencepiece-unigram"] = Field(
        default="bpe", description="Which algorithm, and whose file."
    )

    vocab_size: Count = Field(
        ge=BYTES + 1,
        le=2**31,
        description="Entries in all: 256 bytes, merges, special tokens. A small corpus may give fewer.",
    )
    pattern: Literal["gpt2", "cl100k", "o200k", "gpt4", "llama3", "gpt4o"] = Field(
        default="cl100k",
        description="Where texts are cut before merging: as GPT-2, as GPT-4 and LLaMA-3 (cl100k; gpt4 and llama3 "
        "are other names for it), or as GPT-4o (o200k, gpt4o).",
    )
    digits: Literal["pattern", "single", "three"] = Field(
        default="pattern",
        description="Digits: as the pattern has them, each by itself, or in groups of up to three from the left. "
        "cl100k and o200k have groups of three already.",
    )
    cjk: Literal["pattern", "character"] = Field(
        default="pattern",
        description="Chinese and Japanese: as the pattern has them (a clause is one piece), or each Han and Kana "
        "character by itself, so that no entry spans two.",
    )
    normalizer: Literal["none", "nfc", "nfd", "nfkc", "nfkd"] = Field(
        default="none",
        description="Unicode normalization form (UAX #15) that texts are brought to before they are cut, in training "
        "and whenever the tokenizer is used. With any but none, decoding gives back the normalized text.",
    )
    special_tokens: tuple[str, ...] = Field(
        default=(), description="Further special tokens, after the end-of-text token."
    )
    min_frequency: int = Field(default=2, ge=1, description="A pair seen less often than this is not merged.")
    max_token_length: int | None = Field(
        default=None,
        ge=2,
        description="Bytes of the longest entry that merges may make; no limit if left out.",
    )
    sample_bytes: ByteSize | None = Field(
        default=None,
        ge=1024,
        description="Bytes of text to train on; left out, 2 GiB, or 64 MiB for SentencePiece. A larger corpus is "
        "sampled by document id. Byte-level BPE counts words on disk and stays below 1 GiB of memory whatever is "
        "written here; SentencePiece needs 20 (BPE) to 30 (Unigram) times its sample in memory.",
    )
    sample: SampleBalance | None = Field(
        default=None,
        description="Even out languages or sources: ``sample: language``, or by, weights, exponent, repeat. Left "
        "out, every document counts alike.",
    )
    chat_template: Literal["chatml", "none"] = Field(
        default="chatml",
        description="How conversations are written. ChatML needs two special tokens, ``<|im_start|>`` and "
        "``<|im_end|>``, which the vocabulary then has from the start.",
    )
    character_coverage: float = Field(
        default=0.9995,
        gt=0.9,
        le=1,
        description="SentencePiece: share of all characters with an entry of their own; the rest is bytes.",
    )

    @field_validator("special_tokens")
    @classmethod
    def _special_tokens_are_distinct(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if any(not token.strip() for token in value):
            raise ValueError("a special token needs at least one visible character")
        if len(set(value)) != len(value):
            raise ValueError("a special token stands twice in special_tokens")
        return value

    @field_validator("pattern")
    @classmethod
    def _pattern_has_one_name(cls, value: str) -> str:
        return {"gpt4": "cl100k", "llama3": "cl100k", "gpt4o": "o200k"}.get(value, value)

    @model_validator(mode="after")
    def _fields_belong_to_the_kind(self) -> TokenizerTraining:
        strangers = ("character_coverage",) if self.kind == "bpe" else BPE_FIELDS
        for name in strangers:
            # A recipe as the mill writes it names every default, which says nothing.
            if getattr(self, name) != type(self).model_fields[name].default:
                raise ValueError(f"{name} means nothing to kind: {self.kind}; leave it out")
        return self

    @property
    def all_special_tokens(self) -> tuple[str, ...]:
        """Special tokens after the end-of-text token: those of the chat template, then the user's own."""
        return tuple(dict.fromkeys((*CHAT_TOKENS[self.chat_template], *self.special_tokens)))

    @property
    def most_bytes(self) -> int:
        """Bytes of text to train on at most."""
        if self.sample_bytes is not None:
            return self.sample_bytes
        return BPE_SAMPLE_BYTES if self.kind == "bpe" else SENTENCEPIECE_SAMPLE_BYTES


class TokenizerSection(Stage):
    """The tokenizer: ``train: {vocab_size: 32_000}`` or ``use: path``, exactly one of the two."""

    name: ClassVar[str] = "tokenizer"
    # 2: chat template, measured by language.
    version: ClassVar[int] = 2
    shorthand: ClassVar[str | None] = "use"
    needs: ClassVar[tuple[str, ...]] = ("documents",)

    train: TokenizerTraining | None = Field(default=None, description="Train one on the documents.")
    use: InputPath | None = Field(
        default=None,
        description="A tokenizer that exists: a Hugging Face folder or its tokenizer.json, a SentencePiece "
        "tokenizer.model, a tiktoken rank file, or hf://owner/name on the Hugging Face Hub.",
    )
    pattern: Literal["gpt2", "cl100k", "o200k"] | None = Field(
        default=None,
        description="How a tiktoken rank file in use cuts texts; known for the published files by their names.",
    )
    eos_token: str | None = Field(
        default=None,
        min_length=1,
        description=f"Token after each document. Default: {DEFAULT_EOS}, SentencePiece's {SENTENCEPIECE_EOS}, or "
        "what the tokenizer in use names.",
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
            if self.end_token in self.train.all_special_tokens:
                raise ValueError(
                    f"{self.end_token} is the end-of-text token and stands in special_tokens too"
                )
            if self.pattern is not None:
                raise ValueError("pattern belongs to use:; under train: it stands inside train: {...}")
            # SentencePiece has <unk> and <s> as well.
            least = BYTES + 1 + len(self.train.all_special_tokens) + 2 * (self.train.kind != "bpe")
            if self.train.vocab_size < least:
                raise ValueError(
                    f"vocab_size is {self.train.vocab_size}; 256 bytes and the special tokens "
                    f"alone need {least}"
                )
        return self

    @property
    def end_token(self) -> str:
        """The end-of-text token of a tokenizer that is trained here."""
        plain = self.train is None or self.train.kind == "bpe"
        return self.eos_token or (DEFAULT_EOS if plain else SENTENCEPIECE_EOS)

    def files(self) -> list[str]:
        """The files of a tokenizer in use.

        Raises:
            UserError: there is none at that path.
        """
        if self.use is None:
            return []
        from textmill.tokenizer.folder import tokenizer_files

        return [str(path) for path in tokenizer_files(self.use).values()]

    def run(self, context: StageContext) -> StageResult:
        """Write ``tokenizer/`` of the run folder; numbers: vocab_size, eos_id, bytes_per_token, languages, ...

        Raises:
            UserError: no usable tokenizer at ``use``, or no documents to train on.
        """
        from textmill.tokenizer.stage import run_tokenizer

        return run_tokenizer(self, context)
