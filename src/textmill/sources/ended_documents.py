"""Documents that a line ``---ENDDOC---`` ends, and raw pages in that form.

::

    URL: http://example.com/a      the line that names a page, of raw pages alone
    <html>…</html>                 its source, or the text of a document: any lines
    ---ENDDOC---                   ends it, the last one too

A text is what stands between, without the newline in front of the end line. :mod:`textmill.export` writes the same.
"""

from __future__ import annotations

from collections.abc import Iterator

from textmill.documents import Document, Failure
from textmill.sources.records import too_long
from textmill.sources.streams import DamagedStreamError, cut_lines
from textmill.web.urls import canonical_url

END = "---ENDDOC---"
URL = "URL: "


def ended_documents(
    body: Iterator[bytes],
    locator: str,
    encoding: str,
    newline: bytes,
    first_line: int,
    offset: int,
    limit: int,
    pages: bool,
) -> Iterator[Document | Failure]:
    """The documents of a stream; locators are numbers of their first lines.

    Args:
        body: bytes of a file, or of a part that begins where a document does.
        locator: of the file.
        encoding: of the bytes, which name their own byte order.
        newline: in that encoding.
        first_line: number of the stream's first line in the file.
        offset: bytes of the file in front of the stream.
        limit: bytes that a document may have.
        pages: whether a line ``URL: …`` comes first.
    """
    end = END.encode(encoding)
    carriage_return = newline.replace("\n".encode(encoding), "\r".encode(encoding))
    lines: list[bytes] = []
    size = 0
    began = first_line
    at = offset
    last = first_line - 1
    try:
        for line in cut_lines(body, newline, limit, first_line, offset):
            last = line.number
            if line.data is not None and line.data.removesuffix(carriage_return) == end:
                yield _document(lines, size, f"{locator}:{began}", at, encoding, newline, limit, pages)
                lines, size = [], 0
                began = line.number + 1
                at = line.offset + line.size + len(newline)
                continue
            size += line.size + len(newline)
            if line.data is None or size > limit:
                lines.clear()  # counted, and not kept
                size = max(size, limit + 1)
            else:
                lines.append(line.data)
    except DamagedStreamError as error:
        yield Failure(f"{locator}:{began}", str(error))
        return
    if size > limit:
        yield Failure(f"{locator}:{began}", str(too_long("document", size, limit)))
    elif any(line.strip() for line in lines):
        reason = f"the file ends inside a document: no line {END} after line {last:,}"
        yield Failure(f"{locator}:{began}", reason)


def _document(
    lines: list[bytes],
    size: int,
    locator: str,
    offset: int,
    encoding: str,
    newline: bytes,
    limit: int,
    pages: bool,
) -> Document | Failure:
    if size > limit:
        return Failure(locator, str(too_long("document", size, limit)))
    data = newline.join(lines)
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        wrong = data[error.start : error.start + 1].hex()
        place = offset + error.start
        return Failure(locator, f"no valid {encoding} at byte {place} (0x{wrong}): {error.reason}")
    if not pages:
        return Document(locator, text.removesuffix("\r"))
    first, _, rest = text.lstrip("\r\n").partition("\n")
    if not first.startswith(URL.rstrip()):
        return Failure(locator, f"a raw page begins with a line {URL.rstrip()!r}, found {first[:40]!r}")
    address = first[len(URL.rstrip()) :].strip()
    return Document(locator, rest.removesuffix("\r"), canonical_url(address) or address or None)
