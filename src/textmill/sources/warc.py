"""The source ``warc``: pages in web archives, here or behind any fsspec URL."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import Field, field_validator

from textmill.steps.context import StepContext
from textmill.steps.settings import ByteSize, InputPath
from textmill.steps.source import SourceReader, SourceSettings, Split


class Warc(SourceSettings):
    """Web archives: WARC 0.17 to 1.1, WET and ARC files; a folder, a file, a glob, or a list of them.

    Read are ``.warc``, ``.wet`` and ``.arc``, each also with ``.gz`` or ``.zst`` behind it, compressed record by record
    or whole; a file that is named itself may be called anything. Large files are cut between records, so that
    parallelism does not depend on how they were written.

    A document is a page: a response of status 200 and a media type that is asked for, decoded by what it declares and
    by what its bytes say; the text of a WET record, or a ``resource``. The text of an HTML page is its HTML: the step
    ``extract`` makes plain text of it. A locator is the file's path below the named folder and the place of the record
    in it, as its member's first byte: ``crawl/0001.warc.gz:183042``. Metadata: date, status, media_type, charset,
    language (as the server or the archive states it), digest, record_id, and what was amiss.

    Every record is counted. What is no page is dropped by a rule of this source, which the ledger shows:
    ``record_type`` (requests, metadata, revisits), ``media_type``, ``status``. What cannot be read is a failure with
    its reason: damaged and truncated records, lengths that are wrong, bodies that do not unpack, that unpack to more
    than ``max_document_bytes``, or that are no text whatever their label says.
    """

    name: ClassVar[str] = "warc"
    shorthand: ClassVar[str | None] = "paths"

    paths: InputPath | list[InputPath] = Field(
        description="Folder, file or glob (``crawl/*.warc.gz``), local or a URL (``s3://…``); or a list."
    )
    media_types: list[str] = Field(
        default=["text/html", "application/xhtml+xml", "text/plain"],
        description="Media types of pages; ``text/*`` stands for all of text. A response without one is looked at.",
    )
    statuses: list[int] = Field(default=[200], description="HTTP status codes of pages.")
    max_document_bytes: ByteSize = Field(
        default=32 * 2**20,
        gt=0,
        description="A page that is longer, packed or unpacked, is a failure instead of a document (bytes): a worker "
        "needs up to sixteen times as much memory as its longest document.",
    )
    cut: bool = Field(
        default=True,
        description="Whether large files are cut between records, for several workers. An archive that holds whole "
        "archives as records may mislead the cut, which is then told as a failure; turn it off for such a file.",
    )
    storage_options: dict[str, Any] = Field(
        default={}, description="Options for the file system behind a URL, such as ``anon: true`` for S3."
    )

    # What :func:`textmill.sources.listing.list_files` asks of settings: here the bytes tell.
    format: ClassVar[Literal["auto"]] = "auto"

    @field_validator("paths")
    @classmethod
    def _some_path(cls, paths: str | list[str]) -> str | list[str]:
        if not paths or not all([paths] if isinstance(paths, str) else paths):
            raise ValueError("names no path")
        return paths

    @field_validator("media_types")
    @classmethod
    def _media_types(cls, names: list[str]) -> list[str]:
        for name in names:
            if name.count("/") != 1 or name != name.strip():
                raise ValueError(f"{name!r} is no media type: write it like text/html")
        return [name.lower() for name in names]

    @classmethod
    def cosmetic_fields(cls) -> tuple[str, ...]:
        """How to reach the files changes nothing in them."""
        return ("storage_options",)

    def plan(self, split_bytes: int) -> list[Split]:
        """Cut the archives into splits; reads a little of each large file around its cuts.

        Raises:
            UserError: a path is missing, nothing matches, a file may not be read, or two files would share a locator.
        """
        from textmill.sources.warc_splits import cut_archives

        return cut_archives(self, split_bytes)

    def open(self, context: StepContext) -> SourceReader:
        """Return the reader."""
        from textmill.sources.warc_pages import WarcReader

        return WarcReader(self)

    def candidate_locators(self, query: str) -> list[str]:
        """The query itself, and each part of it that may be a path below one of the folders."""
        parts = Path(query).parts
        tails = ["/".join(parts[start:]) for start in range(1, len(parts))]
        return list(dict.fromkeys([query, Path(query).as_posix(), *tails]))
