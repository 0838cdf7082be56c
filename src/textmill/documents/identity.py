"""Document ids: 128-bit hashes of where a document comes from.

An id depends on the source's name and the document's logical locator alone (relative path and record number,
or canonical URL and payload digest), so it survives a moved run folder, another mount, other shards and
another number of workers. BLAKE2b (RFC 7693) gives the 16 bytes.
"""

from __future__ import annotations

from hashlib import blake2b

ID_BYTES = 16

# BLAKE2's personalisation keeps ids of the two kinds apart even for equal input (RFC 7693, section 2.1).
_PERSON_DOCUMENT = b"textmill-doc"
_PERSON_DERIVED = b"textmill-derived"


def document_id(source: str, locator: str) -> bytes:
    """The 16-byte id of the document that stands at ``locator`` in the source called ``source``."""
    return _digest(_PERSON_DOCUMENT, source.encode(), locator.encode())


def derived_id(parent: bytes, method: str, ordinal: int) -> bytes:
    """The 16-byte id of the ``ordinal``-th text that ``method`` made of the document ``parent``."""
    return _digest(_PERSON_DERIVED, parent, method.encode(), str(ordinal).encode())


def format_id(identifier: bytes) -> str:
    """An id as people see it: 32 hexadecimal digits."""
    return identifier.hex()


def parse_id(text: str) -> bytes | None:
    """The id that 32 hexadecimal digits stand for, or None when ``text`` is no id."""
    if len(text) != 2 * ID_BYTES:
        return None
    try:
        return bytes.fromhex(text)
    except ValueError:
        return None


def _digest(person: bytes, *parts: bytes) -> bytes:
    digest = blake2b(digest_size=ID_BYTES, person=person)
    for part in parts:
        # The length in front keeps ("a", "bc") and ("ab", "c") apart.
        digest.update(len(part).to_bytes(8, "little"))
        digest.update(part)
    return digest.digest()
