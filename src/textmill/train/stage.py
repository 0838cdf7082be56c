"""The ``train:`` section at work: tokens of the run in, checkpoints and ``model/`` out."""

from __future__ import annotations

import hashlib

from textmill.model.device import pick_device
from textmill.steps import StageContext, StageResult
from textmill.tokens.dataset import TokenSet
from textmill.train.inspection import inspect_feed
from textmill.train.loop import feed_of, train
from textmill.train.output import build_output, training_numbers
from textmill.train.settings import TrainSection
from textmill.train.trainees import trainee_of, with_depth

MODEL = "model"


def run_training(settings: TrainSection, context: StageContext) -> StageResult:
    """Train on the split ``train`` of ``tokens/``; called again after an interruption, continue.

    Raises:
        UserError: see :func:`textmill.train.loop.train`, :func:`textmill.train.trainees.trainee_of` and
            :func:`textmill.train.inspection.check_batches`.
    """
    tokens = context.upstream("tokens").numbers
    folder, tokenizer = context.local("tokens"), context.local("tokenizer")
    samples = TokenSet(folder, "train")
    held_out = tokens["splits"].get("validation", {})
    validation = TokenSet(folder, "validation") if held_out.get("samples") else None
    data = hashlib.sha256((folder / "index.json").read_bytes()).hexdigest()
    settings = with_depth(settings, samples.vocab_size, samples.seq_len)
    seed = context.seed if settings.seed is None else settings.seed
    trainee = trainee_of(
        settings,
        vocab_size=samples.vocab_size,
        seq_len=samples.seq_len,
        eos_id=samples.eos_id,
        device=pick_device(settings.device),
        seed=seed,
        tokenizer=tokenizer / "tokenizer.json",
    )
    feed = feed_of(samples, settings.resolved(), seed)
    inspect_feed(
        feed,
        vocab_size=trainee.vocab_size,
        eos_id=samples.eos_id,
        stops_per_token=samples.documents / max(1, samples.tokens),
        show=settings.inspect,
        tokenizer=tokenizer / "tokenizer.json",
        say=context.say,
    )
    trained = train(
        settings,
        trainee,
        feed,
        context,
        scratch=context.scratch,
        seed=context.seed,
        validation=validation,
        digest=data,
        progress=context.progress,
        say=context.say,
    )
    numbers = training_numbers(trained, settings, windows=len(feed), seq_len=samples.seq_len)
    # With these, the samples of any step can be named again (textmill trace --step).
    numbers["seed"] = seed
    numbers["samples"] = len(samples)
    files = build_output(
        context,
        trained,
        settings,
        numbers,
        context.scratch / MODEL,
        tokenizer_files=sorted(tokenizer.iterdir()),
        data=data,
        seed=seed,
    )
    kept = {f"{MODEL}/{file.name}" for file in files}
    for path in context.published(MODEL):
        if path not in kept:  # of an earlier attempt; a loader would read it all the same
            context.remove(path)
    model = [context.publish(file, f"{MODEL}/{file.name}") for file in files]
    return StageResult([*context.published("checkpoints"), *model], numbers)
