import json
import re
from pathlib import Path

import pytest
import tiktoken
from hypothesis import given
from hypothesis import strategies as st
from tests.stage_context import LocalStageContext
from tests.tokenizer.corpus import HOSTILE, prose, write_corpus

from textmill.errors import UserError
from textmill.steps.stage import StageResult
from textmill.tokenizer import hub
from textmill.tokenizer.fast.check import CheckedEncoder
from textmill.tokenizer.load import find_tokenizer, load_encoder, why_not_compiled
from textmill.tokenizer.patterns import PATTERNS
from textmill.tokenizer.settings import TokenizerSection
from textmill.tokenizer.tiktoken_file import (
    LLAMA3_RANKS,
    published,
    read_ranks,
    tiktoken_file,
    tiktoken_ranks,
    tokenizer_of_ranks,
)
from textmill.tokenizer.training import train_bpe

CONTENT = train_bpe(prose() + HOSTILE, vocab_size=900)
RANKS = tiktoken_ranks(json.loads(CONTENT))
# Tokens that no merges make, as LLaMA-3's file has: only whole pieces become them.
LOOSE = RANKS | {b" constructor9": 2000, b"\xe4\xb8\xad\xe6\x96\x87\xe6": 2001}
SPECIAL = {"<|endoftext|>": 5000, "<|fim|>": 5003}
CUT = tiktoken.Encoding("own", pat_str=PATTERNS["cl100k"], mergeable_ranks=LOOSE, special_tokens=SPECIAL)


def take_over(root: Path, **section: str) -> tuple[StageResult, LocalStageContext]:
    context = LocalStageContext(root, {"documents": write_corpus(root, prose()[:5], 1)})
    return TokenizerSection.model_validate(section).run(context), context


@pytest.mark.parametrize("compiled", [False, True])
def test_a_published_file_is_known_by_its_name(compiled: bool, tmp_path: Path) -> None:
    path = tmp_path / "cl100k_base.tiktoken"
    path.write_bytes(tiktoken_file(json.loads(CONTENT)))
    encoder = load_encoder(path, compiled=compiled)
    assert isinstance(encoder, CheckedEncoder) == compiled
    assert (encoder.eos_token, encoder.eos_id, encoder.vocab_size) == ("<|endoftext|>", 100257, 100277)
    theirs = tiktoken.Encoding("x", pat_str=PATTERNS["cl100k"], mergeable_ranks=RANKS, special_tokens={})
    for text in [*prose(), *HOSTILE]:
        assert encoder.encode_batch([text])[0].tolist() == theirs.encode_ordinary(text)
    if compiled:
        assert encoder.fell_back is None


@given(text=st.one_of(st.text(st.characters(codec="utf-8")), st.sampled_from(HOSTILE),
                      st.text(st.sampled_from("the <|endoftext|>中文é 19 constructor"))))  # fmt: skip
def test_ids_are_tiktokens_with_gaps_and_loose_tokens_too(text: str) -> None:
    assert ENCODER.encode_batch([text])[0].tolist() == CUT.encode_ordinary(text)


def encoder_of_ranks() -> object:
    from textmill.tokenizer.encode import HuggingFaceEncoder

    return HuggingFaceEncoder(tokenizer_of_ranks(LOOSE, "cl100k", SPECIAL), "<|endoftext|>")


ENCODER = encoder_of_ranks()


def test_a_file_of_another_name_wants_pattern_and_end_token(tmp_path: Path) -> None:
    path = tmp_path / "ours.tiktoken"
    path.write_bytes(tiktoken_file(json.loads(CONTENT)))
    with pytest.raises(UserError, match="how texts are cut") as caught:
        load_encoder(path)
    assert "--pattern" in str(caught.value)
    with pytest.raises(UserError, match="which token ends a text") as caught:
        load_encoder(path, pattern="cl100k")
    assert "eos_token" in str(caught.value)
    encoder = load_encoder(path, "<eod>", pattern="cl100k")
    assert (encoder.eos_id, encoder.vocab_size) == (len(RANKS), len(RANKS) + 1)


def test_a_rank_file_in_a_run(tmp_path: Path) -> None:
    path = tmp_path / "ours.tiktoken"
    path.write_bytes(tiktoken_file(json.loads(CONTENT)))
    result, context = take_over(tmp_path / "run", use=str(path), pattern="cl100k", eos_token="<eod>")
    assert result.numbers["eos_id"] == len(RANKS)
    assert not [line for line in context.said if "slower" in line]
    from transformers import AutoTokenizer

    folder = tmp_path / "run" / "tokenizer"
    theirs = AutoTokenizer.from_pretrained(folder)
    assert theirs.eos_token_id == len(RANKS)
    for text in prose()[:20]:
        assert load_encoder(folder).encode_batch([text])[0].tolist() == theirs(text)["input_ids"]
    # The rank file in the folder knows its pattern and special tokens from the configuration beside it.
    assert load_encoder(folder / "tokenizer.tiktoken").eos_id == len(RANKS)


def test_llama3s_file_is_known_by_its_size() -> None:
    ranks = {bytes([i]) if i < 256 else b"x%d" % i: i for i in range(LLAMA3_RANKS)}
    pattern, special = published("tokenizer.model", ranks)
    assert pattern == "cl100k"
    assert len(special) == 256
    assert sorted(special.values()) == list(range(LLAMA3_RANKS, LLAMA3_RANKS + 256))
    assert next(iter(special)) == "<|end_of_text|>"
    # https://github.com/meta-llama/llama3, and the added_tokens of the model's tokenizer.json
    known = {"<|begin_of_text|>": 0, "<|end_of_text|>": 1, "<|reserved_special_token_0|>": 2,
             "<|start_header_id|>": 6, "<|reserved_special_token_4|>": 8, "<|eot_id|>": 9,
             "<|reserved_special_token_5|>": 10, "<|reserved_special_token_250|>": 255}  # fmt: skip
    assert {token: special[token] - LLAMA3_RANKS for token in known} == known


@pytest.mark.parametrize(
    "damage, message",
    [
        (lambda raw: raw[: len(raw) // 9], "of 256 bytes have no rank|no token in base64"),
        (lambda raw: raw + b"!!! 7\n", "line 900 is no token"),
        (lambda raw: raw + b"QUJDRA== 5\n", "stands twice"),
        (lambda raw: raw.replace(b" 3\n", b" three\n", 1), "is no token"),
    ],
)
def test_damaged_rank_files(damage: object, message: str, tmp_path: Path) -> None:
    path = tmp_path / "cl100k_base.tiktoken"
    path.write_bytes(damage(tiktoken_file(json.loads(CONTENT))))  # type: ignore[operator]
    with pytest.raises(UserError, match="cannot be used") as caught:
        load_encoder(path)
    assert re.search(message, caught.value.found or "")
    assert caught.value.where == str(path)
    assert caught.value.hint


@pytest.mark.parametrize("content", ["", "{", "[1]", '{"model": {"type": "BPE"}}', '{"a": 1}', "nonsense"])
def test_damaged_json(content: str, tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text(content)
    (tmp_path / "tokenizer_config.json").write_text('{"eos_token": "</s>"}')
    with pytest.raises(UserError, match="cannot be used") as caught:
        load_encoder(tmp_path)
    assert caught.value.found


def test_read_ranks_reads_what_is_written() -> None:
    assert read_ranks(tiktoken_file(json.loads(CONTENT))) == RANKS


def gpt2_files(folder: Path) -> None:
    parsed = json.loads(train_bpe(prose(), vocab_size=700, pattern="gpt2"))
    vocabulary = parsed["model"]["vocab"] | {"<|endoftext|>": 699}
    folder.mkdir()
    (folder / "vocab.json").write_text(json.dumps(vocabulary))
    merges = "".join(f"{left} {right}\n" for left, right in parsed["model"]["merges"])
    (folder / "merges.txt").write_text("#version: 0.2\n" + merges)
    (folder / "special_tokens_map.json").write_text('{"eos_token": {"content": "<|endoftext|>"}}')


def test_gpt2s_two_files(tmp_path: Path) -> None:
    from transformers import GPT2Tokenizer

    gpt2_files(tmp_path / "old")
    encoder = load_encoder(tmp_path / "old")
    assert (encoder.eos_id, encoder.vocab_size, encoder.lossless) == (699, 700, True)
    assert why_not_compiled(find_tokenizer(tmp_path / "old")) is None
    theirs = GPT2Tokenizer.from_pretrained(tmp_path / "old")
    for text in prose()[:40]:
        assert encoder.encode_batch([text])[0].tolist() == theirs(text)["input_ids"]
    result, _ = take_over(tmp_path / "run", use=str(tmp_path / "old"))
    assert result.numbers["eos_id"] == 699
    assert load_encoder(tmp_path / "run" / "tokenizer").eos_id == 699


def test_an_end_token_that_is_not_there_lists_those_that_are(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text(train_bpe(prose(), vocab_size=400, special_tokens=["<|user|>"]))
    with pytest.raises(UserError, match="cannot be used") as caught:
        load_encoder(tmp_path, "</s>")
    assert "<|endoftext|>, <|user|>" in str(caught.value)
    with pytest.raises(UserError, match="which token ends a text") as caught:
        load_encoder(tmp_path)
    assert "<|endoftext|>, <|user|>" in str(caught.value)
    assert load_encoder(tmp_path, needs_eos=False).eos_id == -1


def test_another_kind_goes_through_its_library_and_says_so(tmp_path: Path) -> None:
    parsed = json.loads(CONTENT)
    parsed["normalizer"] = {"type": "NFC"}
    (tmp_path / "tokenizer.json").write_text(json.dumps(parsed))
    _, context = take_over(tmp_path / "run", use=str(tmp_path), eos_token="<|endoftext|>")
    assert any("own library, which is slower: the text is cut by another pattern" in x for x in context.said)


def test_a_name_on_the_hub_comes_from_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub

    (tmp_path / "tokenizer.json").write_text(CONTENT)
    (tmp_path / "tokenizer_config.json").write_text('{"eos_token": "<|endoftext|>"}')
    asked = []

    def cached(name: str, **options: object) -> str:
        asked.append((name, options["revision"], options.get("local_files_only", False)))
        return str(tmp_path)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", cached)
    result, _ = take_over(tmp_path / "run", use="hf://owner/name@v1")
    assert result.numbers["vocab_size"] == 900
    assert set(asked) == {("owner/name", "v1", True)}


def test_a_name_that_is_not_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import huggingface_hub
    from huggingface_hub.errors import LocalEntryNotFoundError

    def nothing(name: str, **options: object) -> str:
        if options.get("local_files_only"):
            raise LocalEntryNotFoundError("not cached")
        raise OSError("no route to host")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", nothing)
    with pytest.raises(UserError, match="cannot be fetched") as caught:
        hub.from_hub("owner/name")
    assert "no route to host" in str(caught.value)
    with pytest.raises(UserError, match="no tokenizer to use") as caught:
        load_encoder(tmp_path / "owner" / "name")
    assert "hf://owner/name" in str(caught.value)


def test_folders_without_a_tokenizer(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no tokenizer to use") as caught:
        load_encoder(tmp_path)
    assert "empty folder" in str(caught.value)
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(UserError, match="no tokenizer to use") as caught:
        load_encoder(tmp_path)
    assert "only config.json" in str(caught.value)
