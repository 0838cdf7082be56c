import hashlib
import json
import os
import subprocess
import sys
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.stage_context import LocalStageContext, tree_digests
from tests.tokenizer.corpus import HOSTILE, prose, write_corpus
from tokenizers import Tokenizer

from textmill.errors import UserError
from textmill.steps.stage import StageResult
from textmill.tokenizer import sentencepiece_encode
from textmill.tokenizer.encode import EncodingError, HuggingFaceEncoder
from textmill.tokenizer.load import load_encoder
from textmill.tokenizer.sentencepiece_encode import SentencePieceEncoder
from textmill.tokenizer.sentencepiece_model import SCORE_STEPS, read_model, tokenizer_json
from textmill.tokenizer.sentencepiece_training import train_sentencepiece
from textmill.tokenizer.settings import TokenizerSection

sentencepiece = pytest.importorskip("sentencepiece")

KINDS = ("bpe", "unigram")
SPELLED = "one </s> two <s><unk> <|im_start|>user <0x41>"
TEXTS = st.one_of(
    st.sampled_from([*HOSTILE, SPELLED]),
    st.text(st.sampled_from("aab  \né中▁<s>/0x41"), max_size=60),
    st.text(st.characters(codec="utf-8"), max_size=60),
)


@cache
def model(kind: str) -> bytes:
    return train_sentencepiece(prose() + HOSTILE, kind=kind, vocab_size=1200, special_tokens=["<|im_start|>"])


@cache
def encoder(kind: str) -> SentencePieceEncoder:
    return SentencePieceEncoder(model(kind))


@cache
def library(kind: str) -> "sentencepiece.SentencePieceProcessor":
    return sentencepiece.SentencePieceProcessor(model_proto=model(kind))


@cache
def converted(kind: str) -> HuggingFaceEncoder:
    return HuggingFaceEncoder(tokenizer_json(model(kind)), "</s>")


def run_training(root: Path, kind: str, shards: int = 3, **training: object) -> StageResult:
    documents = write_corpus(root, prose(), shards)
    context = LocalStageContext(root, {"documents": documents})
    section = {"train": {"vocab_size": 1200, "kind": f"sentencepiece-{kind}", **training}}
    return TokenizerSection.model_validate(section).run(context)


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_learned(kind: str) -> None:
    found = read_model(model(kind))
    names = [piece.text for piece in found.pieces]
    assert names[:4] == ["<unk>", "<s>", "</s>", "<|im_start|>"]
    assert [piece.content for piece in found.pieces[4:260]] == [bytes([byte]) for byte in range(256)]
    assert (found.kind, found.byte_fallback, found.charsmap, found.strip_spaces) == (kind, True, b"", False)
    assert len(names) == len(set(names)) == library(kind).get_piece_size() == 1200
    assert names == [library(kind).id_to_piece(number) for number in range(1200)]
    assert [piece.score for piece in found.pieces] == [library(kind).get_score(i) for i in range(1200)]
    if kind == "unigram":
        assert all((piece.score * SCORE_STEPS).is_integer() for piece in found.pieces)


@pytest.mark.parametrize("kind", KINDS)
@given(text=TEXTS)
def test_ids_are_the_librarys_and_come_back_as_the_text(kind: str, text: str) -> None:
    ids, _ = encoder(kind).encode_batch([text])
    assert ids.tolist() == library(kind).encode(text)
    assert encoder(kind).decode(ids) == text.replace("▁", " ")
    assert encoder(kind).eos_id == 2
    # <unk> is no special token that a text could steer a model with, and bytes stand for what is rare.
    assert not np.isin(ids, [0, 1, 2, 3]).any()


@pytest.mark.parametrize("kind", KINDS)
@given(text=TEXTS)
def test_tokenizer_json_gives_the_same_ids(kind: str, text: str) -> None:
    assert converted(kind).encode_batch([text])[0].tolist() == library(kind).encode(text)


@pytest.mark.parametrize("kind", KINDS)
def test_tokenizer_json_gives_the_same_ids_on_whole_texts(kind: str) -> None:
    for text in prose():
        ids = encoder(kind).encode_batch([text])[0]
        assert converted(kind).encode_batch([text])[0].tolist() == ids.tolist()
        assert converted(kind).decode(ids) == text


def test_batches_and_utf8_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [*prose()[:30], *HOSTILE]
    expected = [library("bpe").encode(text) for text in texts]
    monkeypatch.setattr(sentencepiece_encode, "CHARACTERS_PER_CALL", 500)
    ids, offsets = encoder("bpe").encode_batch(texts)
    assert [ids[a:b].tolist() for a, b in pairwise(offsets)] == expected
    raw = [text.encode() for text in texts]
    borders = np.cumsum([0, *map(len, raw)], dtype=np.int64)
    again, same = encoder("bpe").encode_utf8(np.frombuffer(b"".join(raw), np.uint8), borders)
    assert again.tolist() == ids.tolist()
    assert same.tolist() == offsets.tolist()
    with pytest.raises(EncodingError, match="surrogate"):
        encoder("bpe").encode_batch(["fine", "\ud800"])
    with pytest.raises(EncodingError, match="no UTF-8"):
        encoder("bpe").encode_utf8(np.array([0xC3, 0x28], np.uint8), np.array([0, 2], np.int64))
    assert encoder("bpe").decode([*expected[0], 2, *expected[1]]) == f"{texts[0]}</s>{texts[1]}"


SCRIPT = """
import hashlib, sys
from tests.tokenizer.corpus import prose
from textmill.tokenizer.sentencepiece_training import train_sentencepiece
for kind in ("bpe", "unigram"):
    print(hashlib.sha256(train_sentencepiece(prose(), kind=kind, vocab_size=900)).hexdigest())
"""


def test_the_same_bytes_on_any_number_of_cores() -> None:
    digests = set()
    for cores in ({0}, os.sched_getaffinity(0)):
        done = subprocess.run(
            [sys.executable, "-c", f"import os; os.sched_setaffinity(0, {cores})\n{SCRIPT}"],
            cwd=Path(__file__).parents[2], capture_output=True, text=True, check=True,
            env=os.environ | {"PYTHONHASHSEED": str(len(digests))},
        )  # fmt: skip
        digests.add(done.stdout)
    assert len(digests) == 1
    assert len(digests.pop().split()) == 2


@pytest.mark.parametrize("kind", KINDS)
def test_the_folder_of_a_run(kind: str, tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    result = run_training(tmp_path / "run", kind)
    folder = tmp_path / "run" / "tokenizer"
    assert [Path(path).name for path in result.outputs] == [
        "special_tokens_map.json", "tokenizer.json", "tokenizer.model", "tokenizer_config.json"
    ]  # fmt: skip
    assert (result.numbers["vocab_size"], result.numbers["eos_id"], result.numbers["kind"]) == (
        1200, 2, f"sentencepiece-{kind}"
    )  # fmt: skip
    ours = load_encoder(folder)
    assert isinstance(ours, SentencePieceEncoder)
    theirs = AutoTokenizer.from_pretrained(folder)
    assert (theirs.eos_token_id, theirs.bos_token, len(theirs)) == (2, "<s>", 1200)
    for text in [*prose()[:40], "hello world", " two  spaces "]:
        ids = ours.encode_batch([text])[0].tolist()
        assert ids == library_of(folder).encode(text)
        assert ids == theirs(text, add_special_tokens=False)["input_ids"]
        assert theirs.decode(ids) == text
    # A folder without the companions: the model says itself which symbol ends a text.
    for name in ("tokenizer_config.json", "special_tokens_map.json", "tokenizer.json"):
        (folder / name).unlink()
    assert load_encoder(folder).eos_token == "</s>"
    assert load_encoder(folder / "tokenizer.model").encode_batch(["hello"])[0].tolist() == (
        ours.encode_batch(["hello"])[0].tolist()
    )


def library_of(folder: Path) -> "sentencepiece.SentencePieceProcessor":
    return sentencepiece.SentencePieceProcessor(model_file=str(folder / "tokenizer.model"))


def test_shards_do_not_change_a_byte(tmp_path: Path) -> None:
    run_training(tmp_path / "one", "bpe", shards=1)
    run_training(tmp_path / "five", "bpe", shards=5)
    assert tree_digests(tmp_path / "one" / "tokenizer") == tree_digests(tmp_path / "five" / "tokenizer")


@pytest.mark.parametrize("kind", KINDS)
def test_little_text_gives_a_smaller_vocabulary(kind: str) -> None:
    found = read_model(train_sentencepiece(["one text", "another text"], kind=kind, vocab_size=5000))
    assert 260 < len(found.pieces) < 320


def test_more_characters_than_entries_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be trained") as caught:
        run_training(tmp_path / "run", "bpe", vocab_size=270)
    assert "raise it, or lower character_coverage" in str(caught.value)


def test_long_lines_are_not_left_out() -> None:
    line = "wordword " * 3000 + "日本語" * 4000
    found = read_model(train_sentencepiece([line], kind="bpe", vocab_size=400, character_coverage=1.0))
    assert {"▁wordword", "日本語"} <= {piece.text for piece in found.pieces}


@pytest.mark.parametrize("damage", ["cut", "empty", "text", "noise"])
def test_a_damaged_model_is_a_clear_error(damage: str, tmp_path: Path) -> None:
    content = {
        "cut": model("bpe")[:5000] + b"\x0a",
        "empty": b"",
        "text": b"this is a poem\n" * 50,
        "noise": bytes(range(256)) * 20,
    }[damage]
    path = tmp_path / "tokenizer.model"
    path.write_bytes(content)
    with pytest.raises(UserError, match="cannot be used") as caught:
        load_encoder(path)
    assert caught.value.where == str(path)
    assert caught.value.expected
    assert caught.value.found


@given(place=st.integers(0, 20000), byte=st.integers(0, 255))
def test_a_changed_byte_never_ends_in_a_traceback(place: int, byte: int) -> None:
    content = bytearray(model("bpe"))
    content[place % len(content)] = byte
    try:
        read_model(bytes(content))
    except ValueError:
        return


def test_a_model_without_an_end_symbol_needs_one_named(tmp_path: Path) -> None:
    import io

    written = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(prose()[1:]), model_writer=written, vocab_size=400, eos_id=-1, bos_id=-1,
        byte_fallback=True, character_coverage=0.99, control_symbols=["<eod>"], minloglevel=2,
    )  # fmt: skip
    path = tmp_path / "own.model"
    path.write_bytes(written.getvalue())
    with pytest.raises(UserError, match="which token ends a text"):
        load_encoder(path)
    with pytest.raises(UserError, match="cannot be used"):
        load_encoder(path, "</s>")
    found = load_encoder(path, "<eod>")
    assert (found.eos_token, found.vocab_size) == ("<eod>", 400)
    assert load_encoder(path, needs_eos=False).eos_id == -1


def test_a_model_that_normalises_is_converted_with_its_rules() -> None:
    import io

    written = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(prose()[1:]), model_writer=written, vocab_size=600, model_type="bpe",
        byte_fallback=True, normalization_rule_name="nmt_nfkc", minloglevel=2,
    )  # fmt: skip
    theirs = sentencepiece.SentencePieceProcessor(model_proto=written.getvalue())
    ours = Tokenizer.from_str(tokenizer_json(written.getvalue()))
    for text in ["ﬁne  ①  text ", " a　b ", "plain words", *prose()[1:20]]:
        assert ours.encode(text, add_special_tokens=False).ids == theirs.encode(text)


def test_taken_over_and_written_down(tmp_path: Path) -> None:
    (tmp_path / "spm.model").write_bytes(model("unigram"))
    root = tmp_path / "run"
    context = LocalStageContext(root, {"documents": write_corpus(root, prose()[:5], 1)})
    result = TokenizerSection(use=str(tmp_path / "spm.model")).run(context)
    assert (root / "tokenizer" / "tokenizer.model").read_bytes() == model("unigram")
    assert json.loads((root / "tokenizer" / "tokenizer.json").read_text())["model"]["type"] == "Unigram"
    assert result.numbers["eos_token"] == "</s>"
    assert any("own library" in line for line in context.said)
    digest = hashlib.sha256(load_encoder(root / "tokenizer").encode_batch(prose())[0].tobytes()).digest()
    assert digest == hashlib.sha256(encoder("unigram").encode_batch(prose())[0].tobytes()).digest()
