"""What lies in a folder of text: formats, sizes, and a small sample of its documents.

Only names, sizes and the first megabyte of some files are looked at, so that a folder of terabytes takes
seconds. All figures but the number and size of files are estimates.
"""

from __future__ import annotations

import bz2
import codecs
import gzip
import html
import io
import json
import lzma
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from textmill.errors import UserError
from textmill.sources.listing import TEXT_NAMES
from textmill.sources.warc_splits import NAMES as ARCHIVE_NAMES

FORMATS = {**TEXT_NAMES.formats, **ARCHIVE_NAMES.formats}
# How much text a compressed byte holds: usual figures for prose, good enough to choose a vocabulary by.
_EXPANSION = {".gz": 2.8, ".bz2": 3.6, ".xz": 3.8, ".zst": 3.0, "": 1.0}
_PARQUET_EXPANSION = 2.0
# How much of a page is its main text: navigation, markup and scripts are the rest; of an archive, requests too.
_TEXT_SHARE = {"html": 0.15, "warc": 0.1}
_SAMPLE_FILES = 48
_SAMPLE_BYTES = 2**20
_SAMPLE_RECORDS = 100
# Fewer files than this are cut up: else chance decides whether any document is held out at all.
_FEW_FILES = 50
# The fields that the source looks at by itself; others must be named.
USUAL_FIELDS = ("text", "content", "sentence")

_BLANK_LINES = re.compile(r"\n\s*\n")
_RECORD = re.compile(r"^WARC/[01]\.\d+\r?\n", re.MULTILINE)
_EXTRACTED = re.compile(r"(?im)^WARC-Type:\s*conversion\b")
_PAGE = re.compile(r"(?i)<(?:!doctype|html|head|body)\b")
_NO_TEXT = re.compile(r"(?is)<(script|style|template|nav|header|footer)\b.*?</\1\s*>|<!--.*?-->|<[^<>]*>")


@dataclass(frozen=True)
class Survey:
    """What was found.

    Attributes:
        path: the folder or file.
        files: number of files the mill can read.
        formats: number of files by format.
        disk_bytes: their size.
        text_bytes: estimated bytes of text in them.
        documents: estimated number of documents.
        text_field: field or column with the text, where it is none of the usual ones.
        unit: what is one document in a text file: ``file``, ``line`` or ``paragraph``.
        words: median length of a sampled document in words; 0 if nothing could be sampled.
        sample: the sampled texts.
        unread: number of files of other kinds.
        looked_at: number of text and JSON files whose beginning was read.
        not_utf8: those of them that are not UTF-8.
    """

    path: Path
    files: int
    formats: dict[str, int]
    disk_bytes: int
    text_bytes: int
    documents: int
    text_field: str | None
    unit: str
    words: int
    sample: tuple[str, ...]
    unread: int
    looked_at: int
    not_utf8: int


def survey_folder(path: Path) -> Survey:
    """Look at a folder (or one file).

    Raises:
        UserError: it does not exist, may not be read, or holds nothing that the mill can read.
    """
    known, unread = _list(path)
    if not known:
        kinds = ", ".join(f"{suffix or 'no ending'} {n:,}" for suffix, n in Counter(unread).most_common(5))
        raise UserError(
            "There is no text that the mill can read.",
            expected="files ending in " + ", ".join(FORMATS) + ", also with .gz, .bz2, .xz, .zst",
            found=kinds or "an empty folder",
            where=str(path),
            hint="hidden files are left alone; convert others to .txt or .jsonl first",
        )
    formats = Counter(kind for _, kind, _ in known)
    sizes = {file: file.stat().st_size for file, _, _ in known}
    text_bytes = documents = 0.0
    fields: Counter[str] = Counter()
    encodings: Counter[str] = Counter()
    sample: list[str] = []
    unit = "file"
    prose = [file for file, kind, _ in known if kind == "text"]
    if prose and (len(known) < _FEW_FILES or sum(sizes[file] for file in prose) / len(prose) > 2**20):
        unit = _unit_of(prose[0])
    mean_bytes: dict[str, float] = {}
    for kind in formats:
        texts = []
        for file, _, compression in _spread([one for one in known if one[1] == kind]):
            texts += list(_texts(file, kind, compression, unit, fields, encodings))
        sample += texts
        mean_bytes[kind] = (
            sum(len(t.encode("utf-8", "replace")) for t in texts) / len(texts) if texts else 0.0
        )
    for file, kind, compression in known:
        expanded = sizes[file] * _EXPANSION[compression] * (_PARQUET_EXPANSION if kind == "parquet" else 1.0)
        expanded *= _TEXT_SHARE.get(kind, 1.0)
        text_bytes += expanded
        whole = kind in ("markdown", "html") or (kind == "text" and unit == "file")
        documents += 1 if whole else expanded / (mean_bytes[kind] or 2000.0)
    field = fields.most_common(1)[0][0] if fields else None
    return Survey(
        path,
        len(known),
        dict(formats),
        sum(sizes.values()),
        round(text_bytes),
        max(1, round(documents)),
        None if field in USUAL_FIELDS else field,
        unit,
        round(median(len(text.split()) for text in sample)) if sample else 0,
        tuple(sample),
        len(unread),
        encodings.total(),
        encodings["other"],
    )


def _list(path: Path) -> tuple[list[tuple[Path, str, str]], list[str]]:
    """Readable files with format and compression, sorted; endings of the others."""
    if not path.exists():
        raise UserError("There is no such folder.", where=str(path), expected="a folder of text")
    try:
        candidates = [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file())
    except OSError as error:
        raise UserError("The folder cannot be read.", where=str(path), found=error.strerror) from None
    known, unread = [], []
    for file in candidates:
        if any(part.startswith(".") for part in file.relative_to(path).parts):
            continue
        compression = file.suffix.lower() if file.suffix.lower() in _EXPANSION else ""
        inner = Path(file.stem).suffix.lower() if compression else file.suffix.lower()
        names = ARCHIVE_NAMES if inner in ARCHIVE_NAMES.formats else TEXT_NAMES
        if inner in names.formats and (not compression or compression in names.compressions):
            known.append((file, FORMATS[inner], compression))
        else:
            unread.append(inner)
    return known, unread


def _spread(files: list[tuple[Path, str, str]]) -> list[tuple[Path, str, str]]:
    step = max(1, len(files) // _SAMPLE_FILES)
    return files[::step][:_SAMPLE_FILES]


def _texts(
    file: Path, kind: str, compression: str, unit: str, fields: Counter[str], encodings: Counter[str]
) -> Iterator[str]:
    """Some texts of a file; a file that cannot be read gives none (the run will say why)."""
    try:
        if kind == "parquet":
            yield from _parquet_texts(file, fields)
            return
        with _open(file, compression) as stream:
            head = stream.read(_SAMPLE_BYTES)
        cut = len(head) == _SAMPLE_BYTES
        encodings["utf-8" if _is_utf8(head, cut) else "other"] += 1
        text = head.decode("utf-8-sig", "replace")
        if kind in ("jsonl", "json"):
            yield from _json_texts(text, cut, fields)
        elif kind in ("html", "warc"):
            yield from _pages_texts(text if kind == "warc" else f"<html>{text}")
        elif kind == "markdown" or unit == "file":
            yield text
        elif unit == "line":
            yield from [line for line in text.splitlines() if line.strip()][:_SAMPLE_RECORDS]
        else:
            yield from [part for part in _BLANK_LINES.split(text) if part.strip()][:_SAMPLE_RECORDS]
    except (OSError, EOFError, ValueError, lzma.LZMAError):
        return


def _is_utf8(head: bytes, cut: bool) -> bool:
    """Whether the beginning of a file is UTF-8, or UTF-16 with its mark; a cut may go through a character."""
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return True
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head, final=not cut)
    except UnicodeDecodeError:
        return False
    return True


def _open(file: Path, compression: str) -> Any:
    if compression == ".gz":
        return gzip.open(file)
    if compression == ".bz2":
        return bz2.open(file)
    if compression == ".xz":
        return lzma.open(file)
    if compression == ".zst":
        import zstandard

        return io.BufferedReader(zstandard.open(file, "rb"))
    return file.open("rb")


def _json_texts(text: str, cut: bool, fields: Counter[str]) -> Iterator[str]:
    records: list[Any] = []
    if text.lstrip().startswith("["):
        decoder, position = json.JSONDecoder(), text.index("[") + 1
        while len(records) < _SAMPLE_RECORDS:
            rest = text[position:].lstrip(" \t\r\n,")
            if not rest or rest.startswith("]"):
                break
            try:
                record, length = decoder.raw_decode(rest)
            except ValueError:
                break
            records.append(record)
            position = len(text) - len(rest) + length
    else:
        lines = text.splitlines()
        for line in lines[: -1 if cut else None][:_SAMPLE_RECORDS]:
            try:
                records.append(json.loads(line))
            except ValueError:
                continue
    yield from _fields_texts([record for record in records if isinstance(record, dict)], fields)


def _parquet_texts(file: Path, fields: Counter[str]) -> Iterator[str]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(file) as parquet:
            batch = next(parquet.iter_batches(_SAMPLE_RECORDS), None)
    except pa.ArrowException:
        return
    if batch is not None:
        yield from _fields_texts(batch.to_pylist(), fields)


def _pages_texts(text: str) -> Iterator[str]:
    """What is to be read of a page, or of the pages in the beginning of an archive.

    Good enough to tell languages and lengths; the step ``extract`` does it properly.
    """
    for record in _RECORD.split(text)[:_SAMPLE_RECORDS]:
        page = _PAGE.search(record)
        if page is not None:
            body = html.unescape(_NO_TEXT.sub(" ", record[page.start() :]))
        elif _EXTRACTED.search(record):
            body = record.partition("\r\n\r\n")[2]
        else:
            continue
        if words := body.split():
            yield " ".join(words)


def _fields_texts(records: list[dict[str, Any]], fields: Counter[str]) -> Iterator[str]:
    """The texts of records: from a usual field, else from the text field that is longest on the whole."""
    lengths: Counter[str] = Counter()
    for record in records:
        for name, value in record.items():
            if isinstance(value, str):
                lengths[name] += len(value)
    field = next((name for name in USUAL_FIELDS if name in lengths), None)
    if field is None and lengths:
        field = max(sorted(lengths), key=lambda name: lengths[name])
    if field is not None:
        fields[field] += 1
        yield from (record[field] for record in records if isinstance(record.get(field), str))


def _unit_of(file: Path) -> str:
    """One document per line where lines are long, else per paragraph: for few large text files."""
    compression = file.suffix.lower() if file.suffix.lower() in _EXPANSION else ""
    try:
        with _open(file, compression) as stream:
            lines = [line for line in stream.read(_SAMPLE_BYTES).splitlines() if line.strip()]
    except (OSError, EOFError, lzma.LZMAError):
        return "paragraph"
    return "line" if lines and sum(map(len, lines)) / len(lines) > 200 else "paragraph"
