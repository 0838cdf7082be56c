"""Records to documents: a JSON line or a row of a table, and everything that can be wrong with one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from textmill.documents import Document
from textmill.sources.files import DEFAULT_TEXT_FIELDS

if TYPE_CHECKING:
    from textmill.sources.files import Files


class BadRecordError(Exception):
    """This record is no document; the message says why."""


def document_of_json(line: str, locator: str, settings: Files) -> Document:
    """The document of one JSON line.

    Raises:
        BadRecordError: broken JSON, not an object, no text.
    """
    try:
        record = json.loads(line)
    except json.JSONDecodeError as error:
        raise BadRecordError(f"broken JSON: {error.msg} at character {error.pos + 1} of the line") from None
    except RecursionError:
        raise BadRecordError("broken JSON: nested too deeply") from None
    except ValueError as error:  # a number of more digits than Python converts
        raise BadRecordError(f"broken JSON: {error}") from None
    return document_of_record(record, locator, settings)


def document_of_record(record: Any, locator: str, settings: Files) -> Document:
    """The document of one record: text, web address and the metadata that the settings name.

    Raises:
        BadRecordError: no object, no text field, a text that is no text or no valid Unicode.
    """
    if not isinstance(record, Mapping):
        raise BadRecordError(f"the record is {_describe(record)}, not an object with a text field")
    wanted = (settings.text_field,) if settings.text_field else DEFAULT_TEXT_FIELDS
    field = next((name for name in wanted if name in record), None)
    if field is None:
        names = ", ".join(map(repr, list(record)[:8])) or "none"
        raise BadRecordError(f"no text field: expected {' or '.join(map(repr, wanted))}, found {names}")
    text = record[field]
    if isinstance(text, bytes):
        try:
            text = text.decode()
        except UnicodeDecodeError as error:
            raise BadRecordError(
                f"the field {field!r} holds no valid utf-8 at its byte {error.start}"
            ) from None
    if not isinstance(text, str):
        raise BadRecordError(f"the field {field!r} holds {_describe(text)}, not text")
    try:
        size = len(text.encode())
    except UnicodeEncodeError as error:
        # Half of a surrogate pair stands for no character, and no repair knows the other half.
        raise BadRecordError(
            f"the field {field!r} holds a lone surrogate (U+{ord(text[error.start]):04X}) "
            f"at character {error.start + 1}"
        ) from None
    if size > settings.max_document_bytes:
        raise too_long("text", size, settings.max_document_bytes)
    url = _text(record.get(settings.url_field))
    metadata = {name: _plain(record[name]) for name in settings.metadata_fields if name in record}
    return Document(locator, text, url if isinstance(url, str) else None, _dump(metadata))


def too_long(what: str, size: int | None, limit: int) -> BadRecordError:
    """The fault of a file, line, paragraph or text (``what``) of more than ``limit`` bytes."""
    found = f"of {size:,} bytes " if size else ""
    return BadRecordError(
        f"a {what} {found}is longer than max_document_bytes ({limit:,}): raise it, or cut the text into smaller "
        "documents (unit: paragraph)"
    )


def _dump(metadata: dict[str, Any]) -> str | None:
    metadata = {name: value for name, value in metadata.items() if value is not None}
    if not metadata:
        return None
    text = json.dumps(metadata, ensure_ascii=False, default=str)
    return text.encode("utf-8", "replace").decode()


def _plain(value: Any) -> Any:
    value = _text(value)
    # JSON has no NaN, though Python reads and writes it.
    return None if isinstance(value, float) and value != value else value


def _text(value: Any) -> Any:
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else value


def _describe(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return f"a truth value ({json.dumps(value)})"
    if isinstance(value, int | float):
        return f"a number ({value!s:.40})"
    if isinstance(value, str | bytes):
        return "bare text"
    if isinstance(value, list):
        return "a list"
    if isinstance(value, Mapping):
        return "an object"
    return f"a {type(value).__name__}"
