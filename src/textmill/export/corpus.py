"""A run's final documents, streamed into one file, or into train and validation files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import numpy.typing as npt

from textmill.documents import Batch, read_batches
from textmill.errors import UserError
from textmill.export.formats import Writer, open_writer
from textmill.tokens.split import SplitRule
from textmill.workspace import Workspace

_NAMES = {"train": "train", "validation": "val"}


@dataclass(frozen=True)
class Exported:
    """A file that was written.

    Attributes:
        path: the file.
        documents: texts in it.
        bytes: its size.
        folded: texts that are not written as they are: whose line breaks became spaces, or which hold a line that
            would end them.
    """

    path: Path
    documents: int
    bytes: int
    folded: int


def export_corpus(workspace: Workspace, path: Path, format: str, compress: str | None = None) -> Exported:
    """Write all documents that the run kept, in the order of its shards.

    Args:
        workspace: a run whose document passes are finished.
        path: file to write; it appears when it is complete.
        format: ``txt`` (one text per line, line breaks become spaces), ``jsonl``, ``parquet``, ``enddoc`` (each text
            ended by a line ``---ENDDOC---``) or ``raw_pages`` (the same with a line ``URL: …`` in front).
        compress: ``gz`` or ``zst``.

    Raises:
        UserError: the run has no documents yet, or the file cannot be written.
    """
    with ExitStack() as stack:
        file = stack.enter_context(_written(path, format, compress))
        for batch in _documents(workspace):
            file.write(batch)
    return file.exported()


def export_splits(
    workspace: Workspace, folder: Path, rule: SplitRule, numbers: Mapping[str, int] | None = None
) -> list[Exported]:
    """Write ``train.txt`` and ``val.txt``, one text per line, or a pair of them per input.

    A document's side follows from its family and the seed, as in ``tokens/``: no family is divided, and families
    that verified near-duplicates link go together (:mod:`textmill.tokens.assignment`). All others keep their side
    when texts come or go; the share held out is the fraction asked for give or take chance.

    Args:
        workspace: a run whose document passes are finished.
        folder: where to write; made if need be.
        rule: seed and fraction held out.
        numbers: number of each source, to write ``train_<n>.txt`` and ``val_<n>.txt`` apart; all together if
            left out.

    Raises:
        UserError: the run has no documents yet, or a file cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    suffixes = [
        "" if numbers is None else f"_{number}" for number in dict.fromkeys((numbers or {"": 0}).values())
    ]
    with ExitStack() as stack:
        moved = _moved_families(workspace, rule)
        files = {
            (suffix, split): stack.enter_context(
                _written(folder / f"{_NAMES[split]}{suffix}.txt", "txt", None)
            )
            for suffix in suffixes
            for split in rule.names
        }
        for batch in _documents(workspace):
            for (suffix, split), mask in _sides(batch, rule, moved, numbers).items():
                files[suffix, split].write(batch.select(mask))
    return [file.exported() for file in files.values()]


def _moved_families(workspace: Workspace, rule: SplitRule) -> dict[bytes, str]:
    """Splits of the families that do not follow their own hash but that of their near-duplicates, by root."""
    final = workspace.final_documents()
    if final is None or len(rule.names) == 1:
        return {}
    from textmill.tokens.assignment import Given, assign_splits, read_assignment

    passes = workspace.manifest.document_passes()
    events = [workspace.local(file.path) for one in passes for file in one.files("events")]
    documents = [workspace.local(file.path) for file in final.files("documents")]
    with TemporaryDirectory(dir=workspace.scratch(), prefix="export-") as scratch:
        assignment = assign_splits(documents, events, rule, Given(), Path(scratch))
        if assignment is None:
            return {}
        return {
            root: split
            for shard in assignment.digests
            for root, split in read_assignment(assignment.path, shard).items()
            if split != rule.of(root)
        }


def _sides(
    batch: Batch, rule: SplitRule, moved: Mapping[bytes, str], numbers: Mapping[str, int] | None
) -> dict[tuple[str, str], npt.NDArray[np.bool_]]:
    roots = batch.records.column("root").to_pylist()
    sources = batch.records.column("source").to_pylist()
    sides = [
        ("" if numbers is None else f"_{numbers[source]}", moved.get(root) or rule.of(root))
        for root, source in zip(roots, sources, strict=True)
    ]
    return {
        side: np.fromiter((one == side for one in sides), np.bool_, len(sides))
        for side in dict.fromkeys(sides)
    }


def _documents(workspace: Workspace) -> Iterator[Batch]:
    final = workspace.final_documents()
    if final is None:
        raise UserError(
            "This run has no documents yet.", where=workspace.url, hint="run its recipe to the end first"
        )
    for record in final.files("documents"):
        with workspace.storage.open(record.path) as stream:
            yield from read_batches(stream)


class _File:
    def __init__(self, path: Path, writer: Writer) -> None:
        self.path = path
        self.documents = 0
        self._writer = writer

    def write(self, batch: Batch) -> None:
        self._writer.write(batch)
        self.documents += len(batch)

    def close(self) -> None:
        self._writer.close()

    def exported(self) -> Exported:
        return Exported(self.path, self.documents, self.path.stat().st_size, self._writer.folded)


@contextmanager
def _written(path: Path, format: str, compress: str | None) -> Iterator[_File]:
    """A file under a name of its own until it is complete; nothing stays of one that is not."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    file = _File(path, open_writer(partial, format, compress))
    try:
        yield file
        file.close()
    except BaseException:
        with suppress(OSError):  # a full disk; the first error is the one to tell
            file.close()
        partial.unlink(missing_ok=True)
        raise
    partial.replace(path)
