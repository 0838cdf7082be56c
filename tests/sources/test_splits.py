"""However the files are cut, the same records come out; and what is cut is about as large as asked for."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from itertools import pairwise
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from textmill.sources import Files
from textmill.sources.streams import cut_lines
from textmill.steps import StepContext

LINES = st.lists(
    st.one_of(
        st.sampled_from([b"", b" ", b"\r", b'{"text": "a"}', b'{"text": 1}', b"\xff", "Käse 😀".encode()]),
        st.binary(max_size=40).map(lambda data: data.replace(b"\n", b"")),
    ),
    max_size=40,
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@example(files=[([b"\x00", b"{", b""], "json")], ended=False, unit="file", sizes=[1])
@given(
    files=st.lists(st.tuples(LINES, st.sampled_from(["txt", "jsonl", "json"])), min_size=1, max_size=4),
    ended=st.booleans(),
    unit=st.sampled_from(["file", "line", "paragraph"]),
    sizes=st.lists(st.integers(1, 300), min_size=1, max_size=4),
)
def test_records_do_not_depend_on_the_split(
    tmp_path_factory: pytest.TempPathFactory,
    files: list[tuple[list[bytes], str]],
    ended: bool,
    unit: str,
    sizes: list[int],
) -> None:
    folder = tmp_path_factory.mktemp("cut")
    for number, (lines, suffix) in enumerate(files):
        (folder / f"{number}.{suffix}").write_bytes(b"\n".join(lines) + (b"\n" if ended else b""))
    source = Files(paths=str(folder), unit=unit)
    reader = source.open(StepContext())

    def records(split_bytes: int) -> list[object]:
        return [record for split in source.plan(split_bytes) for record in reader.read(split)]

    whole = records(2**30)
    locators = [record.locator for record in whole]  # type: ignore[attr-defined]
    assert len(set(locators)) == len(locators)
    for size in sizes:
        assert records(size) == whole


@settings(max_examples=200, deadline=None)
@given(
    text=st.text(st.sampled_from("ab\n\r\u0a0a\u100a😀\x85\u2028"), max_size=60),
    encoding=st.sampled_from(["utf-8", "latin-1", "utf-16-le", "utf-16-be", "utf-32-be"]),
    cuts=st.lists(st.integers(0, 250), max_size=8),
    limit=st.integers(0, 50),
)
def test_lines_do_not_depend_on_chunks(text: str, encoding: str, cuts: list[int], limit: int) -> None:
    data = text.encode(encoding, "replace")
    borders = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    chunks = [data[start:end] for start, end in pairwise(borders)]
    found = list(cut_lines(iter(chunks), "\n".encode(encoding), limit))
    expected = data.decode(encoding).split("\n")
    if not expected[-1]:
        expected.pop()
    encoded = [line.encode(encoding) for line in expected]
    assert [line.number for line in found] == list(range(1, len(encoded) + 1))
    assert [line.data for line in found] == [line if len(line) <= limit else None for line in encoded]
    assert [data[line.offset : line.offset + line.size] for line in found] == encoded


def test_large_files_of_lines_are_cut_evenly(tmp_path: Path) -> None:
    lines = [json.dumps({"text": "x" * (number % 97)}) for number in range(5000)]
    (tmp_path / "a.jsonl").write_text("\n".join(lines))
    size = (tmp_path / "a.jsonl").stat().st_size
    splits = Files(paths=str(tmp_path)).plan(size // 10)
    assert len(splits) == 10
    assert max(split.bytes for split in splits) < 1.1 * size / 10
    assert sum(split.bytes for split in splits) == size


def test_small_files_are_gathered(tmp_path: Path) -> None:
    for number in range(100):
        (tmp_path / f"{number:03}.txt").write_text("x" * 100)
    splits = Files(paths=str(tmp_path)).plan(1000)
    assert [len(split.work["pieces"]) for split in splits] == [10] * 10
    assert len(Files(paths=str(tmp_path)).plan(1)) == 100


def test_parquet_is_cut_between_row_groups(tmp_path: Path) -> None:
    texts = [f"row {number} " * 20 for number in range(1000)]
    pq.write_table(pa.table({"text": texts}), tmp_path / "a.parquet", row_group_size=100, compression="none")
    source = Files(paths=str(tmp_path))
    whole = source.plan(2**30)
    assert len(whole) == 1
    for split_bytes, expected in ((1, 10), (50_000, None)):
        splits = source.plan(split_bytes)
        assert len(splits) == expected or (expected is None and 1 < len(splits) < 10)
        records = [record for split in splits for record in source.open(StepContext()).read(split)]
        assert [record.locator for record in records] == [f"a.parquet:{n}" for n in range(1, 1001)]
        assert [record.text for record in records] == texts  # type: ignore[union-attr]


_MEASURE = textwrap.dedent(
    """
    import pathlib, sys
    from textmill.sources import Files
    from textmill.steps import StepContext
    source = Files(paths=sys.argv[1])
    reader = source.open(StepContext())
    count = size = 0
    for split in source.plan(64 * 2**20):
        for record in reader.read(split):
            count += 1
            size += len(record.text)
    # Not getrusage, whose maximum a process takes over from the one that started it.
    status = pathlib.Path("/proc/self/status").read_text()
    print(count, size, status.split("VmHWM:")[1].split()[0])
    """
)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("suffix", ["jsonl", "jsonl.gz", "parquet"])
def test_memory_does_not_grow_with_the_file(tmp_path: Path, suffix: str) -> None:
    import gzip

    line = b'{"text": "' + b"some words of no interest " * 40 + b'"}\n'
    peaks = []
    for megabytes in (3, 300):
        count = megabytes * 10**6 // len(line)
        path = tmp_path / f"{megabytes}" / f"a.{suffix}"
        path.parent.mkdir()
        if suffix == "parquet":
            schema = pa.schema([("text", pa.string())])
            with pq.ParquetWriter(path, schema, compression="zstd", use_dictionary=False) as writer:
                for _ in range(max(1, count // 3000)):
                    writer.write_table(
                        pa.table({"text": [os.urandom(500).hex() for _ in range(3000)]}, schema)
                    )
            count = max(1, count // 3000) * 3000
        else:
            with gzip.open(path, "wb", 1) if suffix.endswith("gz") else path.open("wb") as stream:
                for _ in range(count):
                    stream.write(line)
        result = subprocess.run(
            [sys.executable, "-c", _MEASURE, str(path)], capture_output=True, text=True, check=True
        ).stdout.split()
        assert int(result[0]) == count
        peaks.append(int(result[2]) // 1024)
    # MiB; the interpreter with pyarrow takes about 150 of them.
    print(peaks)
    assert peaks[1] < peaks[0] + 30, peaks
