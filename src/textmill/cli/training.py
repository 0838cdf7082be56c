"""``train`` and ``preview``: a model from files or a recipe, what it will cost, and what it will read."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from textmill.cli.arguments import Commands, Parser
from textmill.errors import UserError

if TYPE_CHECKING:
    from textmill.recipe import Override, Recipe

TITLE = "train"

RUN_FOLDER = "run"
"""Where ``train`` keeps its run, below the output folder."""

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


def register(add: Commands) -> None:
    """Add the commands of this group."""
    train = add(
        "train", "Train a model on text or tokens: from scratch, or one that exists, whole or by LoRA."
    )
    train.add_argument("recipe", nargs="?", metavar="RECIPE", help="carry out this recipe up to its training")
    _data(train)
    _model(train)
    _training(train)
    _forecast(train)
    train.set_defaults(run_command=_train)

    preview = add("preview", "Show windows as a training reads them: borders, masks, stop tokens.")
    preview.add_argument("run", nargs="?", metavar="RUN", help="run folder (default: the newest below runs/)")
    preview.add_argument("--step", type=int, default=1, metavar="N", help="first step to show (default: 1)")
    preview.add_argument("--samples", type=int, default=5, metavar="N", help="windows to show (default: 5)")
    preview.add_argument("--full", action="store_true", help="all of a long window")
    preview.add_argument(
        "--set", action="append", default=[], metavar="FIELD=VALUE", dest="overrides",
        help="with another value of train:, such as train.mask_documents=true (may be repeated)",
    )  # fmt: skip
    preview.set_defaults(run_command=_preview)


def _data(parser: Parser) -> None:
    parser.add_argument(
        "--train-file", "--data", nargs="+", metavar="PATH", dest="train_files",
        help="text: .txt (one text per line), .jsonl (field text, content or sentence), Parquet; or tokens: a .seq "
        "file, a folder with train_000000.npy, tokens.bin or a run's tokens",
    )  # fmt: skip
    parser.add_argument(
        "--val-file", nargs="+", metavar="PATH", dest="val_files", help="held-out text or tokens"
    )
    parser.add_argument(
        "--val-split", metavar="SHARE", help="share of the texts held out instead (default: 0)"
    )
    parser.add_argument("--text-field", metavar="NAME", help="field of .jsonl files with the text")
    parser.add_argument(
        "--unit", choices=("line", "paragraph", "file"), default="line",
        help="what one text is in .txt files (default: line)",
    )  # fmt: skip
    parser.add_argument(
        "--tokenizer", metavar="PATH", help="folder, or hf://owner/name (default: the model's own)"
    )
    parser.add_argument(
        "--vocab-size", metavar="N", help="train a tokenizer of this size on the texts instead"
    )
    parser.add_argument("--max-length", "--seq-len", metavar="N", help="tokens of a window")
    parser.add_argument("--stride", metavar="N", help="tokens that two windows share")
    parser.add_argument("--min-tokens", metavar="N", help="windows with fewer tokens are dropped")


def _model(parser: Parser) -> None:
    parser.add_argument(
        "--model-name",
        "--from",
        metavar="NAME",
        help="a model to go on with: folder, or owner/name on the Hub",
    )
    parser.add_argument("--preset", metavar="NAME", help="from scratch: tiny, 125m, 350m, 1b, 8b")
    parser.add_argument(
        "--depth", metavar="N", help="from scratch: blocks; all else follows from their number"
    )
    parser.add_argument("--method", metavar="HOW", help="full, lora, qlora or 8bit")
    parser.add_argument(
        "--use-lora",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="adapters (default), or all weights",
    )
    parser.add_argument("--use-4bit", "--load-in-4bit", action="store_true", help="frozen weights in NF4")
    parser.add_argument("--use-8bit", "--load-in-8bit", action="store_true", help="frozen weights in 8 bits")
    parser.add_argument(
        "--lora", metavar="PRESET", help="attention (r 8, q and v) or projections (r 16, all seven)"
    )
    parser.add_argument("--lora-r", metavar="N", help="rank")
    parser.add_argument("--lora-alpha", metavar="A", help="the update is scaled by alpha / r")
    parser.add_argument("--lora-dropout", metavar="P", help="share of inputs dropped")
    parser.add_argument("--target-modules", nargs="+", metavar="NAME", help="layers that get adapters")


def _training(parser: Parser) -> None:
    parser.add_argument(
        "--output-dir", "--output", "--out", metavar="DIR",
        help="model, checkpoint-N/, logs/ and summaries (default: cpt_model); for a recipe its run folder",
    )  # fmt: skip
    parser.add_argument(
        "--batch-size", "--per-device-train-batch-size", type=int, metavar="N",
        help="windows per forward pass and device",
    )  # fmt: skip
    parser.add_argument("--gradient-accumulation-steps", type=int, metavar="N", help="passes per step")
    parser.add_argument(
        "--num-epochs", "--epochs", "--num-train-epochs", metavar="N", help="passes over the data"
    )
    parser.add_argument("--tokens", metavar="N", help="budget in tokens (2.5B) instead")
    parser.add_argument("--max-steps", metavar="N", help="budget in steps instead")
    parser.add_argument("--learning-rate", "--lr", metavar="RATE", help="AdamW's peak rate")
    parser.add_argument(
        "--lr-scheduler-type", "--schedule", metavar="NAME", help="cosine, linear, wsd or constant"
    )
    parser.add_argument(
        "--warmup", "--warmup-ratio", "--warmup-steps", metavar="N", help="steps, or a share below 1"
    )
    parser.add_argument("--weight-decay", metavar="W", help="decoupled")
    parser.add_argument("--max-grad-norm", metavar="N", help="longer gradients are shortened")
    parser.add_argument("--optim", "--optimizer", metavar="NAME", help="adamw or muon")
    parser.add_argument("--fp16", action="store_true", help="half precision with loss scaling")
    parser.add_argument("--bf16", action="store_true", help="bfloat16")
    parser.add_argument(
        "--gradient-checkpointing", action=argparse.BooleanOptionalAction, default=None,
        help="compute activations again instead of keeping them",
    )  # fmt: skip
    parser.add_argument(
        "--fsdp", nargs="?", const="full_shard", metavar="HOW", help="share the weights out (FSDP2)"
    )
    parser.add_argument(
        "--fsdp-transformer-layer-cls-to-wrap", metavar="CLASS", help="layers shared out one by one"
    )
    parser.add_argument("--parallel", metavar="HOW", help="auto, ddp, fsdp or deepspeed")
    parser.add_argument(
        "--deepspeed", nargs="?", const="", metavar="JSON",
        help="share the work out by DeepSpeed's ZeRO, with this configuration if one is given",
    )  # fmt: skip
    parser.add_argument(
        "--processes", "--nproc-per-node", metavar="N", help="processes here (default: one per GPU)"
    )
    parser.add_argument(
        "--launch", metavar="HOSTFILE",
        help="train on several machines: lines `name slots=8`, the first is this one, the others are reached by ssh",
    )  # fmt: skip
    parser.add_argument(
        "--environment",
        metavar="FILE",
        help="lines NAME=value for all processes: variables of NCCL and the like",
    )
    parser.add_argument(
        "--templates", metavar="DIR",
        help="write a hostfile, variables for NCCL and a configuration of DeepSpeed to begin with, and do nothing else",
    )  # fmt: skip
    parser.add_argument(
        "--inspect-data",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="show windows before training",
    )
    parser.add_argument("--inspect-samples", metavar="N", help="how many (default: 5)")
    parser.add_argument("--save-steps", metavar="N", help="steps between checkpoints")
    parser.add_argument("--save-total-limit", metavar="N", help="checkpoints kept")
    parser.add_argument("--logging-steps", metavar="N", help="steps between rows of the loss curve")
    parser.add_argument("--eval-steps", metavar="N", help="steps between validations")
    parser.add_argument("--seed", metavar="N", help="the one number behind every random choice (default: 42)")
    parser.add_argument("--device", metavar="NAME", help="auto, cpu, cuda or mps")
    parser.add_argument("--workers", metavar="N", help="processes that encode text")
    parser.add_argument(
        "--take", metavar="RECIPE", dest="base",
        help="sections tokens: and train: of this recipe (default, for a model that exists: quebec_french_training)",
    )  # fmt: skip
    parser.add_argument(
        "--set", action="append", default=[], metavar="FIELD=VALUE", dest="overrides",
        help="change any value of the recipe: train.beta2=0.95 (may be repeated)",
    )  # fmt: skip


def _forecast(parser: Parser) -> None:
    parser.add_argument("--preflight", action="store_true", help="say what it would take, and do nothing")
    parser.add_argument(
        "--gpus", default="1xH100,8xH100", metavar="LIST", help="for --preflight: 8xH100,1xL4@0.70"
    )
    parser.add_argument("--price", type=float, metavar="USD", help="for --preflight: per GPU and hour")
    parser.add_argument(
        "--mfu", type=float, metavar="SHARE", help="for --preflight: share of the peak that is used"
    )


def _train(arguments: argparse.Namespace) -> int:
    if arguments.templates is not None:
        from textmill.train.templates import write_templates

        print("\n".join(map(str, write_templates(Path(arguments.templates)))))
        return 0
    recipe = _recipe(arguments)
    if recipe.train is None:
        raise UserError(
            "This recipe trains no model.", expected="a section train:", where=str(arguments.recipe)
        )
    output = Path(arguments.output_dir or "cpt_model")
    if arguments.preflight:
        return _preflight(arguments, recipe)
    from textmill.model.extra import require_torch

    require_torch()
    if arguments.recipe is not None:
        from textmill.cli.running import carry_out

        folder = carry_out(recipe.model_copy(update={"evaluate": None}), arguments.output_dir)
        print(f"\nmodel       {Path(folder, 'model')}")
        return 0
    if _trains_on_tokens(arguments):
        folder = _train_on_tokens(arguments, recipe, output)
    else:
        from textmill.cli.running import carry_out

        folder = carry_out(recipe, str(output / RUN_FOLDER))
    return _finish(Path(folder), output)


def _finish(run: Path, output: Path) -> int:
    from textmill.train.output import lay_out

    lay_out(run, output)
    summary = json.loads((output / "training_summary.json").read_text("utf-8"))
    print()
    print(f"output      {output}")
    print(f"steps       {summary['steps']:,}, {summary['tokens']:,} tokens, {summary['epochs']:g} epochs")
    for name, key in (
        ("train loss", "final_loss"),
        ("val loss", "validation_loss"),
        ("perplexity", "perplexity"),
    ):
        if summary.get(key) is not None:
            print(f"{name:<12}{summary[key]:.4f}")
    if summary["method"] != "full":
        print(f"\nnext: textmill export --merge {output} --out MERGED writes a model without adapters")
    else:
        print(f'\nnext: textmill generate "…" --model {output}')
    return 0


# --- what is trained ------------------------------------------------------------------------------------------


def _recipe(arguments: argparse.Namespace) -> Recipe:
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


# --- tokens that exist ----------------------------------------------------------------------------------------


def _trains_on_tokens(arguments: argparse.Namespace) -> bool:
    from textmill.tokens.adopt import is_tokens

    return len(arguments.train_files) == 1 and is_tokens(Path(arguments.train_files[0]))


def _train_on_tokens(arguments: argparse.Namespace, recipe: Recipe, output: Path) -> str:
    from textmill.cli.progress import TerminalProgress
    from textmill.pipeline.alone import train_on_tokens

    held_out = [Path(path) for path in arguments.val_files or ()]
    if len(held_out) > 1:
        raise UserError("Held-out tokens are one folder or file.", found=", ".join(map(str, held_out)))
    run = output / RUN_FOLDER
    with TerminalProgress() as progress:
        train_on_tokens(
            recipe,
            Path(arguments.train_files[0]),
            run,
            held_out=held_out[0] if held_out else None,
            progress=progress,
        )
    return str(run)


# --- before it starts -----------------------------------------------------------------------------------------


def _preflight(arguments: argparse.Namespace, recipe: Recipe) -> int:
    from textmill.cli.preflight import print_preflight
    from textmill.train.hardware import parse_machines

    machines = parse_machines(arguments.gpus, arguments.price)
    return print_preflight(recipe, machines, arguments.mfu, arguments.train_files or ())


def _preview(arguments: argparse.Namespace) -> int:
    from textmill.cli.preview import print_preview

    return print_preview(arguments)
