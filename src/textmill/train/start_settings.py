"""What a training starts from: fresh weights of some shape, or a model that exists, whole or with adapters."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

from pydantic import Field, create_model

from textmill.model.names import NAME, model_folder
from textmill.model.start import start_identity
from textmill.steps import Stage
from textmill.steps.settings import InputPath
from textmill.train.adapter_settings import LoraSettings, Method

QUANTISED: tuple[Method, ...] = ("qlora", "8bit")
"""Methods whose frozen weights are kept in 4 or 8 bits."""

if TYPE_CHECKING:
    _From = Stage
else:
    # `from` is a word of Python's own; as the name of a field it is what everybody would write.
    _From = create_model(
        "_From",
        __base__=Stage,
        __module__=__name__,
        **{
            "from": (
                InputPath | None,
                Field(
                    default=None,
                    description="A model to go on with: a Hugging Face folder, or hf://owner/name on the Hub. Left "
                    "out, weights are fresh.",
                ),
            )
        },
    )


class StartSettings(_From):
    """Fields of ``train:`` that say what is trained."""

    method: Method = Field(
        default="full",
        description="full: all weights; lora: adapters on a frozen model; qlora, 8bit: the same with the frozen "
        "weights in 4 bits (NF4, double quantisation) or 8. All but full need from.",
    )
    lora: LoraSettings | None = Field(
        default=None,
        description="Rank, scale, dropout and layers of the adapters; needs a method with adapters.",
    )
    depth: int | None = Field(
        default=None,
        gt=0,
        le=128,
        description="One dial instead of preset or shape: blocks. Width, heads, batch, learning rate and budget "
        "follow from it (textmill.train.depth), unless they are written.",
    )

    @property
    def start(self) -> str | None:
        """The field ``from``."""
        value: str | None = getattr(self, "from")
        return value

    @property
    def adapters(self) -> LoraSettings | None:
        """Resolved settings of the adapters; None where all weights are trained."""
        return None if self.method == "full" else (self.lora or LoraSettings()).resolved()

    def fingerprint(self) -> str:
        """As every stage's, and which weights lie in a local folder ``from``.

        Raises:
            UserError: a path in ``from`` holds no model.
        """
        own = super().fingerprint()
        if self.start is None or NAME.fullmatch(self.start):
            return own
        identity = start_identity(model_folder(self.start))
        return hashlib.sha256(json.dumps([own, identity], sort_keys=True).encode()).hexdigest()

    def check_start(self, **others: Any) -> None:
        """Refuse combinations that contradict themselves.

        Args:
            others: further fields that decide a shape, by name.

        Raises:
            ValueError: with what excludes what.
        """
        given = [name for name, value in (*others.items(), ("depth", self.depth)) if value is not None]
        if len(given) > 1:
            raise ValueError(f"{' and '.join(given)} exclude each other; leave one out")
        if self.start is not None and given:
            raise ValueError(f"from brings its own shape; leave {given[0]} out")
        if self.start is None and self.method != "full":
            raise ValueError(f"method: {self.method} needs a model to put adapters on: from: path")
        if self.method == "full" and self.lora is not None:
            raise ValueError("lora: means nothing to method: full; write method: lora, qlora or 8bit")
