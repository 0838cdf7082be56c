"""Recipes made of these steps, from a file of texts to what is kept: rows A3, E2 and E3 of the mission's systems."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import textmill

RAIN = "It rained all day, and so we stayed at home and read about a botnet that nobody had seen before. "
PLUIE = "Il a plu toute la journée, et nous sommes restés à la maison pour lire un livre sur un botnet. "


def run(folder: Path, texts: list[str], curate: str) -> textmill.Run:
    source = folder / "texts.jsonl"
    source.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    (folder / "keywords.txt").write_text("Botnet\nzero-day exploit\n")
    (folder / "recipe.yaml").write_text(
        f"name: test\nsources:\n  - files: texts.jsonl\ncurate:\n{curate}\nrun: {{engine: inline}}\n"
    )
    return textmill.run(folder / "recipe.yaml", folder / "run")


def fates(found: textmill.Run) -> dict[str, str]:
    """What became of each document: kept, or step and rule."""
    rows = found.ledger("verdicts").order("pass").project("locator, verdict, step, rule").fetchall()
    return {
        locator.rpartition(":")[2]: verdict if verdict == "kept" else f"{step}.{rule}"
        for locator, verdict, step, rule in rows
    }


def test_language_keywords_and_least_words(tmp_path: Path) -> None:
    texts = [RAIN * 6, PLUIE * 6, RAIN.replace("botnet", "book") * 6, RAIN * 2, RAIN.upper() * 6]
    found = run(
        tmp_path,
        texts,
        "  - language: {keep: [en]}\n  - keywords: keywords.txt\n  - heuristics: {min_words: 100}",
    )
    assert fates(found) == {
        "1": "kept",
        "2": "language.language",
        "3": "keywords.different",
        "4": "heuristics.words",
        "5": "kept",
    }


def test_lines_with_keywords(tmp_path: Path) -> None:
    texts = [f"{RAIN}\nA book.\n{RAIN}", "A book.\nA novel."]
    found = run(tmp_path, texts, "  - keyword_lines: keywords.txt\n  - heuristics: {min_words: 5}")
    assert fates(found) == {"1": "kept", "2": "heuristics.words"}
    assert found.documents.project("text").fetchall() == [(f"{RAIN}\n{RAIN}",)]


def test_normalising_and_bounds_for_short_texts(tmp_path: Path) -> None:
    texts = [
        "Voilà!!!  Écrivez à a@b.ca,   voyez https://x.ca/y : c'est ﬁni...",
        "oui oui oui oui oui oui oui",
        "12 + 34 = 46 ; 5 x 9",
        "court",
        "mot " * 3000,
    ]
    found = run(
        tmp_path,
        texts,
        "  - normalize: {unicode: NFKC, remove_urls: true, remove_emails: true, collapse_punctuation: true, "
        "collapse_spaces: true}\n"
        "  - heuristics: {min_characters: 10, max_characters: 10000, min_words: 3, min_distinct_words: 0.3, "
        "min_letters_and_spaces: 0.7}",
    )
    assert fates(found) == {
        "1": "kept",
        "2": "heuristics.distinct_words",
        "3": "heuristics.letters_and_spaces",
        "4": "heuristics.characters",
        "5": "heuristics.characters",
    }
    assert found.documents.project("text").fetchall() == [("Voilà! Écrivez à, voyez : c'est fini.",)]


@pytest.mark.parametrize("budget", ["documents: 4", "tokens: 30", "bytes: 120"])
def test_every_document_is_accounted_for(tmp_path: Path, budget: str) -> None:
    texts = [f"{number} It rained all day in {number}." for number in range(12)]
    found = run(tmp_path, texts, f"  - sample: 0.8\n  - budget: {{{budget}}}")
    kept = {row[0] for row in found.documents.project("text").fetchall()}
    assert kept < set(texts)
    assert len(kept) == 4 or (budget != "documents: 4" and 2 <= len(kept) <= 5)
    assert len(found.ledger("events").filter("action in ('dropped', 'matched')").fetchall()) == 12 - len(kept)
