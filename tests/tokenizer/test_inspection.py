import json
from pathlib import Path

import numpy as np
import pytest
from tests.tokenizer.corpus import HOSTILE, prose

from textmill.cli import main
from textmill.tokenizer.counting import TokenCounter
from textmill.tokenizer.encode import HuggingFaceEncoder
from textmill.tokenizer.folder import write_config
from textmill.tokenizer.inspection import health, read_vocabulary, tokens_of
from textmill.tokenizer.load import load_encoder
from textmill.tokenizer.page import as_html
from textmill.tokenizer.training import train_bpe

LONG = "-" * 64 + "\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("tokenizer")
    for name, size in (("small", 500), ("large", 1500)):
        (root / name).mkdir()
        content = train_bpe([*prose(), LONG * 50, "中文字" * 40], vocab_size=size)
        (root / name / "tokenizer.json").write_text(content)
        write_config(root / name, "<|endoftext|>", [], {})
    lines = [{"text": text, "language": "en"} for text in prose()] + [{"text": "中文字", "language": "zh"}]
    (root / "texts.jsonl").write_text("\n".join(map(json.dumps, lines)))
    (root / "other.txt").write_text("hello world")
    return root


def encoder(folder: Path) -> HuggingFaceEncoder:
    return HuggingFaceEncoder((folder / "large" / "tokenizer.json").read_text(), "<|endoftext|>")


def test_entries_put_together_are_the_text(folder: Path) -> None:
    vocabulary = read_vocabulary(folder / "large")
    assert [entry.id for entry in vocabulary] == list(range(1500))
    assert [entry.content for entry in vocabulary if entry.special] == [b"<|endoftext|>"]
    for text in [*prose()[:40], *HOSTILE]:
        found = tokens_of(encoder(folder), vocabulary, text)
        assert b"".join(entry.content for entry in found) == text.encode()


def test_health(folder: Path) -> None:
    found = health(folder / "large")
    assert (found.entries, found.special, found.missing_bytes) == (1500, 1, ())
    assert found.merges == 1500 - 257
    assert b"-" * 64 in {entry.content for entry in found.overlong} | {
        entry.content.strip() for entry in found.overlong
    }
    assert all(len(entry.content) > 32 for entry in found.overlong)
    half = {entry.content for entry in found.not_text}
    assert all(content.decode("utf-8", "ignore").encode() != content for content in half)
    assert found.unused is None
    counter = TokenCounter(encoder(folder))
    counter.add("hello world", "a")
    counter.finish()
    used = health(folder / "large", counter.used).unused
    assert used is not None
    ids = set(encoder(folder).encode_batch(["hello world"])[0].tolist())
    assert len(used) == 1499 - 256 - sum(number >= 256 for number in ids)


def test_entries_that_no_text_becomes(folder: Path, tmp_path: Path) -> None:
    assert health(folder / "large").unreachable == ()
    parsed = json.loads((folder / "large" / "tokenizer.json").read_text())
    # Without its merge an entry is never made; neither are those that are made of it.
    lost = parsed["model"]["merges"].pop(200)
    (tmp_path / "tokenizer.json").write_text(json.dumps(parsed))
    found = health(tmp_path).unreachable
    assert found is not None
    assert parsed["model"]["vocab"]["".join(lost)] in [entry.id for entry in found]
    texts = [*prose(), LONG * 3]
    counter = TokenCounter(HuggingFaceEncoder(json.dumps(parsed), "<|endoftext|>"))
    for text in texts:
        counter.add(text, "")
    counter.finish()
    assert not any(counter.used[entry.id] for entry in found)
    # As a whole piece it can be looked up, where the tokenizer does so.
    parsed["model"]["ignore_merges"] = True
    (tmp_path / "tokenizer.json").write_text(json.dumps(parsed))
    assert len(health(tmp_path).unreachable or ()) < len(found)


@pytest.mark.parametrize("kind", ["bpe", "unigram"])
def test_a_sentencepiece_model_is_looked_at(
    kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("sentencepiece")
    from textmill.tokenizer.sentencepiece_training import train_sentencepiece

    path = tmp_path / "own.model"
    path.write_bytes(train_sentencepiece(prose(), kind=kind, vocab_size=900))
    found = health(path)
    assert (found.entries, found.special, found.missing_bytes, found.unreachable) == (900, 3, (), ())
    assert found.slow == "it is a SentencePiece model"
    vocabulary = read_vocabulary(path)
    assert {b" the", b"\n", b"\xff"} <= {entry.content for entry in vocabulary}
    tokens = tokens_of(load_encoder(path), vocabulary, "the 中文\n")
    assert b"".join(entry.content for entry in tokens) == " the 中文\n".encode()
    (tmp_path / "text.txt").write_text("She returned the book to the library before it closed.\n" * 9)
    text = str(tmp_path / "text.txt")
    assert main(["tokenizer", "inspect", str(path), "--input", text, "--text", "return"]) == 0
    assert f"SentencePiece {kind}" in capsys.readouterr().out
    assert main(["tokenizer", "count", text, "--tokenizer", str(path), "--languages", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["languages"].keys() == {"en"}
    assert main(["tokenizer", "export", str(path), "--output", str(tmp_path / "x")]) == 2
    assert "cannot express" in capsys.readouterr().err


def test_a_rank_file_without_an_end_token_can_be_looked_at(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ranks = str(tmp_path / "own.tiktoken")
    assert main(["tokenizer", "export", str(folder / "large"), "--output", ranks]) == 0
    assert main(["tokenizer", "inspect", ranks, "--text", "hello"]) == 2
    assert "--pattern" in capsys.readouterr().err
    both = ["--pattern", "cl100k"]
    assert main(["tokenizer", "inspect", ranks, "--text", "hello", *both]) == 0
    assert "end of text none" in capsys.readouterr().out
    text = str(folder / "texts.jsonl")
    assert main(["tokenizer", "compare", str(folder / "large"), ranks, "--input", text, *both]) == 0
    assert "1,499 entries of" in capsys.readouterr().out
    assert main(["tokenizer", "inspect", ranks, "--html", str(tmp_path / "x.html"), *both]) == 2


def test_the_page_escapes(folder: Path) -> None:
    tokens = tokens_of(encoder(folder), read_vocabulary(folder / "large"), "<script>\n\x00")
    page = as_html(tokens, "a & b")
    assert "<script>" not in page
    assert "a &amp; b" in page


def test_counts_add_up(folder: Path) -> None:
    counter = TokenCounter(encoder(folder))
    texts = [*prose(), *HOSTILE]
    for number, text in enumerate(texts):
        counter.add(text, f"file {number % 3}", "en" if number % 2 else None)
    counter.finish()
    ids, _ = encoder(folder).encode_batch(texts)
    assert counter.total.tokens == len(ids) == counter.used.sum()
    assert np.array_equal(counter.used, np.bincount(ids, minlength=1500))
    for part in ("documents", "text_bytes", "words", "tokens"):
        whole = getattr(counter.total, part)
        assert whole == sum(getattr(tally, part) for tally in counter.files.values())
    assert counter.languages["en"].documents == len(texts) // 2


def test_the_commands(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "page.html"
    assert main(["tokenizer", "inspect", str(folder / "large"), "--text", "The string\n", "--html", str(page),
                 "--input", str(folder / "other.txt")]) == 0  # fmt: skip
    out = capsys.readouterr().out
    assert "end of text <|endoftext|> (1499)" in out
    assert "unused" in out
    assert "\\n" in out
    assert "<span" in page.read_text()

    both = [str(folder / "texts.jsonl"), str(folder / "other.txt")]
    assert main(["tokenizer", "count", *both, "--tokenizer", str(folder / "large"), "--json"]) == 0
    counted = json.loads(capsys.readouterr().out)
    assert counted["languages"]["zh"]["documents"] == 1
    assert counted["total"]["tokens"] == sum(part["tokens"] for part in counted["files"].values())
    assert main(["tokenizer", "count", *both, "--tokenizer", str(folder / "large")]) == 0
    assert f"tokens      {counted['total']['tokens']:,}" in capsys.readouterr().out

    assert (
        main(["tokenizer", "compare", str(folder / "small"), str(folder / "large"), "--input", both[0]]) == 0
    )
    out = capsys.readouterr().out
    assert "zh" in out
    assert "+0.0%" in out
    assert main(["tokenizer", "compare", str(folder / "small"), "--input", both[0]]) == 2

    assert (
        main(["tokenizer", "export", str(folder / "large"), "--output", str(tmp_path / "own.tiktoken")]) == 0
    )
    assert len((tmp_path / "own.tiktoken").read_bytes().splitlines()) == 1499
