"""The ``evaluate:`` section at work: ``model/`` and held-out tokens in, ``evaluation/`` out."""

from __future__ import annotations

import json
from typing import Any

from tokenizers import Tokenizer

from textmill.evaluate.perplexity import measure
from textmill.evaluate.samples import continue_beginnings
from textmill.evaluate.settings import EvaluateSection
from textmill.model.device import pick_device
from textmill.model.hf import load_folder
from textmill.steps import StageContext, StageResult
from textmill.tokens.dataset import TokenSet


def run_evaluation(settings: EvaluateSection, context: StageContext) -> StageResult:
    """Measure the run's model on its held-out documents.

    Raises:
        UserError: nothing was held out, or the model cannot be read.
    """
    model = load_folder(context.local("model"), device=pick_device(settings.device))
    tokens = context.local("tokens")
    numbers: dict[str, Any] = {}
    outputs = []
    if settings.perplexity is not None:
        perplexity = measure(
            model,
            TokenSet(tokens, settings.perplexity.split),
            TokenSet(tokens, "train"),
            stride=settings.perplexity.stride,
            batch_size=settings.perplexity.batch_size,
            unigram_tokens=settings.perplexity.unigram_tokens,
            progress=context.progress,
        )
        numbers |= {"split": settings.perplexity.split, **perplexity.numbers()}
    if settings.samples is not None:
        split = settings.perplexity.split if settings.perplexity else "validation"
        tokenizer = Tokenizer.from_file(str(context.local("tokenizer") / "tokenizer.json"))
        samples = continue_beginnings(
            model, tokenizer, TokenSet(tokens, split), settings.samples, context.seed
        )
        outputs.append(_publish(context, "samples.json", samples))
    outputs.insert(0, _publish(context, "results.json", numbers))
    return StageResult(outputs, numbers)


def _publish(context: StageContext, name: str, value: Any) -> str:
    file = context.scratch / name
    file.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", "utf-8")
    return context.publish(file, f"evaluation/{name}")
