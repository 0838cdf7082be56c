"""Runs of tokenizer and tokens over the small corpus, for the tests of this folder."""

from __future__ import annotations

from pathlib import Path

from tests.stage_context import LocalStageContext
from tests.tokenizer.corpus import HOSTILE, prose, write_corpus

from textmill.steps.stage import StageResult
from textmill.tokenizer.settings import TokenizerSection
from textmill.tokens.settings import TokensSection

VOCABULARY = 600


def texts() -> list[str]:
    return prose()[:120] + HOSTILE


def prepare(
    root: Path, corpus: list[str] | None = None, shards: int = 4, **options: int
) -> dict[str, StageResult]:
    """Documents and a tokenizer below ``root``, as earlier stages leave them."""
    documents = write_corpus(root, texts() if corpus is None else corpus, shards, **options)
    context = LocalStageContext(root, {"documents": documents})
    section = TokenizerSection.model_validate({"train": {"vocab_size": VOCABULARY, "chat_template": "none"}})
    return {"documents": documents, "tokenizer": section.run(context)}


def section(**settings: object) -> TokensSection:
    return TokensSection.model_validate(
        {"seq_len": 64, "split": {"validation": 0.2, "test": 0.1}, **settings}
    )


def mill(root: Path, **options: int) -> StageResult:
    """Documents, tokenizer and tokens below ``root``."""
    return section().run(LocalStageContext(root, prepare(root, **options)))


def document_paths(root: Path) -> list[Path]:
    return sorted((root / "passes" / "0-ingest" / "documents").iterdir())
