"""What a preset trains with unless the recipe says otherwise.

``tiny`` was tuned for two cores and two minutes (docs/decisions/0007-quickstart-training.md). Rates and batch sizes
of the others are those of GPT-3 at the nearest size (Brown et al. 2020, https://arxiv.org/abs/2005.14165,
table 2.1: 125M, 350M, 1.3B) and of Llama 3 8B (https://arxiv.org/abs/2407.21783, section 3.4.1), with AdamW's
betas 0.9 and 0.95 and weight decay 0.1 from the same papers. A model that exists is trained on at Alpaca's rate
(2e-5, warm-up 3 %), its adapters at QLoRA's (2e-4; https://arxiv.org/abs/2305.14314, table 9).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Defaults:
    """Values for the fields of ``train:`` that a recipe leaves out; see there for meanings and units."""

    optimizer: Literal["adamw", "muon"]
    lr: float
    batch_size: int
    micro_batch_size: int
    schedule: Literal["constant", "cosine", "linear", "wsd"]
    warmup: float
    muon_lr: float = 0.02
    weight_decay: float = 0.1


DEFAULTS: dict[str, Defaults] = {
    "tiny": Defaults("muon", 0.04, 16, 16, "wsd", 10, weight_decay=0.0),
    "125m": Defaults("adamw", 6e-4, 256, 16, "cosine", 0.01),
    "350m": Defaults("adamw", 3e-4, 256, 8, "cosine", 0.01),
    "1b": Defaults("adamw", 2e-4, 512, 4, "cosine", 0.01),
    "8b": Defaults("adamw", 3e-4, 512, 1, "cosine", 0.01),
    "full": Defaults("adamw", 2e-5, 64, 8, "cosine", 0.03, weight_decay=0.0),
    "lora": Defaults("adamw", 2e-4, 64, 8, "cosine", 0.03, weight_decay=0.0),
    "qlora": Defaults("adamw", 2e-4, 64, 8, "cosine", 0.03, weight_decay=0.0),
    "8bit": Defaults("adamw", 2e-4, 64, 8, "cosine", 0.03, weight_decay=0.0),
}
"""By preset, or by method for a model that exists; an explicit shape takes those of ``125m``."""
