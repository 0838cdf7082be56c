"""The WARC files of a crawl: two series, each of numbered files that end at a size.

``pages-00000.warc.gz`` holds the pages and nothing else, for whoever reads documents; ``diagnostics-00000.warc.gz``
holds the evidence for everything else that was answered: robots.txt, redirects, errors, sitemaps, refusals.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from textmill.crawl.frontier import Frontier
from textmill.web.warc_writing import Place, WarcFile, warc_info

PAGES, DIAGNOSTICS = "pages", "diagnostics"
FOLDER = "warc"


class Archive:
    """Appends records, and tells the frontier how far each file counts.

    Args:
        folder: the crawl's folder.
        frontier: knows the files and their lengths; what a file holds beyond is cut off, and what the disk has
            lost is queued again.
        warc_bytes: a file ends at this size.
        about: fields of the ``warcinfo`` record.
    """

    def __init__(
        self, folder: Path, frontier: Frontier, warc_bytes: int, about: Sequence[tuple[str, str]]
    ) -> None:
        self._folder = folder / FOLDER
        self._folder.mkdir(parents=True, exist_ok=True)
        self._frontier = frontier
        self._warc_bytes = warc_bytes
        self._about = about
        self._series: dict[str, _Series] = {}
        self.taken_back = self._recover()

    def append(self, series: str, records: Sequence[bytes], moment: float) -> list[Place]:
        """Add records that belong together to a series; they stand in one file, one behind the other."""
        current = self._series.get(series)
        if current is None or current.file.length >= self._warc_bytes:
            if current is not None:
                self._end(series, current)
            current = self._begin(series, current.number + 1 if current else 0, moment)
        current.records += len(records)
        current.touched = True
        return [current.file.append(record) for record in records]

    def sync(self) -> None:
        """Everything appended is on the disk; the frontier's open transaction notes it."""
        for series, current in self._series.items():
            if current.touched:
                current.file.sync()
                self._note(series, current, False)
                current.touched = False

    def close(self) -> None:
        """Close the open files; they can be opened again."""
        for current in self._series.values():
            current.file.close()
        self._series.clear()

    def _begin(self, series: str, number: int, moment: float) -> _Series:
        path = self._folder / f"{series}-{number:05d}.warc.gz"
        current = _Series(WarcFile(path, 0), number, 1)
        current.file.append(warc_info(path.name, moment, self._about))
        self._series[series] = current
        folder = os.open(self._folder, os.O_RDONLY)
        try:
            os.fsync(folder)  # the file's name must last as long as what the frontier says of it
        finally:
            os.close(folder)
        return current

    def _end(self, series: str, current: _Series) -> None:
        current.file.sync()
        self._note(series, current, True)
        current.file.close()

    def _note(self, series: str, current: _Series, closed: bool) -> None:
        name = current.file.path.name
        self._frontier.file_grew(series, current.number, name, current.file.length, current.records, closed)

    def _recover(self) -> int:
        """Bring the files to where the frontier's last transaction left them."""
        known = self._frontier.files()
        names = {name for name, *_ in known}
        for path in self._folder.iterdir():
            if path.name not in names and path.name.endswith(".warc.gz"):
                path.unlink()  # begun, and never part of a transaction
        taken_back = 0
        for name, series, number, length, records, closed in known:
            path = self._folder / name
            size = path.stat().st_size if path.exists() else 0
            if size < length:
                taken_back += self._lost(path, series, number, size)
            elif not closed:
                self._series[series] = _Series(WarcFile(path, length), number, records)
        return taken_back

    def _lost(self, path: Path, series: str, number: int, size: int) -> int:
        """The disk holds less than was promised (a power failure): keep whole records, fetch the others again."""
        whole, records = _whole_members(path, size)
        self._frontier.begin()
        count = self._frontier.take_back(path.name, whole)
        self._frontier.file_grew(series, number, path.name, whole, records, False)
        self._frontier.commit()
        self._series[series] = _Series(WarcFile(path, whole), number, records)
        return count


class _Series:
    def __init__(self, file: WarcFile, number: int, records: int) -> None:
        self.file = file
        self.number = number
        self.records = records
        self.touched = True


def _whole_members(path: Path, size: int) -> tuple[int, int]:
    """Bytes and number of the gzip members that are whole."""
    import zlib

    end = members = 0
    if not size:
        return end, members
    data = path.read_bytes()
    while end < len(data):
        inflate = zlib.decompressobj(31)
        try:
            inflate.decompress(memoryview(data)[end:])
        except zlib.error:
            break
        if not inflate.eof:
            break
        end = len(data) - len(inflate.unused_data)
        members += 1
    return end, members
