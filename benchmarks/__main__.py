"""Runs benchmarks by name, each in a process of its own; all that this machine can do if none is named."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

from benchmarks import corpus, peers

BENCHMARKS = {
    "filters": "the four quality filters beside datatrove: MB per CPU second",
    "parity": "verdicts beside datatrove's, document by document",
    "language": "language identification beside fastText; accuracy by length of text",
    "words": "word borders beside uniseg and ICU",
    "steps": "the other curation steps beside libraries and plain Python",
    "dedup": "MinHash signatures beside datatrove and Daft; whole runs; quality on graded copies",
    "crawling": "a site of many hosts, crawled beside Scrapy: pages per CPU second",
    "frontier": "the crawler's frontier as it grows: memory, speed, bytes per address",
    "scores": "scoring every document beside scoring survivors only",
    "encoding": "encoding beside tiktoken and Hugging Face with the same vocabulary",
    "tokenizer_training": "training byte-level BPE beside Hugging Face, the same merges",
    "tokens": "building shards and loading batches beside plain scripts",
    "text_kernels": "every text kernel beside its plain-Python oracle",
    "html_parser": "the HTML parser beside lexbor: pages per CPU second; hostile pages as they grow",
    "extraction": "main text beside trafilatura and resiliparse, cross-validated; pages per CPU second",
    "warc": "web archives beside FastWARC and warcio; links beside lexbor; addresses beside ada-url",
    "training": "training on the CPU beside transformers' Trainer and a nanoGPT-style loop",
    "gpu": "training on a GPU beside transformers' Trainer: tokens per second, MFU, memory",
}


def main() -> int:
    names = []
    arguments = sys.argv[1:]
    while arguments and not arguments[0].startswith("-"):
        names.append(arguments.pop(0))
    unknown = [name for name in names if name not in BENCHMARKS]
    if unknown or ("--help" in arguments and not names):
        print("python -m benchmarks [name ...] [options of that benchmark]\n")
        print("\n".join(f"  {name:20}{what}" for name, what in BENCHMARKS.items()))
        return 1 if unknown else 0
    failed = []
    for name in names or BENCHMARKS:
        if not names and (reason := impossible(name)):
            print(f"\n== {name}: left out, {reason}")
            continue
        print(f"\n== {name}: {BENCHMARKS[name]}", flush=True)
        given = arguments or ([] if names else defaults(name))
        if subprocess.run([sys.executable, "-m", f"benchmarks.{name}", *given], check=False).returncode:
            failed.append(name)
    if failed:
        print(f"\nfailed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


def impossible(name: str) -> str | None:
    """Why a benchmark cannot run on this machine."""
    if name == "gpu":
        import torch

        return None if torch.cuda.is_available() else "no GPU"
    if name in ("extraction", "html_parser") and "TEXTMILL_WCXB" not in os.environ:
        return "TEXTMILL_WCXB names no folder of marked pages"
    if name == "extraction" and importlib.util.find_spec("lightgbm") is None:
        return "it needs the extra extractor-training"
    if name == "text_kernels" and importlib.util.find_spec("hypothesis") is None:
        return "it needs the development requirements"
    if name == "dedup" and importlib.util.find_spec("hypothesis") is None:
        return "it needs the development requirements"
    return None


def defaults(name: str) -> list[str]:
    """What a benchmark is given when all of them run."""
    declaration = os.environ.get("TEXTMILL_UDHR")
    if name in ("language", "words") and declaration:
        return ["--udhr", declaration]
    if name == "text_kernels":
        path = peers.ROOT / "build" / "bench" / "kernels.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        text = "\n".join(each for _, each in corpus.sample(corpus.data_folders(), 5))
        Path(path).write_text(text, encoding="utf-8")
        return [str(path)]
    return []


if __name__ == "__main__":
    sys.exit(main())
