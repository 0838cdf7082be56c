"""The ``train:`` section at work: tokens of the run in, checkpoints and ``model/`` out."""

from __future__ import annotations

from textmill.model.device import pick_device
from textmill.steps import StageContext, StageResult
from textmill.tokens.dataset import TokenSet
from textmill.train.data import open_data
from textmill.train.inspection import inspect_feed
from textmill.train.loop import train
from textmill.train.output import build_output, training_numbers
from textmill.train.parallel.crew import crew
from textmill.train.parallel.job import Job, job_root, leading
from textmill.train.settings import TrainSection
from textmill.train.trainees import trainee_of, with_depth

MODEL = "model"


def run_training(settings: TrainSection, context: StageContext) -> StageResult:
    """Train on the split ``train`` of ``tokens/``; called again after an interruption, continue.

    Raises:
        UserError: see :func:`textmill.train.loop.train`, :func:`textmill.train.trainees.trainee_of` and
            :func:`textmill.train.inspection.check_batches`.
    """
    folder, tokenizer = context.local("tokens"), context.local("tokenizer")
    samples = TokenSet(folder, "train", settings.seq_len)
    settings = with_depth(settings, samples.vocab_size, samples.seq_len)
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
    inspect_feed(
        data.feed,
        vocab_size=trainee.vocab_size,
        eos_id=samples.eos_id,
        stops_per_token=samples.documents / max(1, samples.tokens),
        show=settings.inspect,
        tokenizer=tokenizer / "tokenizer.json",
        say=context.say,
    )
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
    files = build_output(
        context,
        trained,
        settings,
        numbers,
        context.scratch / MODEL,
        tokenizer_files=sorted(tokenizer.iterdir()),
        data=data.digest,
        seed=seed,
    )
    kept = {f"{MODEL}/{file.name}" for file in files}
    for path in context.published(MODEL):
        if path not in kept:  # of an earlier attempt; a loader would read it all the same
            context.remove(path)
    model = [context.publish(file, f"{MODEL}/{file.name}") for file in files]
    return StageResult([*context.published("checkpoints"), *model], numbers)
