"""Windows by name: how a split's tokens are cut for training."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from textmill.tokens.borders import document_borders
from textmill.tokens.packing import pack_documents
from textmill.tokens.windows import DocumentWindows, PackedWindows, StreamWindows, TokenStream, Windows

Kind = Literal["stream", "documents", "packed"]

MIN_TOKENS = 50
"""Windows inside of documents with fewer tokens are dropped unless another number is given."""


def cut_windows(
    kind: Kind,
    tokens: TokenStream,
    folder: Path,
    length: int,
    *,
    stride: int = 0,
    min_tokens: int | None = None,
    borders: bool = False,
    cache: Path | None = None,
) -> Windows:
    """The windows of a split ``train``.

    Args:
        kind: one after the other through the stream, inside of documents, or documents packed together.
        tokens: the split.
        folder: of its tokens, where tables say where documents begin.
        length: tokens of a window.
        stride: tokens that two windows share.
        min_tokens: windows with fewer are dropped; 50 if left out, and of a stream all but full ones.
        borders: whether windows of a stream must know their documents.
        cache: folder for a packing, which is mapped then.

    Raises:
        UserError: a stride that leaves no step, or no tables of documents.
    """
    known = document_borders(folder) if borders or kind != "stream" else None
    if kind == "stream":
        return StreamWindows(tokens, length, stride=stride, min_tokens=min_tokens, borders=known)
    assert known is not None
    if kind == "packed":
        return PackedWindows(tokens, pack_documents(known, length, cache))
    least = MIN_TOKENS if min_tokens is None else min_tokens
    return DocumentWindows(tokens, length, known, stride=stride, min_tokens=least)
