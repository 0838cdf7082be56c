"""From the options of ``train`` to a recipe: every option is a change of one, told by its own name when it is wrong."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from textmill.errors import UserError

if TYPE_CHECKING:
    from textmill.recipe import Override, Recipe

# Options that are fields of the recipe under another name, and where they stand there.
FIELDS = {
    "max_length": "tokens.seq_len",
    "stride": "train.stride",
    "min_tokens": "train.min_tokens",
    "num_epochs": "train.epochs",
    "tokens": "train.tokens",
    "max_steps": "train.steps",
    "learning_rate": "train.lr",
    "weight_decay": "train.weight_decay",
    "lr_scheduler_type": "train.schedule",
    "optim": "train.optimizer",
    "max_grad_norm": "train.clip",
    "warmup": "train.warmup",
    "method": "train.method",
    "lora_r": "train.lora.r",
    "lora_alpha": "train.lora.alpha",
    "lora_dropout": "train.lora.dropout",
    "lora": "train.lora.preset",
    "inspect_samples": "train.inspect",
    "save_steps": "train.checkpoint_every",
    "save_total_limit": "train.keep_last",
    "logging_steps": "train.log_every",
    "eval_steps": "train.validate_every",
    "fsdp_transformer_layer_cls_to_wrap": "train.wrap",
    "parallel": "train.parallel",
    "processes": "train.processes",
    "environment": "train.environment",
    "device": "train.device",
    "seed": "seed",
    "workers": "run.workers",
    "val_split": "tokens.split.validation",
}


def training_recipe(arguments: argparse.Namespace) -> Recipe:
    """The recipe that the options mean, or the one that is named, changed by them.

    Raises:
        UserError: nothing to train on, or options that contradict each other.
    """
    from importlib.resources import as_file, files

    from textmill.recipe import Override, load_recipe

    if arguments.recipe is not None:
        if arguments.train_files:
            raise UserError(
                "A recipe names its own data.", found="a recipe and --train-file", hint="leave one out"
            )
        return load_recipe(arguments.recipe, [*arguments.overrides, *_changes(arguments)])
    if not arguments.train_files and not arguments.preflight:
        raise UserError(
            "There is nothing to train on.",
            expected="textmill train RECIPE, or --train-file PATH",
            hint="textmill train --help",
        )
    changes: list[str | Override] = [Override("sources", json.dumps(_sources(arguments)), "--train-file")]
    changes += _changes(arguments)
    if not arguments.model_name:
        return load_recipe(_from_scratch(arguments), [*changes, *arguments.overrides], origin="command line")
    start = _start(arguments.model_name)
    changes.append(Override("train.from", json.dumps(start), f"--model-name {arguments.model_name}"))
    tokenizer = {"use": _start(arguments.tokenizer) if arguments.tokenizer else start}
    changes.append(Override("tokenizer", json.dumps(tokenizer), "--tokenizer"))
    if arguments.base:
        return load_recipe(arguments.base, [*changes, *arguments.overrides])
    with as_file(files("textmill").joinpath("recipes", "quebec_french_training.yaml")) as packaged:
        recipe = load_recipe(packaged, [*changes, *arguments.overrides])
    # The texts come as they are: cleaning them is `textmill curate`.
    return recipe.model_copy(update={"curate": ()})


def _from_scratch(arguments: argparse.Namespace) -> dict[str, Any]:
    if arguments.vocab_size:
        tokenizer: dict[str, Any] = {"train": {"vocab_size": arguments.vocab_size}}
    elif arguments.tokenizer:
        tokenizer = {"use": _start(arguments.tokenizer)}
    else:
        tokenizer = {"train": {"vocab_size": 32_000}}
    train: dict[str, Any] = {"depth": arguments.depth} if arguments.depth else {}
    if arguments.preset or not train:
        from textmill.model.presets import preset

        name = (arguments.preset or "tiny").lower()
        preset(name)  # told with near names before the recipe says the same at length
        train["preset"] = name
    return {"name": "training", "sources": [], "tokenizer": tokenizer, "tokens": {}, "train": train}


def _sources(arguments: argparse.Namespace) -> list[dict[str, Any]]:
    sources = []
    for label, paths in (("training", arguments.train_files), ("val", arguments.val_files)):
        if paths:
            settings = {"paths": paths, "label": label, "unit": arguments.unit}
            if arguments.text_field:
                settings["text_field"] = arguments.text_field
            sources.append({"files": settings})
    return sources or [{"files": {"paths": ".", "label": "training"}}]


def _changes(arguments: argparse.Namespace) -> list[Override]:
    """The options as changes of the recipe, each with its own name for messages."""
    from textmill.recipe import Override

    given: list[tuple[str, Any, str]] = []
    for option, path in FIELDS.items():
        value = getattr(arguments, option)
        if value is not None:
            given.append((path, value, f"--{option.replace('_', '-')} {value}"))
    method = _method(arguments)
    if method is not None:
        given.append(("train.method", method, f"--method {method}"))
    if method == "full":
        given.append(("train.lora", "null", "--no-use-lora"))
    if arguments.target_modules:
        names = arguments.target_modules
        value = names[0] if names == ["all-linear"] else json.dumps(names)
        given.append(("train.lora.target_modules", value, "--target-modules"))
    for option, precision in (("fp16", "fp16"), ("bf16", "bf16")):
        if getattr(arguments, option):
            given.append(("train.dtype", precision, f"--{option}"))
    if arguments.gradient_checkpointing is not None:
        how = "full" if arguments.gradient_checkpointing else "none"
        given.append(("train.activation_checkpointing", how, "--gradient-checkpointing"))
    if arguments.fsdp is not None:
        given.append(("train.parallel", "fsdp", f"--fsdp {arguments.fsdp}"))
    if arguments.deepspeed is not None:
        given.append(("train.parallel", "deepspeed", "--deepspeed"))
        if arguments.deepspeed:
            path = str(Path(arguments.deepspeed).absolute())
            given.append(("train.deepspeed.config", path, f"--deepspeed {arguments.deepspeed}"))
    if arguments.launch is not None:
        path = str(Path(arguments.launch).absolute())
        given.append(("train.hostfile", path, f"--launch {arguments.launch}"))
    if not arguments.inspect_data:
        given.append(("train.inspect", "0", "--no-inspect-data"))
    if arguments.val_files:
        given.append(("tokens.split.validation", "0", "--val-file"))
        given.append(("tokens.split.field", "source", "--val-file"))
    elif arguments.recipe is None and arguments.val_split is None:
        given.append(("tokens.split.validation", "0", "no --val-split"))
    if arguments.tokens or arguments.max_steps:
        given.append(("train.epochs", "null", "--tokens"))
    given += _batches(arguments)
    return [Override(path, str(value), origin) for path, value, origin in given]


def _batches(arguments: argparse.Namespace) -> list[tuple[str, Any, str]]:
    """Batches per device and passes per step, as the recipe counts them: windows per step in all."""
    rows, passes = arguments.batch_size, arguments.gradient_accumulation_steps
    if rows is None and passes is None:
        return []
    for option, value in (("--batch-size", rows), ("--gradient-accumulation-steps", passes)):
        if value is not None and value < 1:
            raise UserError("This is out of range.", expected="1 or more", found=str(value), where=option)
    rows, passes = rows or 8, passes or (8 if arguments.model_name else 1)
    devices = _devices(arguments)
    origin = f"--batch-size {rows} --gradient-accumulation-steps {passes}"
    return [
        ("train.micro_batch_size", rows, origin),
        ("train.batch_size", rows * passes * devices, f"{origin} on {devices} devices"),
    ]


def _devices(arguments: argparse.Namespace) -> int:
    """Processes that will train: those of a launcher, of a hostfile, as many as asked for, or one per GPU."""
    import os

    if arguments.launch is not None:
        from textmill.train.parallel.hostfile import read_hostfile

        return sum(host.slots for host in read_hostfile(Path(arguments.launch)))
    if arguments.processes is not None and arguments.processes.isdecimal():
        return max(1, int(arguments.processes))
    launched = os.environ.get("WORLD_SIZE")
    if launched and launched.isdecimal():
        return max(1, int(launched))
    from textmill.model.extra import require_torch

    require_torch()
    import torch

    return max(1, torch.cuda.device_count())


def _method(arguments: argparse.Namespace) -> str | None:
    chosen = {
        "--method": arguments.method,
        "--use-4bit": "qlora" if arguments.use_4bit else None,
        "--use-8bit": "8bit" if arguments.use_8bit else None,
        "--no-use-lora": "full" if arguments.use_lora is False else None,
    }
    found: dict[str, str] = {option: value for option, value in chosen.items() if value}
    if len(set(found.values())) > 1:
        raise UserError("These options contradict each other.", found=" ".join(found), hint="leave one out")
    if found:
        return next(iter(found.values()))
    return "lora" if arguments.use_lora else None


def _start(name: str) -> str:
    """A folder as an absolute path, or ``owner/name`` as a name on the Hub."""
    path = Path(name).expanduser()
    if path.exists() or "://" in name or name.startswith(("hf:/", ".", "/", "~")) or name.count("/") != 1:
        return name if ":/" in name else str(path.absolute())
    return f"hf://{name}"
