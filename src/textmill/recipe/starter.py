"""A first recipe for a user's own folder, with the reason beside every number."""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from textmill.errors import UserError
from textmill.recipe.survey import Survey, survey_folder

# Bytes of English text per token of a vocabulary of some ten thousand entries; other languages differ, but
# not so much that another size would be chosen.
_BYTES_PER_TOKEN = 4.0
# Repeating data up to four times is nearly as good as new data (Muennighoff et al. 2023,
# https://arxiv.org/abs/2305.16264).
_USEFUL_EPOCHS = 4
# Tokens per parameter at which a training budget is spent best (Hoffmann et al. 2022,
# https://arxiv.org/abs/2203.15556).
_TOKENS_PER_PARAMETER = 20
# Presets that want a GPU, largest first, with their parameters.
_GPU_PRESETS = (("8b", 8_000_000_000), ("1b", 1_240_000_000), ("350m", 350_000_000), ("125m", 125_000_000))
# What two cores train on in about ten minutes.
_CPU_TOKENS = 5_000_000
# With more languages than this the user is asked to choose; documents shorter than so many words are no pages.
_FEW_LANGUAGES = 3
_SHORT_WORDS = 75
# Languages whose words are not set apart by spaces; words are short there, and Gopher's length rule is off.
_WITHOUT_SPACES = frozenset({"zh", "ja", "th", "lo", "km", "my", "yue", "wuu"})


def write_starter(folder: Path, target: Path | None = None) -> Path:
    """Look at ``folder`` and write a recipe for it.

    Args:
        folder: the user's text (a single file will do).
        target: file to write; ``<name of the folder>.yaml`` in the current folder if left out.

    Returns:
        The file written.

    Raises:
        UserError: nothing readable in the folder, or the target exists or cannot be written.
    """
    name = re.sub(r"[^A-Za-z0-9_.-]+", "-", folder.resolve().name.split(".")[0]).strip("-._") or "corpus"
    target = target or Path(f"{name}.yaml")
    if target.exists():
        raise UserError(
            "This file exists and is not overwritten.",
            where=str(target),
            hint="choose another name: --out other.yaml; or delete it first",
        )
    text = starter_recipe(survey_folder(folder), name, target)
    try:
        with target.open("x", encoding="utf-8") as stream:
            stream.write(text)
    except OSError as error:
        raise UserError(
            "The recipe cannot be written.", where=str(target), found=error.strerror,
            hint="choose another place: --out FILE",
        ) from None  # fmt: skip
    return target


def starter_recipe(survey: Survey, name: str, target: Path) -> str:
    """The recipe's text."""
    plan = _choose(survey)
    return "\n".join(
        [
            f"# A recipe for {_one_line(str(survey.path))}, written by: textmill init",
            f"# Found there: {_found(survey)}.",
            f"# Look at it, change what you like, then: textmill plan {target}; textmill run {target}",
            "",
            f"name: {name}               # the run goes to runs/{name}",
            "seed: 0",
            "",
            "sources:",
            *_source_lines(survey, target),
            "",
            "curate:                      # in this order; each step accounts for every document",
            *_curate_lines(survey),
            "",
            *_model_lines(survey, plan),
            "",
        ]
    )


@dataclass(frozen=True)
class _Choice:
    vocab_size: int
    preset: str
    larger: str | None
    tokens: int
    available: int
    seq_len: int
    validation: float


def _choose(survey: Survey) -> _Choice:
    available = int(survey.text_bytes / _BYTES_PER_TOKEN)
    sizes = ((200e3, 512), (2e6, 2_048), (50e6, 4_096), (500e6, 8_192), (5e9, 16_384), (50e9, 32_768))
    vocab_size = next((size for limit, size in sizes if survey.text_bytes < limit), 65_536)
    fits = [(p, n) for p, n in _GPU_PRESETS if available * _USEFUL_EPOCHS >= n * _TOKENS_PER_PARAMETER]
    preset, tokens, larger = "tiny", min(_CPU_TOKENS, max(10_000, available * _USEFUL_EPOCHS)), None
    if fits and _has_gpu():
        preset, tokens = fits[0][0], fits[0][1] * _TOKENS_PER_PARAMETER
    elif fits:
        larger = fits[0][0]
    shares = ((200, 0.1), (2_000, 0.05), (10_000_000, 0.01))
    validation = next((share for limit, share in shares if survey.documents < limit), 0.001)
    return _Choice(
        vocab_size, preset, larger, tokens, available, 256 if preset == "tiny" else 2048, validation
    )


def _source_lines(survey: Survey, target: Path) -> list[str]:
    paths = f"      paths: {_quoted(_path_for(survey.path, target))}"
    archives = (
        ["  - warc:                    # pages in web archives", paths] if "warc" in survey.formats else []
    )
    if set(survey.formats) == {"warc"}:
        return archives
    lines = ["  - files:", paths]
    if survey.text_field is not None:
        lines.append(
            f"      text_field: {_quoted(survey.text_field)}   # the longest field of the first records"
        )
    if survey.not_utf8 and survey.not_utf8 == survey.looked_at:
        lines.append(
            "      encoding: cp1252         # not UTF-8: a guess (Western European); look at the first run"
        )
    elif survey.not_utf8:
        lines.append(
            f"      # {survey.not_utf8} of {survey.looked_at} files looked at are not UTF-8, and fail: make them a"
        )
        lines.append("      # source of their own with a label and encoding: cp1252 (or what they are in)")
    if survey.unit != "file":
        lines.append(
            f"      unit: {survey.unit}          # one document per {survey.unit}: the files are few or large"
        )
    return lines + archives


def _curate_lines(survey: Survey) -> list[str]:
    languages = _languages(survey.sample)
    short = 0 < survey.words < _SHORT_WORDS
    lines = ["  - normalize                # repairs encodings, line ends, control characters"]
    if {"html", "warc"} & set(survey.formats):
        lines.insert(0, "  - extract                  # the main text of a page, without menus and footers")
    if short:
        lines.append(
            f"  # Half of your documents have {survey.words} words or fewer, so that rules made for pages are eased."
        )
    lines += _language_lines(languages, short)
    settings, reasons = [], []
    main = languages[0][0] if languages else "en"
    if short:
        settings += [f"min_words: {max(1, survey.words // 5)}", "min_stop_words: null"]
        settings.append("min_alphabetic_words_ratio: 0.5")
        reasons.append(
            "the paper wants 50 words, two of its stop words, and letters in 80 % of words and marks"
        )
    elif main != "en" or len(languages) > 1:
        settings.append("min_stop_words: null")
        reasons.append("the paper's stop words are English")
    if _WITHOUT_SPACES & {code for code, _ in languages}:
        settings.append("min_mean_word_length: null")
        reasons.append("words are short in scripts without spaces")
    lines += [f"  # {reason}:" for reason in reasons]
    quality = f"gopher_quality: {{{', '.join(settings)}}}" if settings else "gopher_quality"
    lines.append(
        f"  - {quality}" + ("" if settings else "           # the paper's thresholds (Rae et al. 2021)")
    )
    if short:
        lines.append(
            "  # - gopher_repetition      # drops texts that repeat themselves; short ones fail by chance"
        )
    else:
        lines.append("  - gopher_repetition        # drops texts that repeat themselves (same paper)")
    lines.append("  - exact_dedup              # one copy of each text")
    return lines


def _language_lines(languages: list[tuple[str, float]], short: bool) -> list[str]:
    shares = ", ".join(f"{code} {share:.0%}" for code, share in languages)
    settings = []
    few = 0 < len(languages) <= _FEW_LANGUAGES and sum(share for _, share in languages) > 0.8
    if few:
        settings.append(f"keep: [{', '.join(code for code, _ in languages)}]")
    if short:
        settings.append("min_score: 0.3")
    step = f"language: {{{', '.join(settings)}}}" if settings else "language"
    if not languages:
        about = "drops what is in no clear language; to choose: {keep: [en]}"
    elif not few:
        about = f"many languages ({shares} ...): kept where clear; to choose: {{keep: [en]}}"
    else:
        about = f"of the documents looked at: {shares}"
    return [f"  # {about}", f"  - {step}"]


def _model_lines(survey: Survey, choice: _Choice) -> list[str]:
    epochs = choice.tokens / choice.available if choice.available else 0
    lines = [
        f"# A vocabulary that {_about(choice.available)} tokens or so can fill.",
        f"tokenizer: {{train: {{vocab_size: {choice.vocab_size:_}}}}}",
        "",
        f"# {100 * choice.validation:g} % of the documents are held out: what the model is measured on.",
        f"tokens: {{seq_len: {choice.seq_len}, split: {{validation: {choice.validation:g}}}}}",
        "",
    ]
    if choice.preset == "tiny":
        lines.append("# A toy of one million parameters: shows that all is well, in minutes on a CPU.")
    else:
        lines.append("# The largest preset that your text can feed with 20 tokens per parameter.")
    if choice.larger:
        lines.append(
            f"# Your text could feed the preset {choice.larger}; that wants a GPU, and none is here."
        )
    lines.append(f"# The budget is about {epochs:.2g} times your text.")
    lines += [
        f"train: {{preset: {choice.preset}, tokens: {choice.tokens:_}}}",
        "",
        "evaluate: {perplexity: {}}   # perplexity and bits per byte on the held-out documents",
    ]
    if survey.documents < 50:
        lines.insert(
            0,
            f"# Documents: only {survey.documents} or so, too few to hold much out; take the scores with care.",
        )
    return lines


def _found(survey: Survey) -> str:
    kinds = ", ".join(f"{count:,} {kind}" for kind, count in sorted(survey.formats.items()))
    text = f"files: {survey.files:,} ({kinds}), {_bytes(survey.disk_bytes)} on disk; about "
    text += f"{_bytes(survey.text_bytes)} of text; documents: about {survey.documents:,}"
    return text + (f"; files of other kinds, left alone: {survey.unread:,}" if survey.unread else "")


def _languages(sample: tuple[str, ...]) -> list[tuple[str, float]]:
    """Languages of at least a twentieth of the sample, most frequent first; empty when it is too small."""
    texts = [text for text in sample if len(text) >= 100]
    if not texts:
        return []
    from textmill.curate import STEPS
    from textmill.documents import Batch
    from textmill.steps import Filter, StepContext

    step = STEPS["language"]()
    assert isinstance(step, Filter)
    scores = step.open(StepContext()).scores(Batch.from_texts(texts))
    labels = next(list(values) for values in scores.values() if len(values) and isinstance(values[0], str))
    counts = Counter(labels)
    shares = [
        (code, count / len(labels)) for code, count in counts.most_common() if count * 20 >= len(labels)
    ]
    return [(code, share) for code, share in shares if re.fullmatch(r"[a-z]{2,3}", code)]


def _has_gpu() -> bool:
    try:
        import torch
    except ImportError:
        return False
    return bool(torch.cuda.is_available())


def _path_for(path: Path, target: Path) -> str:
    """Relative to the recipe where the text lies below it, so that both can be moved together."""
    absolute, base = Path(os.path.normpath(path.absolute())), target.absolute().parent
    return str(absolute.relative_to(base)) if absolute.is_relative_to(base) else str(absolute)


def _quoted(text: str) -> str:
    """A YAML double-quoted scalar; JSON's strings are a subset of it."""
    return json.dumps(text, ensure_ascii=not text.isprintable())


def _one_line(text: str) -> str:
    return "".join(c if c.isprintable() else "?" for c in text)


def _about(number: float) -> str:
    for limit, unit in ((1e9, "billion"), (1e6, "million"), (1e3, "thousand")):
        if number >= limit:
            return f"{number / limit:.{0 if number >= 10 * limit else 1}f} {unit}"
    return str(int(number))


def _bytes(number: float) -> str:
    for unit in ("bytes", "KB", "MB", "GB"):
        if number < 1000:
            return f"{number:.0f} {unit}" if unit == "bytes" else f"{number:.3g} {unit}"
        number /= 1000
    return f"{number:,.3g} TB"
