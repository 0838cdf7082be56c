"""The source ``files``: text that lies in files, here or behind any fsspec URL."""

from __future__ import annotations

import codecs
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import Field, field_validator

from textmill.steps.context import StepContext
from textmill.steps.settings import ByteSize, InputPath
from textmill.steps.source import SourceReader, SourceSettings, Split

DEFAULT_TEXT_FIELDS = ("text", "content", "sentence")


class Files(SourceSettings):
    """Text files, JSON lines, Parquet and HTML: a folder, a file, a glob, or a list of them.

    Read are ``.txt`` and ``.md``, ``.jsonl``, ``.ndjson`` and ``.json`` (lines, or one array of records),
    ``.parquet``, and ``.html``, ``.htm`` and ``.xhtml``; each also compressed with gzip, bzip2, xz or zstd (``.gz``,
    ``.bz2``, ``.xz``, ``.zst``). Other files of a folder, and hidden ones, are left alone. A page is decoded by what it
    declares and what its bytes say; its text is its HTML, of which the step ``extract`` makes plain text.

    Two forms of text hold many documents in a file, each ended by a line ``---ENDDOC---``: ``enddoc``, any lines, and
    ``raw_pages``, a line ``URL: …`` and the source of a page. No name tells them: say ``format``.

    A locator is the path below the named folder with the line, row or record number behind it, counted from
    1: ``papers/2024.jsonl:17``. Of several paths, each keeps its own name in front (``train/2024.jsonl:17``).
    Large uncompressed files of lines are cut at line ends and Parquet files between row groups; neither
    that nor a new file beside them changes any locator.

    A record that cannot be read (invalid bytes, broken JSON, no text field, damaged archive) is a failure
    with its reason; the records around it are not touched. So is an empty file of lines or paragraphs, whose
    locator is its path; where a file is one document, an empty one is an empty document.
    """

    name: ClassVar[str] = "files"
    shorthand: ClassVar[str | None] = "paths"

    paths: InputPath | list[InputPath] = Field(
        description="Folder, file or glob (``data/**/*.jsonl.gz``), local or a URL (``s3://…``); or a list."
    )
    format: Literal["auto", "text", "markdown", "jsonl", "json", "parquet", "html", "enddoc", "raw_pages"] = (
        Field(default="auto", description="What the files hold; ``auto`` goes by their names.")
    )
    unit: Literal["file", "line", "paragraph"] = Field(
        default="file",
        description="What is one document in a text file: all of it, each line that is not blank, or each "
        "run of such lines. Markdown is always read whole.",
    )
    encoding: str = Field(
        default="utf-8",
        description="Encoding of text and JSON (``latin-1``, ``cp1252``, …). A byte-order mark of UTF-8 or "
        "UTF-16 in a file goes before it. HTML is decoded by what it declares.",
    )
    text_field: str | None = Field(
        default=None,
        description="Field or column with the text; the first of text, content, sentence if left out.",
    )
    url_field: str = Field(
        default="url", description="Field or column with the web address, if there is one."
    )
    metadata_fields: list[str] = Field(
        default=["id", "title", "author", "date"],
        description="Fields or columns kept as the document's metadata, where they exist.",
    )
    max_document_bytes: ByteSize = Field(
        default=32 * 2**20,
        gt=0,
        description="A longer file, line or record is a failure instead of a document (bytes): a worker needs up "
        "to sixteen times as much memory as its longest document.",
    )
    storage_options: dict[str, Any] = Field(
        default={}, description="Options for the file system behind a URL, such as ``anon: true`` for S3."
    )

    @field_validator("paths")
    @classmethod
    def _some_path(cls, paths: str | list[str]) -> str | list[str]:
        if not paths or not all([paths] if isinstance(paths, str) else paths):
            raise ValueError("names no path")
        return paths

    @field_validator("encoding")
    @classmethod
    def _known_encoding(cls, encoding: str) -> str:
        try:
            # str.encode refuses codecs such as base64 that do not turn text into bytes.
            "\n".encode(encoding)
            return codecs.lookup(encoding).name
        except LookupError as error:
            raise ValueError(f"{encoding!r} is no encoding that Python knows") from error

    @classmethod
    def cosmetic_fields(cls) -> tuple[str, ...]:
        """How to reach the files changes nothing in them."""
        return ("storage_options",)

    def plan(self, split_bytes: int) -> list[Split]:
        """Cut the files into splits; reads every large file of lines once, to count its lines.

        Raises:
            UserError: a path is missing, nothing matches, a file may not be read, or two files would share
                a locator.
        """
        from textmill.sources.cutting import cut_files
        from textmill.sources.listing import list_files

        return cut_files(self, list_files(self), split_bytes)

    def open(self, context: StepContext) -> SourceReader:
        """Return the reader."""
        from textmill.sources.reading import FilesReader

        return FilesReader(self, context)

    def candidate_locators(self, query: str) -> list[str]:
        """The query itself, and each part of it that may be a path below one of the folders."""
        parts = Path(query).parts
        tails = ["/".join(parts[start:]) for start in range(1, len(parts))]
        return list(dict.fromkeys([query, Path(query).as_posix(), *tails]))
