"""The numbers behind FineWeb's rules (Penedo et al. 2024, arXiv:2406.17557, section 3.6).

    "Menu\\nMenu\\n\\nIt rained all day.\\n"     3 lines, 1 punctuated, 3 short, 1 a copy; 4 newlines, 7 tokens

Which values are accepted is not decided here. Where the paper leaves room, the definitions are those of the
implementation that FineWeb was made with (datatrove): lines are not stripped, so that a space after the last
mark hides it, and characters of copies are compared with all characters but newlines.
"""

# Kernels have no annotations: Numba infers their types.
# mypy: allow-untyped-defs, no-check-untyped-defs

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from textmill.text.classes import decode
from textmill.text.compilation import borrowed, kernel
from textmill.text.inputs import checked
from textmill.text.lines import BLANK, Lines
from textmill.text.ngrams import count_duplicates
from textmill.text.sentences import is_terminal, terminals
from textmill.text.wide import count_leads
from textmill.text.words import Words

STATISTICS = ("punctuated_lines", "short_lines", "duplicate_line_characters", "newlines_per_word")


def line_statistics(
    data: npt.NDArray[np.uint8],
    offsets: npt.NDArray[np.integer],
    words: Words,
    lines: Lines,
    short_line: int = 30,
) -> dict[str, npt.NDArray[np.float64]]:
    """The line numbers of every document: float64[documents] for each name in STATISTICS, 0 if blank.

    - punctuated_lines: lines whose last character has the property Sentence_Terminal, per line.
    - short_lines: lines of at most `short_line` code points, per line.
    - duplicate_line_characters: code points of second and later copies of lines / of the text without LF.
    - newlines_per_word: LF per token, punctuation marks included.

    Blank lines do not count. Lines end before LF or CR LF.

    Args:
        data: uint8[bytes], UTF-8.
        offsets: int[documents + 1], borders of the documents in `data`.
        words: from `segment_words` of the same buffer.
        lines: from `split_lines` of the same buffer.
        short_line: code points of the longest short line.

    Raises:
        ValueError: words or lines belong to another number of documents.
    """
    data, offsets = checked(data, offsets)
    for owner in (words, lines):
        if owner.document_offsets.size != offsets.size:
            raise ValueError(
                f"{owner.document_offsets.size - 1} documents analysed, {offsets.size - 1} given"
            )
    table = np.zeros((len(STATISTICS), offsets.size - 1), np.float64)
    text = np.empty(offsets.size - 1, np.int64)
    _count_lines(
        data,
        offsets,
        words.document_offsets,
        lines.starts,
        lines.ends,
        lines.characters,
        lines.flags,
        lines.document_offsets,
        short_line,
        terminals(),
        text,
        table,
    )
    duplicates = np.zeros((2, offsets.size - 1), np.float64)
    count_duplicates(
        data,
        lines.starts,
        lines.ends,
        lines.characters,
        lines.flags,
        lines.hashes,
        lines.document_offsets,
        text,
        duplicates,
    )
    table[2] = duplicates[1]
    return dict(zip(STATISTICS, table, strict=True))


@kernel
def _count_lines(
    data,
    offsets,
    word_offsets,
    starts,
    ends,
    characters,
    flags,
    document_offsets,
    short_line,
    marks,
    text,
    table,
):
    data, marks = borrowed(data), borrowed(marks)
    for document in range(offsets.size - 1):
        lines = 0
        punctuated = 0
        short = 0
        for line in range(document_offsets[document], document_offsets[document + 1]):
            if flags[line] & BLANK:
                continue
            lines += 1
            short += characters[line] <= short_line
            punctuated += _ends_in_mark(data, np.int64(starts[line]), np.int64(ends[line]), marks)
        newlines = 0
        for at in range(offsets[document], offsets[document + 1]):
            newlines += data[at] == 10
        text[document] = count_leads(data, offsets[document], offsets[document + 1]) - newlines
        tokens = word_offsets[document + 1] - word_offsets[document]
        if lines > 0:
            table[0, document] = punctuated / lines
            table[1, document] = short / lines
        if tokens > 0:
            table[3, document] = newlines / tokens


@kernel
def _ends_in_mark(data, start, end, marks):
    """Whether the last character of data[start:end] has the property Sentence_Terminal."""
    last = data[end - 1]
    if last < 0x80:
        return last == 0x2E or last == 0x21 or last == 0x3F
    place = end - 1
    while place > start and end - place < 4 and data[place] & 0xC0 == 0x80:
        place -= 1
    code_point, after = decode(data, place, end)
    return after == end and is_terminal(code_point, marks)
