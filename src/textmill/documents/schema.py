"""The document table: its columns, and a single document as sources hand it over."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

DOCUMENT_SCHEMA = pa.schema(
    [
        pa.field("id", pa.binary(16), nullable=False, metadata={"about": "hash of source and locator"}),
        pa.field("root", pa.binary(16), nullable=False, metadata={"about": "id of the family's root"}),
        pa.field("parent", pa.binary(16), metadata={"about": "id of the document it was made of"}),
        pa.field("source", pa.string(), nullable=False, metadata={"about": "name of the source"}),
        pa.field("locator", pa.string(), nullable=False, metadata={"about": "place inside the source"}),
        pa.field("url", pa.string(), metadata={"about": "web address, where there is one"}),
        pa.field("text", pa.large_string(), nullable=False, metadata={"about": "the text itself"}),
        pa.field("metadata", pa.string(), metadata={"about": "a JSON object: title, author, date, ..."}),
    ]
)


@dataclass(frozen=True, slots=True)
class Document:
    """One document as a source reads it.

    Attributes:
        locator: logical place inside the source, the same on every machine: ``papers.jsonl:17``.
        text: valid Unicode without lone surrogates.
        url: web address, if any.
        metadata: a JSON object as text, if any.
    """

    locator: str
    text: str
    url: str | None = None
    metadata: str | None = None


@dataclass(frozen=True, slots=True)
class Failure:
    """A record that a source could not read: counted as ``failed``, with its reason, and never lost.

    Attributes:
        locator: logical place inside the source.
        reason: for people.
        url: web address, if any.
        rule: the kind of reason, for counting: ``unreadable``, or a word of the source's own such as ``robots``.
    """

    locator: str
    reason: str
    url: str | None = None
    rule: str = "unreadable"


@dataclass(frozen=True, slots=True)
class Dropped:
    """A record that a source leaves out by a rule of its own: counted as ``dropped``, and visible in the ledger.

    Nothing is wrong with it; it is no text that the recipe asks for, such as an image in a web archive.

    Attributes:
        locator: logical place inside the source.
        rule: name of the rule: ``media_type``, ``status`` …
        label: what the rule looked at: ``image/png``, ``404`` …
        url: web address, if any.
        detail: a sentence more, if there is one.
    """

    locator: str
    rule: str
    label: str
    url: str | None = None
    detail: str | None = None

    @property
    def reason(self) -> str:
        """Rule, and what it looked at."""
        return f"{self.rule}: {self.label}"
