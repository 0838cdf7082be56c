"""What a source reads, as one file, without a run."""

from __future__ import annotations

from pathlib import Path

from textmill.documents import Batch, Document
from textmill.export.formats import open_writer
from textmill.steps import SourceSettings, StepContext

_BATCH_CHARACTERS = 4 * 2**20
_SPLIT_BYTES = 2**27


def export_source(source: SourceSettings, path: Path, format: str, compress: str | None = None) -> int:
    """Write every document of ``source`` to one local file, which appears when it is whole.

    Args:
        source: settings whose input is on this machine.
        path: the file.
        format: one of :data:`textmill.export.formats.FORMATS`.
        compress: ``gz`` or ``zst``.

    Returns:
        How many documents were written; what a source cannot read is left out.

    Raises:
        UserError: the input is missing.
    """
    part = path.with_name(path.name + ".part")
    writer = open_writer(part, format, compress)
    count = 0
    try:
        pending: list[Document] = []
        characters = 0
        for split in source.plan(_SPLIT_BYTES):
            for record in source.open(StepContext()).read(split):
                if isinstance(record, Document):
                    pending.append(record)
                    characters += len(record.text)
                if characters >= _BATCH_CHARACTERS:
                    writer.write(Batch.from_documents(source.source_name, pending))
                    count += len(pending)
                    pending, characters = [], 0
        if pending:
            writer.write(Batch.from_documents(source.source_name, pending))
            count += len(pending)
    finally:
        writer.close()
    part.replace(path)
    return count
