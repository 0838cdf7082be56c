"""What a recipe may say of adapters: ``train: {from: …, method: lora, lora: {…}}``."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field, field_validator

from textmill.steps import Settings

Method = Literal["full", "lora", "qlora", "8bit"]

ATTENTION = ("q_proj", "v_proj")
PROJECTIONS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")

PRESETS: dict[str, tuple[int, float, float, tuple[str, ...]]] = {
    "attention": (8, 32.0, 0.05, ATTENTION),
    "projections": (16, 32.0, 0.1, PROJECTIONS),
}
"""r, alpha, dropout and target modules by name."""


class LoraSettings(Settings):
    """Low-rank adapters (Hu et al. 2021, https://arxiv.org/abs/2106.09685): ``W x + alpha / r · B A x``.

    ``attention`` is r 8, alpha 32, dropout 0.05 on ``q_proj`` and ``v_proj``; ``projections`` is r 16, alpha 32,
    dropout 0.1 on the seven projections of a block. Fields that are written go before the preset's.
    """

    name: ClassVar[str] = "lora"
    shorthand: ClassVar[str | None] = "preset"

    preset: Literal["attention", "projections"] = Field(
        default="projections", description="Where the values come from that are left out."
    )
    r: int | None = Field(default=None, gt=0, description="Rank of the update of a matrix.")
    alpha: float | None = Field(default=None, gt=0, description="The update is scaled by alpha / r.")
    dropout: float | None = Field(
        default=None, ge=0, lt=1, description="Share of an adapter's inputs that is dropped in training."
    )
    target_modules: tuple[str, ...] | Literal["all-linear"] | None = Field(
        default=None,
        description="Names of the layers that get one: q_proj and so on, or all-linear for every layer but the "
        "output layer.",
    )
    train_embeddings: bool = Field(
        default=False,
        description="Train the embedding table and the output layer as well, whole: for a vocabulary or a language "
        "that the model has hardly seen.",
    )

    @field_validator("target_modules")
    @classmethod
    def _some_module(cls, value: tuple[str, ...] | str | None) -> tuple[str, ...] | str | None:
        if value is not None and not value:
            raise ValueError("target_modules names no layer")
        return value

    def resolved(self) -> LoraSettings:
        """The same settings with the preset's values in the fields left out."""
        names = ("r", "alpha", "dropout", "target_modules")
        values = dict(zip(names, PRESETS[self.preset], strict=True))
        return self.model_copy(update={name: values[name] for name in names if getattr(self, name) is None})
