"""The model card: what the model is, what it was trained on, what it scored; without times, so always the same."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from textmill.train.adapter_settings import LoraSettings
from textmill.train.settings import TrainSection
from textmill.train.trainee import LlamaTrainee, Trainee

_MERGED = ", once its adapters are merged (`textmill export --merge`)"
_METHODS = {
    "full": "all weights",
    "lora": "adapters (LoRA)",
    "qlora": "adapters on 4-bit weights (QLoRA: NF4, double quantisation)",
    "8bit": "adapters on 8-bit weights",
}


def model_card(trainee: Trainee, settings: TrainSection, numbers: Mapping[str, Any], data: str) -> str:
    """Text of the model's README.md.

    Args:
        trainee: what was trained.
        settings: resolved settings of the training.
        numbers: from :func:`textmill.train.output.training_numbers`.
        data: SHA-256 of the manifest of the training tokens, which lists every shard with its own.
    """
    shape = _shape(trainee) if isinstance(trainee, LlamaTrainee) else {}
    rows = {
        "parameters": f"{trainee.parameters:,}",
        **shape,
        **_start(settings, numbers),
        "training tokens": f"{numbers['tokens']:,} ({numbers['epochs']:g} epochs)",
        "steps": f"{numbers['steps']:,} of {settings.batch_size} windows",
        "optimiser": _optimizer(settings),
        "training loss at the end, nats per token": _number(numbers["final_loss"]),
        "validation loss, nats per token": _number(numbers["validation_loss"]),
        "validation perplexity": _number(numbers.get("perplexity")),
        "data manifest, SHA-256": f"`{data}`",
    }
    table = "\n".join(f"| {name} | {value} |" for name, value in rows.items())
    adapted = settings.adapters is not None
    return f"""---
{_front_matter(settings)}
---

# {_title(settings)}

{_about(trainee, settings)}

| | |
|---|---|
{table}

The data manifest is the run's `tokens/index.json` (`tokens.json` for shards that were made without a run); it names
the SHA-256 of every shard of tokens. `textmill trace` leads from there to the documents and their sources.

## Use

```python
{_usage(adapted)}
```

or `textmill generate` with this folder{_MERGED if adapted else ""}.
{_beginning(trainee)}"""


def _shape(trainee: LlamaTrainee) -> dict[str, str]:
    config = trainee.config
    return {
        "layers, width, MLP": f"{config.num_hidden_layers}, {config.hidden_size}, {config.intermediate_size}",
        "query heads, key and value heads": f"{config.num_attention_heads}, {config.num_key_value_heads}",
        "vocabulary": f"{config.vocab_size:,}",
        "context in tokens": f"{config.max_position_embeddings:,}",
        "embeddings tied": "yes" if config.tie_word_embeddings else "no",
    }


def _start(settings: TrainSection, numbers: Mapping[str, Any]) -> dict[str, str]:
    if settings.start is None:
        return {}
    rows = {"started from": _name(settings), "trained": _METHODS[settings.method]}
    adapters = settings.adapters
    if adapters is not None:
        rows["trainable parameters"] = f"{numbers['trainable_parameters']:,}"
        rows["adapters"] = _adapters(adapters)
    return rows


def _adapters(adapters: LoraSettings) -> str:
    targets = adapters.target_modules
    layers = targets if isinstance(targets, str) else ", ".join(targets or ())
    return f"r {adapters.r}, alpha {adapters.alpha:g}, dropout {adapters.dropout:g}; {layers}"


def _front_matter(settings: TrainSection) -> str:
    lines = ["library_name: transformers"]
    tags = ["textmill"]
    if settings.adapters is not None:
        lines = ["library_name: peft"]
        tags.append("lora")
    if settings.start is None:
        tags.append("llama")
    elif settings.start.startswith("hf:"):
        lines.append(f"base_model: {_name(settings)}")
    return "\n".join([*lines, "pipeline_tag: text-generation", f"tags: [{', '.join(tags)}]"])


def _title(settings: TrainSection) -> str:
    if settings.start is None:
        return "A Llama trained with textmill"
    return f"{_name(settings)}, trained further with textmill"


def _about(trainee: Trainee, settings: TrainSection) -> str:
    if settings.start is None:
        return (
            f"A base model of {trainee.parameters / 1e6:.2f} million parameters, trained from scratch. It continues "
            "text; it follows\nno instructions, and it knows what its documents said, right or wrong."
        )
    return (
        f"{_name(settings)} ({trainee.parameters / 1e6:.2f} million parameters) went on with its pretraining on other "
        "documents.\nIt knows what they said, right or wrong."
    )


def _usage(adapted: bool) -> str:
    if not adapted:
        return """from transformers import AutoModelForCausalLM, AutoTokenizer

model = AutoModelForCausalLM.from_pretrained("model")
tokenizer = AutoTokenizer.from_pretrained("model")"""
    return """from peft import AutoPeftModelForCausalLM
from transformers import AutoTokenizer

model = AutoPeftModelForCausalLM.from_pretrained("model")
tokenizer = AutoTokenizer.from_pretrained("model")"""


def _beginning(trainee: Trainee) -> str:
    if not isinstance(trainee, LlamaTrainee) or trainee.config.bos_token_id is None:
        return ""
    return f"A document begins after the end-of-text token (id {trainee.config.bos_token_id}).\n"


def _name(settings: TrainSection) -> str:
    """The model that was trained on: its name on the Hub, or its folder's, without the rest of the path."""
    start = settings.start or ""
    return start.partition("://")[2] if start.startswith("hf:") else start.rstrip("/").rpartition("/")[2]


def _optimizer(settings: TrainSection) -> str:
    rates = f"AdamW, peak {settings.lr:g}"
    if settings.optimizer == "muon":
        rates = f"Muon, peak {settings.muon_lr:g}, for matrices in blocks; {rates}, for all else"
    return f"{rates}; {settings.schedule}"


def _number(value: float | None) -> str:
    return "not measured" if value is None else f"{value:.4f}"
