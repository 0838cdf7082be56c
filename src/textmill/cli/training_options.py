"""The options of ``train``, in four groups; the names of other trainers are accepted where they mean the same."""

from __future__ import annotations

import argparse

from textmill.cli.arguments import Parser


def add_data_options(parser: Parser) -> None:
    """What it reads."""
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


def add_model_options(parser: Parser) -> None:
    """What is trained."""
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


def add_training_options(parser: Parser) -> None:
    """How, and where to."""
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


def add_forecast_options(parser: Parser) -> None:
    """What it would take."""
    parser.add_argument("--preflight", action="store_true", help="say what it would take, and do nothing")
    parser.add_argument(
        "--gpus", default="1xH100,8xH100", metavar="LIST", help="for --preflight: 8xH100,1xL4@0.70"
    )
    parser.add_argument("--price", type=float, metavar="USD", help="for --preflight: per GPU and hour")
    parser.add_argument(
        "--mfu", type=float, metavar="SHARE", help="for --preflight: share of the peak that is used"
    )
