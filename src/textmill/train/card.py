"""The model card: what the model is, what it was trained on, what it scored; without times, so always the same."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from textmill.model.config import LlamaConfig
from textmill.train.settings import TrainSection


def model_card(config: LlamaConfig, settings: TrainSection, numbers: Mapping[str, Any], data: str) -> str:
    """Text of the model's README.md.

    Args:
        config: the model's shape.
        settings: resolved settings of the training.
        numbers: from :func:`textmill.train.stage.training_numbers`.
        data: SHA-256 of ``tokens/index.json``, which lists every shard of training tokens with its own.
    """
    rows = {
        "parameters": f"{config.parameters():,}",
        "layers, width, MLP": f"{config.num_hidden_layers}, {config.hidden_size}, {config.intermediate_size}",
        "query heads, key and value heads": f"{config.num_attention_heads}, {config.num_key_value_heads}",
        "vocabulary": f"{config.vocab_size:,}",
        "context in tokens": f"{config.max_position_embeddings:,}",
        "embeddings tied": "yes" if config.tie_word_embeddings else "no",
        "training tokens": f"{numbers['tokens']:,} ({numbers['epochs']:g} epochs)",
        "steps": f"{numbers['steps']:,} of {settings.batch_size} windows",
        "optimiser": _optimizer(settings),
        "training loss at the end, nats per token": _number(numbers["final_loss"]),
        "validation loss, nats per token": _number(numbers["validation_loss"]),
        "data manifest, SHA-256": f"`{data}`",
    }
    table = "\n".join(f"| {name} | {value} |" for name, value in rows.items())
    return f"""---
library_name: transformers
pipeline_tag: text-generation
tags: [textmill, llama]
---

# A Llama trained with textmill

A base model of {config.parameters() / 1e6:.2f} million parameters, trained from scratch. It continues text; it follows
no instructions, and it knows what its documents said, right or wrong.

| | |
|---|---|
{table}

The data manifest is the run's `tokens/index.json`; it names the SHA-256 of every shard of tokens. `textmill trace`
leads from there to the documents and their sources.

## Use

```python
from transformers import AutoModelForCausalLM, AutoTokenizer

model = AutoModelForCausalLM.from_pretrained("model")
tokenizer = AutoTokenizer.from_pretrained("model")
```

or `textmill generate` with this folder. A document begins after the end-of-text token (id {config.bos_token_id}).
"""


def _optimizer(settings: TrainSection) -> str:
    rates = f"AdamW, peak {settings.lr:g}"
    if settings.optimizer == "muon":
        rates = f"Muon, peak {settings.muon_lr:g}, for matrices in blocks; {rates}, for all else"
    return f"{rates}; {settings.schedule}"


def _number(value: float | None) -> str:
    return "not measured" if value is None else f"{value:.4f}"
