"""Bytes of a page to text, and when they are none whatever their label says."""

from __future__ import annotations

from textmill.web.charset import Decoded, decode_page

_LEAST_TEXT = 0.9
"""Share of a text's characters that must be characters: what has less is a picture, an archive, a font."""

_FEW = 8  # so many in a short text are no evidence


class NoTextError(Exception):
    """These bytes are no text; the message says why."""


def text_of_page(body: bytes, content_type: str = "", kind: str = "") -> Decoded:
    """A page's text, decoded by what it declares and what its bytes say.

    Args:
        body: the page, unpacked.
        content_type: the Content-Type header, if there was one.
        kind: what it is labelled as, for the message.

    Raises:
        NoTextError: the bytes are a picture, an archive, a font ...
    """
    found = signature(body)
    if found is not None:
        raise NoTextError(f"labelled {kind}, but the body is {found}" if kind else f"no text, but {found}")
    page = decode_page(body, content_type)
    head = page.text[:_LOOKED_AT]
    odd = head.count("\ufffd") + len(head.encode().translate(None, _NO_CONTROLS)) + min(page.nuls, len(head))
    if odd > max(_FEW, (1 - _LEAST_TEXT) * len(head)):
        raise NoTextError(
            f"no text: {100 * odd / len(head):.0f} % of it are no characters of {page.encoding}"
        )
    return page


def signature(body: bytes) -> str | None:
    """The media type that the first bytes of a body tell, if they do (WHATWG MIME Sniffing, 6); None for text."""
    head = body[:8]
    for mark, kind in _SIGNATURES:
        if head.startswith(mark):
            return kind
    return None


def remarks(page: Decoded) -> dict[str, str | int]:
    """What to keep about decoding as metadata; counts only where something was replaced or left out."""
    said: dict[str, str | int] = {"charset": page.encoding, "charset_by": page.how}
    if page.replaced:
        said["replaced_characters"] = page.replaced
    if page.nuls:
        said["nul_characters"] = page.nuls
    return said


_LOOKED_AT = 2**16
# All bytes but the control characters that no text has; escapes are left to ISO-2022 and to terminals.
_NO_CONTROLS = bytes({*range(9, 14), 0x1B, *range(0x20, 0x7F), *range(0x80, 0x100)})
_SIGNATURES = (
    (b"%PDF-", "application/pdf"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"PK\x03\x04", "application/zip"),
    (b"\x1f\x8b\x08", "application/gzip"),
    (b"Rar!\x1a\x07", "application/x-rar-compressed"),
    (b"\x7fELF", "application/x-executable"),
    (b"wOFF", "font/woff"),
    (b"wOF2", "font/woff2"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "application/x-ole-storage"),
)
