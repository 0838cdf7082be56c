"""The ``evaluate:`` section of a recipe."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from textmill.steps import Count, Settings, Stage, StageContext, StageResult


class PerplexitySettings(Settings):
    """Held-out loss, and bits per byte against a unigram model of the training tokens."""

    name: ClassVar[str] = "perplexity"

    split: Literal["validation", "test"] = Field(
        default="validation", description="Held-out split to measure on."
    )
    stride: int | None = Field(
        default=None,
        gt=0,
        description="Tokens scored per window; the rest of the window is context. Half a window if left out.",
    )
    batch_size: int = Field(
        default=16, gt=0, description="Windows per forward pass; changes no more than last digits."
    )
    unigram_tokens: Count = Field(
        default=50_000_000,
        gt=0,
        description="Training tokens counted for the unigram model, evenly spread over the split.",
    )


class SampleSettings(Settings):
    """Continuations of the beginnings of held-out documents."""

    name: ClassVar[str] = "samples"

    count: int = Field(default=3, ge=0, description="Number of documents.")
    prompt_tokens: int = Field(default=24, gt=0, description="Tokens of the document given as its beginning.")
    max_new_tokens: int = Field(default=96, gt=0, description="Most tokens to draw.")
    temperature: float = Field(
        default=0.8, ge=0, description="Logits are divided by it; 0: most probable token."
    )
    top_k: int = Field(
        default=50, ge=0, description="Draw among this many most probable tokens; 0: among all."
    )
    top_p: float = Field(
        default=0.95,
        gt=0,
        le=1,
        description="Draw among the most probable tokens that reach this probability together.",
    )


class EvaluateSection(Stage):
    """Perplexity, bits per byte and samples on held-out documents."""

    name: ClassVar[str] = "evaluate"
    needs: ClassVar[tuple[str, ...]] = ("train", "tokens", "tokenizer")
    folders: ClassVar[tuple[str, ...]] = ("evaluation",)

    perplexity: PerplexitySettings | None = Field(
        default=PerplexitySettings(), description="Held-out loss and bits per byte; null leaves it out."
    )
    samples: SampleSettings | None = Field(
        default=SampleSettings(), description="Continuations; null leaves them out."
    )
    device: Literal["auto", "cpu", "cuda", "mps"] = Field(
        default="auto", description="Where to compute; auto: a GPU if there is one."
    )

    def run(self, context: StageContext) -> StageResult:
        """Measure the model in ``model/`` and publish ``evaluation/``.

        Raises:
            UserError: torch is missing, or nothing was held out.
        """
        from textmill.model.extra import require_torch

        require_torch()
        from textmill.evaluate.stage import run_evaluation

        return run_evaluation(self, context)
