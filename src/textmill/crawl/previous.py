"""An earlier crawl, asked for what it knows of an address."""

from __future__ import annotations

import json
import sqlite3
import zlib
from pathlib import Path

from textmill.crawl.archive import FOLDER
from textmill.crawl.frontier_rows import Earlier, url_key
from textmill.crawl.outcomes import ARCHIVED
from textmill.errors import UserError

FRONTIER_FILE = "frontier.sqlite"


class Previous:
    """Reads the frontier and the WARC files of a finished crawl.

    Args:
        folder: of the earlier crawl.

    Raises:
        UserError: there is none.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder.absolute()
        path = self._folder / FRONTIER_FILE
        if not path.exists():
            raise UserError(
                "the earlier crawl is not there",
                expected=f"a folder with {FRONTIER_FILE}, as textmill crawl leaves it",
                where=str(folder),
                hint="leave out previous: to crawl anew",
            )
        self._db = sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, check_same_thread=False)

    def find(self, url: str) -> Earlier | None:
        """What is known of a canonical address, if it was archived."""
        row = self._db.execute(
            "SELECT u.etag, u.modified, u.digest, u.fetched, u.refers, u.file, u.offset, u.length "
            "FROM known k JOIN urls u ON u.id = k.id WHERE k.key = ? AND u.state = ? AND u.kind = 0",
            (url_key(url), ARCHIVED),
        ).fetchone()
        if row is None:
            return None
        etag, modified, digest, fetched, refers, file, offset, length = row
        place = refers or json.dumps([str(self._folder), file, offset, length])
        return Earlier(etag, modified, digest, fetched, place)


def read_response(place: str) -> tuple[bytes, bytes]:
    """Head and body of the response that stands at a place (as :class:`Earlier` has it).

    Raises:
        OSError: the file cannot be read.
        ValueError: no whole record stands there.
    """
    folder, file, offset, length = json.loads(place)
    with (Path(folder) / FOLDER / file).open("rb") as stream:
        stream.seek(offset)
        member = stream.read(length)
    try:
        record = zlib.decompress(member, 31)
    except zlib.error as error:
        raise ValueError(f"{file} holds no whole record at {offset:,}: {error}") from error
    _, _, block = record.partition(b"\r\n\r\n")
    head, mark, body = block.partition(b"\r\n\r\n")
    if not mark:
        raise ValueError(f"{file} holds no response at {offset:,}")
    return head + mark, body.removesuffix(b"\r\n\r\n")
