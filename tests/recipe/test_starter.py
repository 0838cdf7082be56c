"""The recipe that ``init`` writes: it loads, it fits the folder, it overwrites nothing."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
from pathlib import Path

import pytest

from tests.web.archives import http, per_record, warc
from textmill.errors import UserError
from textmill.recipe import load_recipe
from textmill.recipe.starter import write_starter
from textmill.recipe.survey import survey_folder

ENGLISH = (
    "The mill turns with the river, and the miller has to watch the stones all day long. When the water is "
    "low he waits; when it is high he opens the gate, and the wheel begins to move again, slowly at first. "
)
FRENCH = (
    "Le moulin tourne avec la rivière, et le meunier surveille les meules toute la journée. Quand l'eau est "
    "basse il attend; quand elle est haute il ouvre la vanne, et la roue se remet en marche lentement. "
)


def starter(folder: Path, out: Path):
    write_starter(folder, out)
    return load_recipe(out), out.read_text()


def test_a_folder_of_text_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "my texts"
    folder.mkdir()
    for i in range(80):
        (folder / f"{i}.txt").write_text(ENGLISH * 3)
    (folder / "photo.png").write_bytes(b"\x89PNG")
    (folder / ".hidden.txt").write_text("not looked at")
    monkeypatch.chdir(tmp_path)
    assert write_starter(Path("my texts")) == Path("my-texts.yaml")
    recipe = load_recipe("my-texts.yaml")
    text = Path("my-texts.yaml").read_text()
    assert recipe.name == "my-texts"
    assert "files: 80 (80 text)" in text
    assert "left alone: 1" in text
    assert 'paths: "my texts"' in text, "relative to the recipe, so that both can be moved"
    assert "keep: [en]" in text
    assert recipe.sources[0].unit == "file"  # type: ignore[attr-defined]
    assert list(recipe.stages) == ["tokenizer", "tokens", "train", "evaluate"]


def test_pages_and_web_archives(tmp_path: Path) -> None:
    """A saved site beside an archive: both are read, and the main text is extracted first."""
    page = f"<!doctype html><title>x</title><nav>{'Menu ' * 300}</nav><main><p>{FRENCH * 3}</main><script>a<b</script>"
    (tmp_path / "site").mkdir()
    for number in range(60):
        (tmp_path / f"site/{number}.html").write_text(page)
    records = [warc(b"GET / HTTP/1.1\r\n\r\n", "request"), warc(http(page.encode()))]
    (tmp_path / "site/a.warc.gz").write_bytes(per_record(records * 20))
    (tmp_path / "site/b.warc.xz").write_bytes(b"the source warc reads no xz")
    recipe, text = starter(tmp_path / "site", tmp_path / "r.yaml")
    assert [source.name for source in recipe.sources] == ["files", "warc"]
    assert [step.name for step in recipe.curate][:2] == ["extract", "normalize"]
    assert "keep: [fr]" in text
    assert "files: 61 (60 html, 1 warc)" in text
    assert "left alone: 1" in text
    survey = survey_folder(tmp_path / "site")
    assert 30 <= survey.words <= 150, "a sample is text without its menu"
    assert 60 < survey.documents < 120
    assert not any("WARC-" in text or "HTTP/1.1" in text or "Menu" in text for text in survey.sample)
    assert len(survey.sample) == 48 + 20
    (tmp_path / "text.warc.wet").write_bytes(warc(ENGLISH.encode() * 3, "conversion") * 3)
    assert survey_folder(tmp_path / "text.warc.wet").sample == ((ENGLISH * 3).strip(),) * 3
    (only,) = starter(tmp_path / "site/a.warc.gz", tmp_path / "archive.yaml")[0].sources
    assert only.name == "warc"


def compressed(path: Path, data: bytes) -> None:
    pack = {".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress}.get(path.suffix)
    if path.suffix == ".zst":
        import zstandard

        pack = zstandard.compress
    path.write_bytes(pack(data) if pack else data)


@pytest.mark.parametrize("ending", ["", ".gz", ".bz2", ".xz", ".zst"])
def test_json_lines_with_a_field_of_their_own(tmp_path: Path, ending: str) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    records = [{"id": str(i), "title": "short", "body": FRENCH} for i in range(300)]
    data = "".join(json.dumps(record) + "\n" for record in records).encode()
    compressed(folder / f"a.jsonl{ending}", data)
    recipe, text = starter(folder, tmp_path / "r.yaml")
    assert recipe.sources[0].text_field == "body"  # type: ignore[attr-defined]
    assert "fr 100%" in text
    assert "min_stop_words: null" in text, "the paper's stop words are English"


def test_a_usual_field_is_not_named(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(
        json.dumps({"text": "x", "url": "http://example.org/" + "y" * 200}) + "\n"
    )
    recipe, text = starter(tmp_path, tmp_path / "r.yaml")
    assert "text_field" not in text
    assert recipe.sources[0].text_field is None  # type: ignore[attr-defined]


def test_parquet_and_a_json_array(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    folder = tmp_path / "data"
    folder.mkdir()
    pq.write_table(pa.table({"id": [1, 2], "page": [ENGLISH, ENGLISH]}), folder / "a.parquet")
    (folder / "b.json").write_text(json.dumps([{"page": ENGLISH}] * 3))
    survey = survey_folder(folder)
    assert survey.formats == {"json": 1, "parquet": 1}
    assert survey.text_field == "page"
    assert len(survey.sample) == 5
    assert starter(folder, tmp_path / "r.yaml")[0].sources[0].text_field == "page"  # type: ignore[attr-defined]


def test_one_large_file_is_cut_at_blank_lines(tmp_path: Path) -> None:
    (tmp_path / "book.txt").write_bytes(b"A short verse of eight words, no more.\r\n\r\n" * 400)
    recipe, text = starter(tmp_path / "book.txt", tmp_path / "r.yaml")
    assert recipe.name == "book"
    assert recipe.sources[0].unit == "paragraph"  # type: ignore[attr-defined]
    assert "8 words or fewer" in text
    assert [step.name for step in recipe.curate] == ["normalize", "language", "gopher_quality", "exact_dedup"]


def test_one_text_per_long_line(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text((ENGLISH * 3 + "\n") * 60)
    assert survey_folder(tmp_path).unit == "line"


def test_numbers_follow_the_amount_of_text(tmp_path: Path) -> None:
    small, large = tmp_path / "small", tmp_path / "large"
    small.mkdir()
    large.mkdir()
    (small / "a.txt").write_text(ENGLISH)
    with (large / "a.txt").open("w") as stream:
        stream.truncate(80_000_000)  # a sparse file: size without disk
    assert starter(small, tmp_path / "s.yaml")[0].tokenizer.train.vocab_size == 512  # type: ignore[union-attr]
    assert starter(large, tmp_path / "l.yaml")[0].tokenizer.train.vocab_size == 8192  # type: ignore[union-attr]


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text(ENGLISH)
    target = tmp_path / "r.yaml"
    target.write_text("mine\n")
    with pytest.raises(UserError, match="not overwritten"):
        write_starter(tmp_path, target)
    assert target.read_text() == "mine\n"


def test_an_unwritable_place(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text(ENGLISH)
    with pytest.raises(UserError, match="cannot be written"):
        write_starter(tmp_path, tmp_path / "nowhere" / "r.yaml")


@pytest.mark.parametrize("names", [[], ["a.png", "b.docx"]])
def test_nothing_to_read(tmp_path: Path, names: list[str]) -> None:
    for name in names:
        (tmp_path / name).write_bytes(b"x")
    with pytest.raises(UserError, match="no text") as caught:
        write_starter(tmp_path, tmp_path / "r.yaml")
    assert "empty folder" in str(caught.value) if not names else ".docx 1" in str(caught.value)
    assert not (tmp_path / "r.yaml").exists()


def test_no_such_folder(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such folder"):
        write_starter(tmp_path / "nowhere")


def test_broken_files_are_left_to_the_run(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl.gz").write_bytes(b"\x1f\x8b\x08broken")
    (tmp_path / "b.parquet").write_bytes(b"PAR1 no")
    (tmp_path / "c.jsonl").write_text("{not json\n")
    assert load_recipe(write_starter(tmp_path, tmp_path / "r.yaml")).sources


def test_odd_names_cannot_break_the_recipe(tmp_path: Path) -> None:
    folder = tmp_path / 'we"ird: {#} näme\n'
    folder.mkdir()
    (folder / "a.txt").write_text(ENGLISH)
    recipe, _ = starter(folder, tmp_path / "r.yaml")
    assert str(recipe.sources[0].paths).endswith('we"ird: {#} näme\n')  # type: ignore[attr-defined]


def test_other_encodings_are_noticed(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "a.txt").write_bytes((FRENCH * 3).encode("cp1252"))
    assert starter(folder, tmp_path / "1.yaml")[0].sources[0].encoding == "cp1252"  # type: ignore[attr-defined]
    # A character cut in two by the end of what is looked at is no other encoding.
    (folder / "b.txt").write_text("\N{SNOWMAN}" * 400_000)
    recipe, text = starter(folder, tmp_path / "2.yaml")
    assert recipe.sources[0].encoding == "utf-8"  # type: ignore[attr-defined]
    assert "1 of 2 files looked at are not UTF-8" in text
