"""Text and token files into numbered shards for a training without a run.

::

    train.txt, train.jsonl ─► documents, EOS after each ─┐
    train.seq (lines of ids) ────────────────────────────┴─► <output>/data/train/train_000000.npy, tokens.json
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from textmill.errors import UserError
from textmill.pipeline.engine import Crash
from textmill.pipeline.inline import InlineEngine
from textmill.pipeline.local import LocalEngine
from textmill.tokens.build_state import remove_build
from textmill.tokens.consolidated import TOKENS_BIN
from textmill.tokens.import_tokens import ImportPlan, import_tokens
from textmill.tokens.index import INDEX
from textmill.tokens.numbered_build import BuildPlan, build_shards
from textmill.tokens.numbered_shards import shard_numbers

SEQUENCES = (".seq",)
_MARK = "made_from.json"


def is_tokens(path: Path) -> bool:
    """Whether a path is a folder that holds tokens already."""
    return path.is_dir() and (
        (path / INDEX).is_file()
        or (path / "tokens" / INDEX).is_file()
        or (path / TOKENS_BIN).is_file()
        or bool(shard_numbers(path))
    )


def tokens_of(
    paths: Sequence[Path],
    output: Path,
    tokenizer: Path | None,
    *,
    unit: str = "line",
    text_field: str | None = None,
    eos_id: int | None = None,
    vocab_size: int | None = None,
    workers: int = 1,
    say: Callable[[str], None] = lambda _line: None,
    progress: Callable[..., None] = lambda *_arguments, **_numbers: None,
) -> Path:
    """A folder of tokens for training: the one that is named, or one made of text or lines of ids.

    Args:
        paths: one folder of tokens, or files of text, or ``.seq`` files.
        output: where shards go that are made here; made again only if the files, or how to read them, have changed.
        tokenizer: for text: its folder or ``tokenizer.json``.
        unit: what one document is in a text file: ``line``, ``paragraph`` or ``file``.
        text_field: field of JSON lines; text, content or sentence if left out.
        eos_id: for lines of ids: ends every document, if it is known.
        vocab_size: for lines of ids.
        workers: processes that encode.
        say: told what a person should know.
        progress: told how far it is.

    Raises:
        UserError: nothing there, two kinds mixed, no tokenizer for text, or a record that cannot be read.
    """
    if len(paths) == 1 and is_tokens(paths[0]):
        return paths[0]
    missing = [path for path in paths if not path.exists()]
    if missing or not paths:
        raise UserError(
            "the training data is not there",
            expected="text (.txt, .jsonl, Parquet), token sequences (.seq), or a folder of tokens",
            found="no such file",
            where=", ".join(map(str, missing)),
        )
    sequences = [path for path in paths if path.suffix in SEQUENCES]
    if sequences and len(sequences) < len(paths):
        raise UserError(
            "text and token sequences cannot be mixed",
            found=", ".join(map(str, paths)),
            hint="train on the one or on the other",
        )
    made_from = json.dumps(
        [
            [[str(p.resolve()), *_state(p)] for p in paths],
            unit,
            text_field,
            eos_id,
            vocab_size,
            _digest(tokenizer),
        ]
    )
    mark = output / _MARK
    if not mark.is_file() or mark.read_text("utf-8") != made_from:
        if output.is_dir():
            remove_build(output)
        output.mkdir(parents=True, exist_ok=True)
        mark.write_text(made_from, "utf-8")
    if not sequences:
        _encode(
            paths, output, tokenizer, unit, text_field, workers, say, progress
        )  # does only what is missing
    elif not shard_numbers(output):
        _import(sequences, output, eos_id, vocab_size)
    return output


def _encode(
    paths: Sequence[Path],
    output: Path,
    tokenizer: Path | None,
    unit: str,
    text_field: str | None,
    workers: int,
    say: Callable[[str], None],
    progress: Callable[..., None],
) -> None:
    from textmill.sources import SOURCES

    if tokenizer is None:
        raise UserError(
            "text needs a tokenizer",
            expected="a model that brings one, or --tokenizer",
            found="none",
            hint="textmill tokenizer train, or name a Hugging Face folder",
        )
    settings: dict[str, Any] = {"paths": [str(path) for path in paths], "unit": unit}
    if text_field:
        settings["text_field"] = text_field
    with InlineEngine() if workers <= 1 else LocalEngine(workers) as engine:

        def run(function: str, items: Sequence[Mapping[str, Any]]) -> Iterator[tuple[int, Any]]:
            for position, result in engine.map(function, items, lambda _report: None):
                if isinstance(result, Crash):
                    raise UserError("A worker died.", found=result.reason, hint="use fewer --workers")
                yield position, result

        manifest = build_shards(
            BuildPlan(output, tokenizer),
            [SOURCES["files"].model_validate(settings)],
            run,
            say=say,
            progress=lambda done, total, tokens: progress("encoding documents", done, total, tokens=tokens),
        )
    if manifest.failed:
        say(f"{manifest.failed:,} records could not be read or encoded: {output / 'failures.jsonl'} says why")


def _import(paths: Sequence[Path], output: Path, eos_id: int | None, vocab_size: int | None) -> None:
    if len(paths) > 1:
        raise UserError(
            "several files of token sequences are imported one by one",
            expected="one .seq file",
            found=", ".join(map(str, paths)),
            hint="join them with cat, or textmill tokens import",
        )
    import_tokens(ImportPlan(paths[0], "seq", output, eos_id=eos_id, vocab_size=vocab_size))


def _state(path: Path) -> list[int]:
    """Size and time of a file, or of what lies in a folder."""
    files = sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]
    return [value for file in files for value in (file.stat().st_size, file.stat().st_mtime_ns)]


def _digest(tokenizer: Path | None) -> str | None:
    if tokenizer is None:
        return None
    file = tokenizer / "tokenizer.json" if tokenizer.is_dir() else tokenizer
    return hashlib.sha256(file.read_bytes()).hexdigest() if file.is_file() else str(tokenizer)
