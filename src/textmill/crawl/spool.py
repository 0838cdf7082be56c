"""Answers between their last byte and the transaction that settles them: kept on disk, so that none is fetched twice.

::

    answer whole ──► append ──► batch ──► turn ──► the keeper settles it ──► settled
                      file A                file B from now on                 file A is empty

An answer may wait for half a second until it is settled, and at a hundred answers a second that is a lot to ask for
again when the process dies. So it is written down as soon as it is whole, by one system call: kill -9 takes nothing
from the system's page cache. (A power failure may; then the answer is fetched again.)

An entry is a header of 24 bytes (magic, checksum, lengths of the four parts), then the parts: JSON about the job and
its outcome, the request's head, the answer's head, the body. Of a long part every 64th byte is in the checksum: it is
there for blocks that a power failure left empty, and must not cost more than the writing.
"""

from __future__ import annotations

import contextlib
import json
import os
import struct
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from textmill.crawl.answers import Answer
from textmill.crawl.fetching import Fetched
from textmill.crawl.frontier_rows import Job
from textmill.crawl.outcomes import Fault

_HEADER = struct.Struct("<4sI4I")
_MAGIC = b"TMS1"
_LONG = 4096  # up to here zlib's CRC keeps the interpreter's lock, which is dear to give up while another thread works


class Spool:
    """Two files in turn: one takes what comes, the other belongs to the batch that is being settled.

    Args:
        folder: of the crawl; what an earlier process left in it is read by :meth:`answers` and stays until
            :meth:`clear`.
    """

    def __init__(self, folder: Path) -> None:
        self._paths = (folder / "spool-0", folder / "spool-1")
        self._files = [os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644) for path in self._paths]
        self._current = 0

    def append(self, answer: Answer) -> None:
        """Write an answer down."""
        parts = _parts(answer)
        header = _HEADER.pack(_MAGIC, _checksum(parts), *map(len, parts))
        # A full disk is for the keeper to complain of, who cannot do without; here it means fetching again.
        with contextlib.suppress(OSError):
            os.writev(self._files[self._current], [header, *parts])

    def turn(self) -> None:
        """The answers up to here are one batch, which is settled from now on."""
        self._current = 1 - self._current

    def settled(self) -> None:
        """The last batch is settled: nothing of it is needed any more."""
        os.ftruncate(self._files[1 - self._current], 0)

    def answers(self) -> Iterator[Answer]:
        """What was written down and not cleared, as far as it is whole."""
        for path in self._paths:
            yield from _read(path)

    def clear(self) -> None:
        """Forget everything."""
        for file in self._files:
            os.ftruncate(file, 0)

    def close(self) -> None:
        """Close the files; they are removed where nothing is in them."""
        for file, path in zip(self._files, self._paths, strict=True):
            if not os.fstat(file).st_size:
                path.unlink(missing_ok=True)
            os.close(file)


def _checksum(parts: Sequence[bytes]) -> int:
    crc = 0
    for part in parts:
        crc = zlib.crc32(part if len(part) < _LONG else part[::64], crc)
    return crc


def _parts(answer: Answer) -> tuple[bytes, bytes, bytes, bytes]:
    job, outcome = answer.job, answer.outcome
    about: dict[str, Any] = {
        "job": [
            job.id,
            job.url,
            job.depth,
            job.redirects,
            job.attempts,
            job.kind,
            job.rank,
            job.host,
            job.via,
        ],
        "reservation": answer.site_reservation,
    }
    if isinstance(outcome, Fault):
        about["fault"] = asdict(outcome)
        return json.dumps(about).encode(), b"", b"", b""
    about["fetched"] = [
        outcome.url, outcome.moment, outcome.seconds, outcome.status, outcome.headers, outcome.address
    ]  # fmt: skip
    return json.dumps(about).encode(), outcome.request, outcome.head, outcome.body


def _read(path: Path) -> Iterator[Answer]:
    with path.open("rb") as stream:
        while len(header := stream.read(_HEADER.size)) == _HEADER.size:
            magic, crc, *lengths = _HEADER.unpack(header)
            if magic != _MAGIC or sum(lengths) > os.fstat(stream.fileno()).st_size:
                return
            parts = [stream.read(length) for length in lengths]
            if (
                any(len(part) != length for part, length in zip(parts, lengths, strict=True))
                or _checksum(parts) != crc
            ):
                return
            yield _answer(*parts)


def _answer(written: bytes, request: bytes, head: bytes, body: bytes) -> Answer:
    about = json.loads(written)
    outcome: Fetched | Fault
    if "fault" in about:
        outcome = Fault(**about["fault"])
    else:
        url, moment, seconds, status, headers, address = about["fetched"]
        outcome = Fetched(url, moment, seconds, request, status, head, headers, body, address)
    return Answer(Job(*about["job"]), outcome, about["reservation"])
