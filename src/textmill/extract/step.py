"""The step ``extract``: HTML pages to their main text."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from textmill.steps import ByteSize, Count, Edit, StepContext, Transform, TransformRunner

if TYPE_CHECKING:
    from textmill.documents import Batch


class Extract(Transform):
    """Takes the main text out of HTML pages, and title, author, date of publication, language and site with it.

    The page is parsed by the HTML standard into blocks; a classifier trained on 1,497 pages of seven kinds tells which
    of them a reader came for (``main``). What it learned, how it was tested and how it compares stands in
    ``docs/extraction.md``. Scripts and templates never become text.

    Documents that are no pages pass unchanged: ``media_type`` or ``content_type`` in their metadata says so, or, where
    nothing is said, that they do not begin as a page does. A page without main text gets an empty text, counted as
    ``no_text``. What the page states about itself is added to the metadata under names that are not there yet, and
    ``extracted`` names the method, so that no text is taken for a page twice.
    """

    name: ClassVar[str] = "extract"
    shorthand: ClassVar[str | None] = "method"

    method: Literal["main", "articles", "bulk", "trafilatura", "union"] = Field(
        default="main",
        description="``main``: the classifier. ``articles``: the same with more precision, for pages of articles. "
        "``bulk``: resiliparse's main content. ``trafilatura``. ``union``: of ``main``, ``bulk`` and "
        "``trafilatura`` the text with most words. The last three need ``textmill[extract]``.",
    )
    format: Literal["text", "markdown"] = Field(
        default="text", description="Plain text, or Markdown with headings, tables and fenced code."
    )
    links: bool = Field(default=False, description="In Markdown, write links as ``[text](address)``.")
    hidden: bool = Field(
        default=True,
        description="Whether ``main`` and ``articles`` may keep what is hidden (``hidden``, ``display: none``, "
        "``visibility: hidden``) until a script or a click shows it: whole pages, tabs, answers. With ``false`` it is "
        "never kept.",
    )
    metadata: bool = Field(
        default=True,
        description="Whether title, author, published, language and site go into the metadata.",
    )
    pages: Literal["auto", "all"] = Field(
        default="auto", description="Which documents are pages: those that are, or ``all`` of them."
    )
    max_page_bytes: ByteSize = Field(
        default=32 * 2**20, ge=1, description="Bytes of UTF-8 of the longest page; longer ones fail."
    )
    max_nodes: Count = Field(
        default=500_000,
        ge=1000,
        description="Elements and texts of a page; pages with more fail. Real ones rarely have 20,000; a worker needs "
        "up to 1 KB for each.",
    )

    def files(self) -> list[str]:
        """The numbers of the classifier: with others a page has another text."""
        if self.method in ("bulk", "trafilatura"):
            return []
        return [str(Path(__file__).with_name("weights") / "main_text.npz")]

    def open(self, context: StepContext) -> TransformRunner:
        """Return the runner.

        Raises:
            UserError: a library that the method needs is not installed.
        """
        return _Extractor(self)


class _Extractor:
    def __init__(self, settings: Extract) -> None:
        from textmill.extract.methods import Options, open_method
        from textmill.extract.tree import PageParser

        self._settings = settings
        self._parser = PageParser(settings.max_page_bytes, settings.max_nodes)
        self._extract = open_method(
            settings.method, Options(settings.format, settings.links, settings.hidden)
        )

    def transform(self, batch: Batch) -> Edit:
        """The main text of every page; other documents as they are.

        Raises:
            PageTooLargeError: a page is beyond a limit.
        """
        import pyarrow as pa

        from textmill.extract.pages import is_page, metadata_of

        texts: list[str] = []
        metadata: list[str | None] = []
        extracted = np.zeros(len(batch), np.int64)
        no_text = np.zeros(len(batch), np.int64)
        column = batch.records.column("text")
        urls = batch.records.column("url").to_pylist()
        stored = batch.records.column("metadata").to_pylist()
        data, offsets = batch.data, batch.offsets
        for row in range(len(batch)):
            known = metadata_of(stored[row])
            content = data[offsets[row] : offsets[row + 1]]
            if self._settings.pages == "auto" and not is_page(_head(content), known):
                texts.append(column[row].as_py())
                metadata.append(stored[row])
                continue
            page = self._parser.parse(content)
            result = self._extract(page, urls[row])
            extracted[row] = 1
            no_text[row] = not result
            texts.append(result)
            metadata.append(self._described(page, known))
        return Edit(
            pa.array(texts, pa.large_string()),
            {"extracted": extracted, "no_text": no_text},
            pa.array(metadata, pa.string()),
        )

    def _described(self, page: Any, known: dict[str, Any]) -> str:
        """The metadata of a page that was extracted."""
        from textmill.extract.metadata import page_metadata

        stated = page_metadata(page) if self._settings.metadata else {}
        described = {**stated, **known, "extracted": self._settings.method}
        return json.dumps(described, ensure_ascii=False)


def _head(content: npt.NDArray[np.uint8]) -> str:
    """So much of a document as is looked at to tell whether it is a page; a character has at most four bytes."""
    from textmill.extract.pages import HEAD

    return content[: 4 * HEAD].tobytes().decode("utf-8", "ignore")
