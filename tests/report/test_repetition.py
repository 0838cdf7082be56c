"""What the report says of removed repetitions, against a plain recount of the texts that went in."""

from __future__ import annotations

import json
import random

import pytest

import textmill
from tests.curate.near_documents import edited, page
from textmill.report import render
from textmill.report.collect import collect
from textmill.report.model import ReportData

FOOTER = "Home | «About» (3 in all) | Terms of use"
SENTENCE = " ".join(f"shared{letter}" for letter in "abcdefghijklmnopqrstuvwxyzabcdefghijklmnop")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> ReportData:
    """Twenty pages with a line and a span in common, and twelve near copies of the first."""
    folder = tmp_path_factory.mktemp("repetition")
    chance = random.Random(3)
    pages = [f"{page(number)}\n{FOOTER}\n{page(number + 100)}" for number in range(20)]
    pages[3:7] = [f"{text} {SENTENCE}" for text in pages[3:7]]
    copies = [edited(page(0) + page(100), 0.01, chance) for _ in range(12)]
    for name, texts in (("pages", pages), ("copies", copies)):
        (folder / f"{name}.jsonl").write_text("\n".join(json.dumps({"text": text}) for text in texts))
    recipe = {
        "name": "x",
        "sources": [
            {"files": {"paths": str(folder / f"{n}.jsonl"), "label": n}} for n in ("pages", "copies")
        ],
        "curate": [{"near_dedup": {"threshold": 0.6}}, "line_dedup", {"span_dedup": 20}],
        "tokenizer": {"train": {"vocab_size": 400}},
        "tokens": {"seq_len": 32},
        "run": {"engine": "inline"},
    }
    (folder / "r.yaml").write_text(json.dumps(recipe))
    return collect(textmill.run(folder / "r.yaml", folder / "run").workspace)


def test_near_duplicates_are_reviewed(data: ReportData) -> None:
    (review,) = data.reviews
    assert (review.step, review.documents, review.removed) == ("near_dedup", 32, 12)
    assert [(one.name, one.documents, one.kept) for one in review.sources] == [
        ("pages", 20, 20),
        ("copies", 12, 0),
    ]
    assert [(one.source, one.locator, one.removed) for one in review.groups] == [
        ("pages", "pages.jsonl:1", 12)
    ]
    assert review.compared >= 12
    assert len(review.warnings) == 2
    page_ = render(data)
    assert all(warning in page_ for warning in review.warnings)
    assert "pages.jsonl:1" in page_


def test_cuts_are_counted_and_quoted(data: ReportData) -> None:
    lines, spans = data.cuttings
    assert (lines.step, lines.documents, lines.rules) == ("line_dedup", 19, (("repeated_line", 19),))
    assert lines.characters == 19 * len(FOOTER + "\n")
    assert (spans.step, spans.documents, spans.rules) == ("span_dedup", 3, (("repeated_span", 3),))
    assert abs(spans.characters - 3 * len(SENTENCE)) <= 3
    ((passage, times),) = spans.passages
    assert SENTENCE.startswith(passage.removesuffix("…"))
    assert times == 4
    assert 'id="cut"' in render(data)


def test_tokens_by_language(data: ReportData) -> None:
    assert data.tokens is not None
    assert sum(one.documents for one in data.tokens.languages) == 20
    assert all(one.tokens > 0 and one.bytes_per_token > 0 for one in data.tokens.languages)
    assert "By language, in a sample" in render(data)
