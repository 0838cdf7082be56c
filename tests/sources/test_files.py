"""The source ``files``: formats, faults, locators."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import os
import random
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from textmill.documents import Document, Failure
from textmill.errors import UserError
from textmill.sources import Files
from textmill.steps import StepContext

COMPRESS: dict[str, Callable[[bytes], bytes]] = {
    "": lambda data: data,
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    ".zst": lambda data: zstandard.ZstdCompressor().compress(data),
}


def read(
    paths: str | Path | list[str], split_bytes: int = 2**20, **settings: object
) -> list[Document | Failure]:
    source = Files(paths=paths if isinstance(paths, list) else str(paths), **settings)
    reader = source.open(StepContext(scratch=Path(os.environ.get("TMPDIR", "/tmp"))))
    return [record for split in source.plan(split_bytes) for record in reader.read(split)]


def texts(records: list[Document | Failure]) -> dict[str, str]:
    return {record.locator: record.text for record in records if isinstance(record, Document)}


def failures(records: list[Document | Failure]) -> dict[str, str]:
    return {record.locator: record.reason for record in records if isinstance(record, Failure)}


@pytest.mark.parametrize("suffix", COMPRESS)
def test_every_format_in_every_compression(tmp_path: Path, suffix: str) -> None:
    compress = COMPRESS[suffix]
    (tmp_path / "deep").mkdir()
    (tmp_path / f"a.txt{suffix}").write_bytes(compress("Ein Käse.\n\nZwei.\n".encode()))
    (tmp_path / f"b.md{suffix}").write_bytes(compress(b"# Title\n"))
    (tmp_path / f"deep/c.jsonl{suffix}").write_bytes(
        compress(b'{"text": "one", "url": "https://a.example/"}\n\n{"content": "three", "id": 7}')
    )
    (tmp_path / f"d.ndjson{suffix}").write_bytes(compress(b'{"sentence": "s"}\r\n'))
    table = pa.table({"text": ["p", "", None], "title": ["T", None, "U"]})
    pq.write_table(table, tmp_path / "plain.parquet")
    (tmp_path / f"e.parquet{suffix}").write_bytes(compress((tmp_path / "plain.parquet").read_bytes()))
    (tmp_path / "plain.parquet").unlink()
    records = read(tmp_path)
    assert texts(records) == {
        f"a.txt{suffix}": "Ein Käse.\n\nZwei.\n",
        f"b.md{suffix}": "# Title\n",
        f"d.ndjson{suffix}:1": "s",
        f"deep/c.jsonl{suffix}:1": "one",
        f"deep/c.jsonl{suffix}:3": "three",
        f"e.parquet{suffix}:1": "p",
        f"e.parquet{suffix}:2": "",
    }
    assert failures(records) == {f"e.parquet{suffix}:3": "the field 'text' holds null, not text"}
    by_locator = {record.locator: record for record in records}
    assert by_locator[f"deep/c.jsonl{suffix}:1"].url == "https://a.example/"
    assert json.loads(by_locator[f"deep/c.jsonl{suffix}:3"].metadata or "") == {"id": 7}
    assert json.loads(by_locator[f"e.parquet{suffix}:1"].metadata or "") == {"title": "T"}
    # Bytewise order of the paths, whatever the file system lists first.
    assert list(by_locator) == sorted(by_locator, key=str.encode)


@pytest.mark.parametrize(
    "unit, expected",
    [
        ("file", {"a.txt": "one\r\n  two\n \t\n\n\nthree"}),
        ("line", {"a.txt:1": "one", "a.txt:2": "  two", "a.txt:6": "three"}),
        ("paragraph", {"a.txt:1": "one\n  two", "a.txt:6": "three"}),
    ],
)
def test_units_of_text(tmp_path: Path, unit: str, expected: dict[str, str]) -> None:
    (tmp_path / "a.txt").write_bytes(b"one\r\n  two\n \t\n\n\nthree")
    assert texts(read(tmp_path, unit=unit)) == expected


def test_every_bad_line_is_one_failure_with_its_reason(tmp_path: Path) -> None:
    lines = [
        b'{"text": "good"}',
        b'{"text": "cut',
        b'{"text": 5}',
        b'{"text": null}',
        b'{"body": "x", "id": 1}',
        b'"bare"',
        b"[1]",
        b'{"text": "half \\ud83d pair"}',
        b'{"text": "whole \\ud83d\\ude00 pair"}',
        b'{"text": "caf\xe9"}',
        b'{"text": ""}',
        b"[" * 100_000,
        b'{"text": "n", "id": ' + b"9" * 5000 + b"}",
        b'{"text": "last"}',
    ]
    (tmp_path / "x.jsonl").write_bytes(b"\n".join(lines))
    records = read(tmp_path)
    assert texts(records) == {
        "x.jsonl:1": "good",
        "x.jsonl:9": "whole 😀 pair",
        "x.jsonl:11": "",
        "x.jsonl:14": "last",
    }
    reasons = failures(records)
    offset = sum(len(line) + 1 for line in lines[:9]) + len(b'{"text": "caf')
    for number, part in {
        2: "broken JSON: Unterminated string starting at at character 10",
        3: "holds a number (5), not text",
        4: "holds null",
        5: "no text field: expected 'text' or 'content' or 'sentence', found 'body', 'id'",
        6: "bare text, not an object",
        7: "a list, not an object",
        8: "lone surrogate (U+D83D) at character 6",
        10: f"no valid utf-8 at byte {offset} (0xe9)",
        12: "nested too deeply",
        13: "broken JSON",
    }.items():
        assert part in reasons[f"x.jsonl:{number}"], number
    assert len(records) == len(lines)


def test_fields_can_be_named(tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_text('{"body": "b", "text": "no", "link": "http://x/", "lang": "fr"}\n')
    (record,) = read(tmp_path, text_field="body", url_field="link", metadata_fields=["lang"])
    assert record == Document("x.jsonl:1", "b", "http://x/", '{"lang": "fr"}')


def test_encodings(tmp_path: Path) -> None:
    sample = "Käse\nund „Brot“\n"
    (tmp_path / "bom8.txt").write_bytes(sample.encode("utf-8-sig"))
    for name in ("utf-16", "utf-32"):
        (tmp_path / f"{name}.txt").write_bytes(sample.encode(name))
    (tmp_path / "be.txt").write_bytes(b"\xfe\xff" + sample.encode("utf-16-be"))
    assert set(texts(read(tmp_path)).values()) == {sample}
    lines = texts(read(tmp_path, unit="line", split_bytes=4))
    assert [lines[f"{name}.txt:2"] for name in ("bom8", "utf-16", "utf-32", "be")] == ["und „Brot“"] * 4
    (tmp_path / "latin").mkdir()
    (tmp_path / "latin/a.txt").write_bytes(b"K\xe4se")
    assert failures(read(tmp_path / "latin")) == {
        "a.txt": "no valid utf-8 at byte 1 (0xe4): invalid continuation byte"
    }
    assert texts(read(tmp_path / "latin", encoding="latin-1")) == {"a.txt": "Käse"}
    with pytest.raises(ValueError, match="no encoding"):
        Files(paths="x", encoding="klingon")


def test_wide_characters_that_hold_a_newline_byte(tmp_path: Path) -> None:
    # U+0A0A and U+100A hold the byte 0x0A, at an odd and at an even place.
    sample = "\u0a0a\u100a\u0a00x\n\u0a0ay\n"
    for name in ("utf-16-le", "utf-16-be"):
        (tmp_path / "a.txt").write_bytes(("\ufeff" + sample).encode(name))
        assert texts(read(tmp_path, unit="line")) == {
            "a.txt:1": "\u0a0a\u100a\u0a00x",
            "a.txt:2": "\u0a0ay",
        }


@pytest.mark.parametrize("suffix", [suffix for suffix in COMPRESS if suffix])
@pytest.mark.parametrize("share", [0.0, 0.001, 0.3, 0.9, 0.9999])
def test_truncated_archive_gives_what_stands_before_the_damage(
    tmp_path: Path, suffix: str, share: float
) -> None:
    generator = random.Random(5)
    lines = [
        json.dumps({"text": f"{number} " + generator.randbytes(300).hex()}).encode() + b"\n"
        for number in range(2000)
    ]
    data = COMPRESS[suffix](b"".join(lines))
    (tmp_path / f"x.jsonl{suffix}").write_bytes(data[: int(1 + share * (len(data) - 2))])
    records = read(tmp_path)
    *good, last = records
    assert isinstance(last, Failure)
    assert last.locator == f"x.jsonl{suffix}:{len(good) + 1}"
    assert "too early" in last.reason
    assert [record.text for record in good if isinstance(record, Document)] == [
        json.loads(line)["text"] for line in lines[: len(good)]
    ]
    if share == 0.9:
        assert len(good) > 1000  # bzip2's blocks are large; the others lose less


def test_corrupted_gzip_is_one_failure(tmp_path: Path) -> None:
    data = bytearray(gzip.compress(b'{"text": "a"}\n' * 1000, mtime=0))
    data[-6] ^= 1  # the checksum
    (tmp_path / "x.jsonl.gz").write_bytes(data)
    (tmp_path / "y.jsonl").write_text('{"text": "b"}\n')
    records = read(tmp_path)
    assert len(failures(records)) == 1
    assert "damaged gzip data" in next(iter(failures(records).values()))
    assert texts(records)["y.jsonl:1"] == "b"


@pytest.mark.parametrize("suffix", [suffix for suffix in COMPRESS if suffix])
def test_several_members_and_padding(tmp_path: Path, suffix: str) -> None:
    compress = COMPRESS[suffix]
    data = compress(b'{"text": "a"}\n{"te') + compress(b'xt": "b"}\n') + b"\0" * 512
    (tmp_path / f"x.jsonl{suffix}").write_bytes(data)
    assert texts(read(tmp_path)) == {f"x.jsonl{suffix}:1": "a", f"x.jsonl{suffix}:2": "b"}


def test_damaged_parquet_is_a_failure(tmp_path: Path) -> None:
    pq.write_table(pa.table({"text": ["a" * 1000] * 100}), tmp_path / "x.parquet")
    whole = (tmp_path / "x.parquet").read_bytes()
    (tmp_path / "x.parquet").write_bytes(whole[:-20])
    (tmp_path / "empty.parquet").write_bytes(b"")
    (tmp_path / "y.parquet.gz").write_bytes(gzip.compress(whole)[:-30])
    records = read(tmp_path)
    assert set(failures(records)) == {"empty.parquet:1", "x.parquet:1", "y.parquet.gz:1"}
    assert len(records) == 3


def test_parquet_columns(tmp_path: Path) -> None:
    table = pa.table(
        {
            "content": pa.array([b"caf\xc3\xa9", b"caf\xe9"], pa.binary()).cast(pa.binary()),
            "url": pa.array(["u", None]).dictionary_encode(),
            "date": pa.array([0, None], pa.timestamp("s")),
        }
    )
    pq.write_table(table, tmp_path / "x.parquet")
    first, second = read(tmp_path)
    assert first == Document("x.parquet:1", "café", "u", '{"date": "1970-01-01 00:00:00"}')
    assert isinstance(second, Failure)
    assert "no valid utf-8 at its byte 3" in second.reason
    with pytest.raises(UserError, match="no column with the text") as caught:
        read(tmp_path, text_field="words")
    assert "content, url, date" in str(caught.value)


@pytest.mark.parametrize(
    "content, expected, faults",
    [
        ('[{"text": "a"},\n {"text": "b"}]\n', ["a", "b"], 0),
        ("[]", [], 0),
        ('{\n "text": "spread"\n}\n', ["spread"], 0),
        ('{"text": "a"}\n{"text": "b"}\n', ["a", "b"], 0),
        ('[{"text": "a"}, {"text": 1}, {"text": "c"}]', ["a", "c"], 1),
        ('[{"text": "a"}, {"text": ', ["a"], 1),
        ('[{"text": "a"} {"text": "b"}]', ["a"], 1),
        ('[{"text": "a"}', ["a"], 1),
        ('[{"text": "a"}] more', ["a"], 1),
        ("[" * 100_000, [], 1),
    ],
)
def test_json_files(tmp_path: Path, content: str, expected: list[str], faults: int) -> None:
    (tmp_path / "x.json").write_text(content)
    for split_bytes in (5, 2**20):
        records = read(tmp_path, split_bytes=split_bytes)
        assert list(texts(records).values()) == expected
        assert len(failures(records)) == faults


def test_long_records_are_failures(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("x" * 101)
    (tmp_path / "b.jsonl").write_text('{"text": "%s"}\n{"text": "short"}\n' % ("x" * 3_000_000))
    (tmp_path / "c.json").write_text('[{"text": "%s"}, {"text": "short"}]' % ("x" * 3_000_000))
    records = read(tmp_path, max_document_bytes=100)
    assert texts(records) == {"b.jsonl:2": "short"}
    assert all("max_document_bytes (100)" in reason for reason in failures(records).values())
    assert list(failures(records)) == ["a.txt", "b.jsonl:1", "c.json:1"]
    table = pa.table({"text": ["x" * 101, "short", "é" * 51]})
    pq.write_table(table, tmp_path / "t.parquet")
    records = read(tmp_path / "t.parquet", max_document_bytes=100)
    assert list(texts(records).values()) == ["short"]
    assert len(failures(records)) == 2
    (tmp_path / "p").mkdir()
    (tmp_path / "p/p.txt").write_text("line\n" * 50 + "\nshort\n")
    records = read(tmp_path / "p", unit="paragraph", max_document_bytes=100)
    assert texts(records) == {"p.txt:52": "short"}
    assert "a paragraph is longer" in failures(records)["p.txt:1"]


def test_empty_files(tmp_path: Path) -> None:
    for name in ("a.txt", "b.jsonl", "c.json", "d.md", "e.txt.gz"):
        (tmp_path / name).write_bytes(b"")
    assert texts(read(tmp_path)) == {"a.txt": "", "d.md": "", "e.txt.gz": ""}
    for unit in ("line", "paragraph"):
        records = read(tmp_path, unit=unit)
        assert texts(records) == {"d.md": ""}
        assert set(failures(records)) == {"a.txt", "b.jsonl", "c.json", "e.txt.gz"}
        assert all(reason == "the file is empty" for reason in failures(records).values())


def test_locators_do_not_follow_the_mount_nor_new_files(tmp_path: Path) -> None:
    for root in ("one/data", "two/else"):
        (tmp_path / root / "sub").mkdir(parents=True)
        (tmp_path / root / "sub/b.jsonl").write_text('{"text": "b"}\n')
    assert read(tmp_path / "one/data") == read(tmp_path / "two/else")
    assert read(tmp_path / "one/data/") == read(str(tmp_path / "one" / "data" / "sub" / ".."))
    before = texts(read(tmp_path / "one/data"))
    (tmp_path / "one/data/a.txt").write_text("new")
    (tmp_path / "one/data/.hidden.txt").write_text("no")
    (tmp_path / "one/data/image.png").write_text("no")
    assert texts(read(tmp_path / "one/data")) == {"a.txt": "new", **before}
    assert list(texts(read(tmp_path / "one/data/sub/b.jsonl"))) == ["b.jsonl:1"]
    assert list(texts(read(tmp_path / "one/**/*.jsonl"))) == ["data/sub/b.jsonl:1"]


def test_several_paths_keep_their_names(tmp_path: Path) -> None:
    for name in ("train", "valid"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "0.txt").write_text(name)
    paths = [str(tmp_path / "valid"), str(tmp_path / "train"), str(tmp_path / "train/0.txt")]
    assert texts(read(paths)) == {"train/0.txt": "train", "valid/0.txt": "valid"}
    with pytest.raises(UserError, match=r"same name '0\.txt'"):
        read([str(tmp_path / "train/0.txt"), str(tmp_path / "valid/0.txt")])


def test_names_that_look_like_patterns_and_are_no_text(tmp_path: Path) -> None:
    (tmp_path / "data[1]").mkdir()
    (tmp_path / "data[1]/a.txt").write_text("a")
    assert texts(read(tmp_path / "data[1]")) == {"a.txt": "a"}
    try:
        Path(os.fsdecode(os.fsencode(tmp_path) + b"/data[1]/\xff.txt")).write_text("b")
    except OSError:
        pytest.skip("this file system wants UTF-8 names")
    assert texts(read(tmp_path / "data[1]")) == {"a.txt": "a", "\\xff.txt": "b"}


def test_links_in_a_circle_end(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data/a.txt").write_text("a")
    (tmp_path / "data/again").symlink_to(tmp_path / "data")
    (tmp_path / "other").mkdir()
    (tmp_path / "other/b.txt").write_text("b")
    (tmp_path / "data/other").symlink_to(tmp_path / "other")
    assert texts(read(tmp_path / "data")) == {"a.txt": "a", "other/b.txt": "b"}
    (tmp_path / "data/gone.txt").symlink_to(tmp_path / "nowhere.txt")
    with pytest.raises(UserError, match="link to nowhere"):
        read(tmp_path / "data")


def test_missing_input_is_told_before_anything_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "images/x.png").write_bytes(b"")
    for paths, message in (
        (tmp_path / "nowhere/at/all", f"{tmp_path} does exist"),
        (tmp_path / "*.jsonl", "no file matches"),
        (tmp_path / "images", "1 files with other names"),
        (tmp_path / "images/x.png", "format: text"),
        ("nosuchprotocol://bucket/x.txt", "Protocol not known"),
        ("memory://nowhere", "no such file"),
    ):
        with pytest.raises(UserError) as caught:
            read(paths)
        assert message in str(caught.value)
    (tmp_path / "a.txt").write_text("a")
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(UserError, match="may not be read"):
        read(tmp_path)


def test_a_file_that_vanishes_is_a_failure(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / f"{name}.txt").write_text(name)
    source = Files(paths=str(tmp_path))
    splits = source.plan(2**20)
    (tmp_path / "a.txt").unlink()
    records = [record for split in splits for record in source.open(StepContext()).read(split)]
    assert "cannot be opened" in failures(records)["a.txt"]
    assert texts(records) == {"b.txt": "b"}


def test_a_shrunken_file_is_a_failure(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"text": "x"}\n' * 100)
    source = Files(paths=str(tmp_path))
    splits = source.plan(300)
    (tmp_path / "a.jsonl").write_text('{"text": "x"}\n' * 90)
    records = [record for split in splits for record in source.open(StepContext()).read(split)]
    assert len(texts(records)) == 90
    assert "changed while it was read" in next(iter(failures(records).values()))


def test_remote_files_read_like_local_ones(tmp_path: Path) -> None:
    import fsspec

    memory = fsspec.filesystem("memory")
    lines = "".join(json.dumps({"text": f"line {number}"}) + "\n" for number in range(50))
    for root, write in ((f"{tmp_path}/", None), ("/corpus-of-test/", memory)):
        for name, data in (("a.jsonl", lines.encode()), ("s/b.txt.gz", gzip.compress(b"b"))):
            if write:
                write.pipe(root + name, data)
            else:
                Path(root, name).parent.mkdir(exist_ok=True)
                Path(root, name).write_bytes(data)
    try:
        remote = read("memory://corpus-of-test", split_bytes=100)
        assert remote == read(tmp_path, split_bytes=100)
        assert len(remote) == 51
        assert texts(read("memory://corpus-of-test/*.jsonl")) == texts(read(tmp_path / "a.jsonl"))
    finally:
        memory.rm("/corpus-of-test", recursive=True)


def test_version_tells_change_and_bytes_the_size(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("aaaa")
    source = Files(paths=str(tmp_path))
    (before,) = source.plan(2**20)
    assert source.plan(2**20) == [before]
    assert before.bytes == 4
    os.utime(tmp_path / "a.txt", ns=(1, 1))
    (after,) = source.plan(2**20)
    assert after.version != before.version
    assert after.work == before.work


def test_candidate_locators() -> None:
    candidates = Files(paths="x").candidate_locators("/mnt/data/corpus/sub/a.txt")
    assert "sub/a.txt" in candidates
    assert "a.txt" in candidates
    assert Files(paths="x").candidate_locators("a.jsonl:17") == ["a.jsonl:17"]
