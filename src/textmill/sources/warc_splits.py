"""How web archives become splits: large ones cut between records, small ones gathered.

A split's ``work`` is ``{"pieces": [...]}``; a piece is a file or a part of one: ``url``, ``locator``, ``start`` and
``end`` (bytes of the file; ``end`` is None at its end).
"""

from __future__ import annotations

import hashlib
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from textmill.errors import UserError
from textmill.sources.listing import InputFile, Names, list_files
from textmill.sources.streams import open_file
from textmill.steps.source import Split
from textmill.web.charset import charset_of_page
from textmill.web.warc_reading import cut_archive

if TYPE_CHECKING:
    from textmill.sources.warc import Warc

NAMES = Names(
    dict.fromkeys((".warc", ".wet", ".arc"), "warc"), {".gz": "gzip", ".zst": "zstd"}, otherwise="warc"
)

# Of an archive's bytes, text comes to about as many: pages unpack to five times their size, and images, requests and
# what is no page take the rest. It only balances splits and shows progress.
_EXPANSION = {None: 0.5, "gzip": 1.5, "zstd": 2.0}
_FILES_PER_SPLIT = 1024


def cut_archives(settings: Warc, split_bytes: int) -> list[Split]:
    """Splits of about ``split_bytes`` bytes of text, in the order of the files.

    Depends on the files and on ``split_bytes`` alone.

    Raises:
        UserError: see :func:`textmill.sources.listing.list_files`; a file cannot be read.
    """
    splits: list[Split] = []
    bundle: list[tuple[InputFile, dict[str, Any], int]] = []

    def close() -> None:
        if bundle:
            splits.append(_split(bundle))
            bundle.clear()

    for file in list_files(settings, NAMES):
        pieces = _pieces(settings, file, split_bytes)
        if len(pieces) > 1:
            close()
            splits.extend(_split([(file, piece, size)]) for piece, size in pieces)
            continue
        piece, size = pieces[0]
        full = sum(size for _, _, size in bundle) + size > split_bytes
        if bundle and (full or len(bundle) == _FILES_PER_SPLIT):
            close()
        bundle.append((file, piece, size))
    close()
    # The kernel that looks for declared encodings is compiled here, once, and not by every worker for itself.
    charset_of_page(b"<meta charset=utf-8>")
    return splits


def _pieces(settings: Warc, file: InputFile, split_bytes: int) -> list[tuple[dict[str, Any], int]]:
    expansion = _EXPANSION[file.compression]
    whole = {"url": file.url, "locator": file.locator, "start": 0, "end": None}
    span = max(2**16, int(split_bytes / expansion))
    if not settings.cut or file.size <= span * 5 // 4:
        return [(whole, int(file.size * expansion))]
    try:
        with open_file(settings, file.url) as stream:
            cuts = cut_archive(stream, file.size, span)
    except OSError as error:
        raise UserError(f"input cannot be read: {error}", where=file.url) from error
    borders: list[int | None] = [*cuts, None]
    return [
        ({**whole, "start": start, "end": end}, int(((end or file.size) - (start or 0)) * expansion))
        for start, end in pairwise(borders)
    ]


def _split(parts: list[tuple[InputFile, dict[str, Any], int]]) -> Split:
    digest = hashlib.sha256()
    for file, piece, _ in parts:
        described = (file.url, file.size, file.version, sorted(piece.items(), key=lambda item: item[0]))
        digest.update(repr(described).encode("utf-8", "replace"))
    return Split(
        {"pieces": [piece for _, piece, _ in parts]}, digest.hexdigest(), sum(size for *_, size in parts)
    )
