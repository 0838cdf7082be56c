"""A made-up run, as large and as odd as real ones, to draw and to test with."""

from __future__ import annotations

import math
import random

from textmill.report.model import (
    Breakdown,
    Copy,
    Cutting,
    DuplicateGroup,
    Evaluation,
    Example,
    FunnelRow,
    Histogram,
    LanguageTokens,
    LargeGroup,
    Measured,
    NearReview,
    Output,
    Reason,
    ReportData,
    Sample,
    Share,
    Tokens,
    TokenSplit,
    Training,
)

HOSTILE = '</pre></blockquote><script>alert(1)</script><img src=x onerror="alert(2)">\x00\u202eevil\u2066 &amp; \ufeff'


RECIPE = """\
name: quickstart
sources:
  - python_docs: {max_bytes: 64MB}   # bounded
curate:
  - normalize
  - language: {keep: [en], min_score: 0.65}
  - gopher_quality
  - gopher_repetition
  - exact_dedup
tokenizer: {train: {vocab_size: 4096}}
# """


def funnel(documents: int = 48_213, characters: int = 61_204_118) -> tuple[FunnelRow, ...]:
    shares = [
        ("ingest", 0.0, 0.0011, 1.0),
        ("normalize", 0.0, 0.0, 0.994),
        ("language", 0.021, 0.0, 0.985),
        ("gopher_quality", 0.412, 0.0001, 0.873),
        ("gopher_repetition", 0.064, 0.0, 0.941),
        ("exact_dedup", 0.118, 0.0, 0.902),
    ]
    rows = []
    for step, dropping, failing, keeping in shares:
        dropped, failed = round(documents * dropping), round(documents * failing)
        kept, characters_kept = documents - dropped - failed, round(characters * keeping)
        rows.append(
            FunnelRow(step, documents, kept, dropped, failed, characters, characters_kept, "1-curate")
        )
        documents, characters = kept, characters_kept
    return tuple(rows)


def score(
    step: str,
    name: str,
    draw: list[float],
    minimum: float | None = None,
    maximum: float | None = None,
    low: float | None = None,
    high: float | None = None,
    logarithmic: bool = False,
    bins: int = 36,
) -> Histogram:
    low = min(draw) if low is None else low
    high = max(draw) if high is None else high
    if logarithmic:
        edges = [low * (high / low) ** (i / bins) for i in range(bins + 1)]
    else:
        edges = [low + (high - low) * i / bins for i in range(bins + 1)]
    counts, outside = [0] * bins, [0] * bins
    for value in draw:
        position = next((i for i in range(bins) if value <= edges[i + 1]), bins - 1)
        counts[position] += 1
        outside[position] += (minimum is not None and value < minimum) or (
            maximum is not None and value > maximum
        )
    return Histogram(
        step=step,
        score=name,
        edges=tuple(edges),
        counts=tuple(counts),
        outside=tuple(outside),
        smallest=min(draw),
        largest=max(draw),
        missing=3,
        minimum=minimum,
        maximum=maximum,
        dropped=round(sum(outside) * 0.8),
        logarithmic=logarithmic,
    )


def histograms() -> tuple[Histogram, ...]:
    chance = random.Random(7)
    lognormal = [math.exp(chance.gauss(5.1, 1.3)) for _ in range(6000)]
    return (
        score(
            "language",
            "score",
            [min(1.0, chance.betavariate(14, 1.2)) for _ in range(6000)],
            minimum=0.65,
            high=1.0,
            low=0.2,
        ),
        score("gopher_quality", "words", lognormal, minimum=50, maximum=100_000, logarithmic=True),
        score(
            "gopher_quality",
            "mean_word_length",
            [chance.gauss(5.0, 1.1) for _ in range(6000)],
            minimum=3,
            maximum=10,
        ),
        score(
            "gopher_quality",
            "symbol_to_word",
            [chance.expovariate(40) for _ in range(6000)],
            maximum=0.1,
            low=0.0,
        ),
        score(
            "gopher_quality",
            "bullet_lines",
            [chance.betavariate(0.4, 4) for _ in range(6000)],
            maximum=0.9,
            low=0.0,
        ),
        score("gopher_quality", "ellipsis_lines", [0.0] * 6000, maximum=0.3, low=-0.5, high=0.5),
        score(
            "gopher_quality",
            "alphabetic_words",
            [chance.betavariate(9, 2) for _ in range(6000)],
            minimum=0.8,
            high=1.0,
        ),
        score(
            "gopher_quality",
            "stop_words",
            [float(chance.choice((0, 1, 2, 3, 4, 5, 6, 7, 8, 8))) for _ in range(6000)],
            minimum=2,
            low=-0.5,
            high=8.5,
            bins=9,
        ),
        score(
            "gopher_repetition",
            "duplicate_line_fraction",
            [chance.betavariate(0.5, 6) for _ in range(6000)],
            maximum=0.3,
            low=0.0,
        ),
        score(
            "gopher_repetition",
            "top_2gram",
            [chance.gauss(0.07, 0.03) for _ in range(6000)],
            maximum=0.2,
            low=0.0,
        ),
        score(
            "gopher_repetition",
            "top_3gram",
            [chance.gauss(0.05, 0.02) for _ in range(6000)],
            maximum=0.9,
            low=0.0,
        ),
        score(
            "gopher_repetition",
            "duplicate_5gram",
            [chance.betavariate(1, 9) for _ in range(6000)],
            maximum=0.15,
            low=0.0,
        ),
    )


def training() -> Training:
    chance = random.Random(3)
    steps = 1200
    loss, held_out = [], []
    for step in range(1, steps + 1):
        tokens = float(step * 2048)
        value = 4.05 + 4.3 * math.exp(-step / 90) + 1.0 * math.exp(-step / 700)
        loss.append((tokens, value + chance.gauss(0, 0.09)))
        if step % 120 == 0:
            held_out.append((tokens, value + 0.06))
    return Training(1_312_640, steps, steps * 2048, loss[-1][1], tuple(loss), tuple(held_out))


def example() -> ReportData:
    """A run like the quickstart's, with hostile text in every place that documents reach."""
    rows = funnel()
    reasons = (
        Reason(
            "gopher_quality",
            "words",
            11_204,
            "kept: words >= 50 and words <= 100000",
            examples=(
                Example(
                    "python_docs",
                    "json/decoder.py::JSONDecodeError.__reduce__",
                    "Helper for pickle.\n\nReturns the class and its arguments.",
                    characters=55,
                    value=23,
                    threshold=50,
                    note="one of those stored",
                ),
                Example(
                    "python_docs",
                    "asyncio/locks.py::Semaphore.locked",
                    "Returns True if semaphore cannot be acquired immediately.",
                    value=49,
                    threshold=50,
                    characters=57,
                    note="closest to the threshold",
                ),
                Example(
                    "python_docs", "evil/<script>.py", HOSTILE, value=1, threshold=50, characters=len(HOSTILE)
                ),
            ),
        ),
        Reason(
            "exact_dedup",
            "same_text",
            3_012,
            examples=(
                Example(
                    "python_docs",
                    "pip/_vendor/idna/LICENSE",
                    "BSD 3-Clause License\n\nCopyright (c) 2013-2024, Kim Davies.\nAll rights reserved.",
                ),
            ),
        ),
        Reason(
            "gopher_quality",
            "alphabetic_words",
            2_961,
            "kept: alphabetic_words >= 0.8",
            examples=(
                Example(
                    "python_docs",
                    "numpy/core/tests.py::table",
                    "| 0.123 | 1.445 | 2.301 |\n| 4.211 | 9.120 | 3.333 |\n| 0.001 | 7.871 | 6.025 |",
                    value=0.2,
                    threshold=0.8,
                    characters=1204,
                ),
            ),
        ),
        Reason(
            "gopher_repetition",
            "duplicate_5gram",
            1_240,
            examples=(
                Example(
                    "python_docs",
                    "tk/ttk.py::Style",
                    "STANDARD OPTIONS\n\nclass, cursor, style, takefocus\n\nWIDGET OPTIONS\n\nclass, cursor, style",
                    value=0.15002,
                    threshold=0.15,
                    characters=840,
                ),
            ),
        ),
        Reason(
            "language",
            "language",
            1_011,
            "kept: language in en",
            examples=(
                Example(
                    "python_docs",
                    "encodings/idna_ar.py",
                    "مرحبا بالعالم، هذا نص طويل مكتوب باللغة العربية لاختبار الاتجاه",
                    label="ar",
                    characters=63,
                ),
                Example(
                    "python_docs",
                    "zh.py",
                    "中文說明：這個模組提供了一個簡單的介面。",
                    label="zh",
                    characters=20,
                ),
            ),
        ),
        Reason("gopher_quality", "stop_words", 640),
        Reason(
            "ingest",
            "not valid UTF-8",
            53,
            failed=True,
            examples=(Example("python_docs", "lib2to3/tests/data/bom.py", label="byte 0xff at 0"),),
        ),
        Reason("gopher_quality", "a_rule_with_quite_a_long_name_that_wraps", 5),
    )
    duplicates = (
        DuplicateGroup(
            "exact_dedup",
            Copy("python_docs", "attrs-25.1.0/LICENSE", "00" * 16),
            212,
            tuple(Copy("python_docs", f"package-{i}/LICENSE", similarity=1.0) for i in range(3)),
            "The MIT License (MIT)\n\nCopyright (c) 2015\n\nPermission is hereby granted, free of charge, "
            "to any person obtaining a copy of this software and associated documentation files",
        ),
        DuplicateGroup(
            "near_dedup",
            Copy("python_docs", "torch/nn/functional.py::conv1d"),
            2,
            (
                Copy("python_docs", "torch/nn/functional.py::conv2d", similarity=0.913),
                Copy("python_docs", HOSTILE, similarity=0.874),
            ),
            HOSTILE,
        ),
        DuplicateGroup(
            "exact_dedup",
            Copy("python_docs", "os.py::fspath"),
            1,
            (Copy("python_docs", "posixpath.py::fspath"),),
        ),
    )
    breakdowns = (
        Breakdown(
            "Languages",
            (
                Share("en", 44_918, 21_004),
                Share("de", 512, 0),
                Share("ar", 288, 0),
                Share("fr", 192, 0),
                Share("unknown", 41, 0),
                Share("23 others", 120, 0),
            ),
            "counted where language was measured",
        ),
        Breakdown(
            "Sources",
            (
                Share("python_docs", 40_000, 19_300),
                Share("licences", 6_213, 1_204),
                Share(HOSTILE, 2_000, 500),
            ),
        ),
    )
    chance = random.Random(11)
    lengths = score(
        "", "characters", [math.exp(chance.gauss(6.8, 1.1)) for _ in range(9000)], logarithmic=True, bins=48
    )
    return ReportData(
        name="quickstart",
        data_date="2026-11-20",
        funnel=rows,
        reasons=reasons,
        reasons_left_out=(4, 61),
        duplicates=duplicates,
        reviews=(
            NearReview(
                "near_dedup",
                20_000,
                1_204,
                51_003,
                1_200,
                17,
                (Share("python_docs", 15_000, 14_000), Share(HOSTILE, 5_000, 4_796)),
                (LargeGroup("python_docs", "os.py::fspath", 311), LargeGroup("", HOSTILE, 7)),
                ("near_dedup drops 1,204 of 20,000 documents", HOSTILE),
            ),
        ),
        cuttings=(
            Cutting(
                "line_dedup", 812, 40_213, (("repeated_line", 1_903),), ((HOSTILE, 702), ("Home | About", 12))
            ),
            Cutting("span_dedup", 3, 1_009),
        ),
        breakdowns=breakdowns,
        lengths=lengths,
        histograms=histograms(),
        tokens=Tokens(
            "uint16",
            4096,
            256,
            (
                TokenSplit("train", 7_204_118, 20_799, 27_604_220, 1, 28_141),
                TokenSplit("validation", 81_002, 208, 301_114, 1, 316),
            ),
            0,
            (LanguageTokens("en", 210, 90_112, 3.8412, 1.3), LanguageTokens(HOSTILE, 2, 31, 1.5)),
        ),
        training=training(),
        evaluation=Evaluation(1.688, 2.514, 77.4, 4.349, 81_002, 301_114),
        samples=(
            Sample(
                "Return a list of the",
                " names of the given object. If the object is a string, the default is to return the first "
                "element\nof the list, which is the same as the original one.",
                "names that are defined in the module, in the order in which they stand there.",
                (("temperature", "0.8"), ("top k", "50")),
            ),
            Sample("The MIT License", HOSTILE, settings=(("temperature", "0"),)),
        ),
        recipe=RECIPE + HOSTILE,
        outputs=tuple(
            Output(
                f"passes/1-curate/documents/{i:06d}-9f86d081884c7d65.parquet",
                f"{i:064x}",
                10_000_000 + i,
                20_000,
            )
            for i in range(4)
        ),
        outputs_left_out=2,
        measured=Measured(
            (
                ("0-ingest", 21.4),
                ("1-curate", 9.8),
                ("2-curate", 2.2),
                ("tokenizer", 11.0),
                ("tokens", 3.9),
                ("train", 131.0),
                ("evaluate", 4.4),
            ),
            (("device", "cpu"), ("training speed", "7,310 tokens/s"), ("training", "2 min 11 s")),
            (
                ("textmill", "0.1.0"),
                ("python", "3.11.2"),
                ("torch", "2.13.0+cpu"),
                ("pyarrow", "26.0.1"),
                ("duckdb", "2.0.0"),
            ),
        ),
    )


def nothing() -> ReportData:
    """A run that read no document at all."""
    return ReportData("empty", funnel=(FunnelRow("ingest", 0, 0, 0, 0, 0, 0),))


def bare() -> ReportData:
    """Nothing but a name."""
    return ReportData("bare")


def one_step() -> ReportData:
    """A single step that dropped everything."""
    row = FunnelRow("gopher_quality", 7, 0, 7, 0, 700, 0)
    return ReportData("one", funnel=(row,), reasons=(Reason("gopher_quality", "words", 7),))


def many_steps() -> ReportData:
    """25 steps, with names longer than there is room for."""
    rows, documents = [], 90_000
    for number in range(25):
        dropped, failed = documents // 20, number % 4
        kept = documents - dropped - failed
        rows.append(
            FunnelRow(
                f"step_{number}_with_a_long_name" if number % 3 == 0 else f"step_{number}",
                documents,
                kept,
                dropped,
                failed,
                documents * 1000,
                kept * 1000 + number,
            )
        )
        documents = kept
    return ReportData("many steps", funnel=tuple(rows))


def billion() -> ReportData:
    """A billion documents; a step that drops one of them, and a name that needs to be broken."""
    rows = (
        FunnelRow("ingest", 10**9, 10**9 - 3, 0, 3, 4 * 10**12, 4 * 10**12),
        FunnelRow("normalize", 10**9 - 3, 10**9 - 3, 0, 0, 4 * 10**12, 4 * 10**12 + 5 * 10**9),
        FunnelRow("url_filter", 10**9 - 3, 10**9 - 4, 1, 0, 4 * 10**12, 4 * 10**12 - 9),
        FunnelRow("near_dedup", 10**9 - 4, 312_000_001, 687_999_995, 0, 4 * 10**12 - 9, 10**12),
    )
    tokens = Tokens(
        "uint32", 128_256, 2048, (TokenSplit("train", 250_000_000_000, 312_000_001, 10**12, 233),)
    )
    return ReportData("a" * 90, funnel=rows, tokens=tokens, evaluation=Evaluation(0.912, 2.1, 9.8, 2.28))


def odd_scores() -> ReportData:
    """Histograms without values, with one value, with one bin; losses that are not numbers."""
    nan = float("nan")
    return ReportData(
        "odd",
        histograms=(
            Histogram("s", "nothing", (0.0, 1.0), (0,), (0,), missing=12, minimum=3),
            Histogram("s", "one_value", (2.7, 3.0, 3.3), (9, 0), (9, 0), 3.0, 3.0, 0, 5, None, 9),
            Histogram("s", "infinite_threshold", (0.0, 1.0), (4,), (0,), 0.5, 0.5, 1, float("-inf")),
        ),
        lengths=Histogram("", "characters", (4.0, 6.0), (1,), (), 5, 5),
        training=Training(loss=((1.0, nan), (2.0, 3.0), (3.0, nan)), validation=((2.0, nan),)),
        evaluation=Evaluation(bits_per_byte=nan, unigram_bits_per_byte=2.0, perplexity=float("inf")),
        tokens=Tokens("uint16", 300, 8, (TokenSplit("train", 0, 0, 0),)),
    )


EVERY = (example, nothing, bare, one_step, many_steps, billion, odd_scores)
