"""The ``train:`` section at work: tokens of the run in, checkpoints and ``model/`` out."""

from __future__ import annotations

from pathlib import Path

from textmill.model.device import pick_device
from textmill.steps import StageContext, StageResult
from textmill.tokens.index import TokenIndex
from textmill.train.data import TrainingData, open_data
from textmill.train.hub_trainee import trainable_line
from textmill.train.inspection import inspect_feed
from textmill.train.loop import Trained, train
from textmill.train.output import build_output, training_numbers
from textmill.train.parallel.crew import crew
from textmill.train.parallel.job import Job, job_root, leading
from textmill.train.settings import TrainSection
from textmill.train.start_settings import QUANTISED
from textmill.train.trainee import Trainee
from textmill.train.trainees import trainee_of, with_depth

MODEL = "model"


def run_training(settings: TrainSection, context: StageContext) -> StageResult:
    """Train on the split ``train`` of ``tokens/``; called again after an interruption, continue.

    Raises:
        UserError: see :func:`textmill.train.loop.train`, :func:`textmill.train.trainees.trainee_of` and
            :func:`textmill.train.inspection.check_batches`.
    """
    folder, tokenizer = context.local("tokens"), context.local("tokenizer")
    known = TokenIndex.read(folder)
    settings = with_depth(settings, known.vocab_size, settings.seq_len or known.seq_len)
    if settings.method in QUANTISED and settings.parallel == "auto":
        settings = settings.model_copy(update={"parallel": "ddp"})  # nothing else can share such weights
    seed = context.seed if settings.seed is None else settings.seed
    data = open_data(settings.resolved(), folder, seed, context.scratch)
    trainee = trainee_of(
        settings,
        vocab_size=data.vocab_size,
        seq_len=data.seq_len,
        eos_id=data.eos_id,
        device=pick_device(settings.device),
        seed=seed,
        tokenizer=tokenizer / "tokenizer.json",
    )
    _look(settings, data, trainee, tokenizer / "tokenizer.json", context)
    job = Job(
        settings=settings.model_dump(mode="json", by_alias=True),
        tokens=str(folder),
        tokenizer=str(tokenizer / "tokenizer.json"),
        root=job_root(context.local("checkpoints")),
        seed=seed,
    )
    with crew(settings, context.say), leading(job):
        trained = train(
            settings,
            trainee,
            data.feed,
            context,
            scratch=context.scratch,
            seed=context.seed,
            validation=data.validation,
            digest=data.digest,
            progress=context.progress,
            say=context.say,
        )
    numbers = training_numbers(trained, settings, windows=len(data.feed), seq_len=data.seq_len)
    # With these, the samples of any step can be named again (textmill trace --step).
    numbers["seed"] = seed
    numbers["samples"] = len(data.feed)
    numbers["passed_over"] = trained.state.passed_over
    numbers["windows"] = {
        "kind": settings.windows,
        "stride": settings.stride,
        "min_tokens": settings.min_tokens,
    }
    numbers["mixture"] = [source.tokens for source in settings.mixture or ()]
    if not trained.first:
        return StageResult((), numbers)
    model = _publish(settings, context, trained, numbers, data.digest, seed, tokenizer)
    return StageResult([*context.published("checkpoints"), *model], numbers)


def _look(
    settings: TrainSection, data: TrainingData, trainee: Trainee, tokenizer: Path, context: StageContext
) -> None:
    """What is trained, and what it is trained on, before the first step."""
    if settings.start is not None:
        context.say(trainable_line(trainee.trained_parameters, trainee.parameters))
    inspect_feed(
        data.feed,
        vocab_size=trainee.vocab_size,
        eos_id=data.eos_id,
        stops_per_token=data.stops_per_token,
        show=settings.inspect,
        tokenizer=tokenizer,
        say=context.say,
    )


def _publish(
    settings: TrainSection,
    context: StageContext,
    trained: Trained,
    numbers: dict[str, object],
    digest: str,
    seed: int,
    tokenizer: Path,
) -> list[str]:
    files = build_output(
        context,
        trained,
        settings,
        numbers,
        context.scratch / MODEL,
        tokenizer_files=sorted(tokenizer.iterdir()),
        data=digest,
        seed=seed,
    )
    kept = {f"{MODEL}/{file.name}" for file in files}
    for path in context.published(MODEL):
        if path not in kept:  # of an earlier attempt; a loader would read it all the same
            context.remove(path)
    return [context.publish(file, f"{MODEL}/{file.name}") for file in files]
