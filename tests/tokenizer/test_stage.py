import json
from pathlib import Path

import pytest
from tests.stage_context import LocalStageContext, tree_digests
from tests.tokenizer.corpus import HOSTILE, prose, write_corpus

from textmill.errors import UserError
from textmill.steps.stage import StageResult
from textmill.tokenizer.load import load_encoder
from textmill.tokenizer.sampling import in_sample, sample_texts
from textmill.tokenizer.settings import TokenizerSection
from textmill.tokenizer.training import train_bpe


def run_training(root: Path, shards: int = 3, seed: int = 0, **training: object) -> StageResult:
    documents = write_corpus(root, prose() + HOSTILE, shards)
    context = LocalStageContext(root, {"documents": documents}, seed=seed)
    section = TokenizerSection.model_validate({"train": {"vocab_size": 800, **training}})
    return section.run(context)


def test_a_trained_tokenizer_in_its_folder(tmp_path: Path) -> None:
    result = run_training(tmp_path / "run")
    assert list(result.outputs) == [
        "tokenizer/special_tokens_map.json",
        "tokenizer/tokenizer.json",
        "tokenizer/tokenizer.tiktoken",
        "tokenizer/tokenizer_config.json",
    ]
    assert result.numbers["vocab_size"] == 800
    assert result.numbers["eos_id"] == 797
    assert 2 < result.numbers["bytes_per_token"] < 6
    encoder = load_encoder(tmp_path / "run" / "tokenizer")
    assert (encoder.vocab_size, encoder.eos_id, encoder.eos_token) == (800, 797, "<|endoftext|>")
    assert json.dumps(result.numbers)


def test_shards_do_not_change_a_byte(tmp_path: Path) -> None:
    run_training(tmp_path / "one", shards=1)
    run_training(tmp_path / "five", shards=5)
    assert tree_digests(tmp_path / "one" / "tokenizer") == tree_digests(tmp_path / "five" / "tokenizer")


def test_transformers_loads_the_folder_and_agrees(tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    run_training(tmp_path / "run", special_tokens=["<|user|>"])
    folder = tmp_path / "run" / "tokenizer"
    theirs = AutoTokenizer.from_pretrained(folder)
    ours = load_encoder(folder)
    assert (len(theirs), theirs.eos_token, theirs.eos_token_id) == (800, "<|endoftext|>", 796)
    assert theirs.convert_tokens_to_ids("<|user|>") == 799
    assert "<|user|>" in theirs.all_special_tokens
    for text in prose()[:20] + [text for text in HOSTILE if "<|" not in text] + ["a . b , c ' s"]:
        ids = theirs(text)["input_ids"]
        assert ids == ours.encode_batch([text])[0].tolist()
        assert theirs.decode(ids) == text


def test_a_large_corpus_is_sampled_by_id_and_said_so(tmp_path: Path) -> None:
    documents = write_corpus(tmp_path / "run", [text for text in prose() if len(text) < 5000], 4)
    context = LocalStageContext(tmp_path / "run", {"documents": documents})
    section = TokenizerSection.model_validate({"train": {"vocab_size": 400, "sample_bytes": 30_000}})
    result = section.run(context)
    assert 15_000 < result.numbers["trained_on_bytes"] <= 30_000
    assert any("sample by document id" in line for line in context.said)


def test_the_sample_depends_on_ids_and_seed_alone(tmp_path: Path) -> None:
    texts = [f"{i} " + "x" * 100 for i in range(2000)]

    def sample(folder: str, shards: int, seed: int) -> list[str]:
        result = write_corpus(tmp_path / folder, texts, shards)
        paths = [tmp_path / folder / path for path in result.outputs]
        size = int(result.numbers["text_bytes"])
        return list(sample_texts(paths, sample_bytes=size // 4, corpus_bytes=size, seed=seed))

    one = sample("one", 1, 7)
    assert one == sample("six", 6, 7)
    assert one != sample("one", 1, 8)
    assert 400 < len(one) < 600
    assert sum(map(len, one)) <= sum(map(len, texts)) // 4


def test_half_of_the_ids_are_in_half_of_the_sample() -> None:
    ids = [i.to_bytes(16, "big") for i in range(4000)]
    assert 1800 < sum(in_sample(identifier, -3, 2**63) for identifier in ids) < 2200
    assert all(in_sample(identifier, 0, 2**64) for identifier in ids)
    assert not any(in_sample(identifier, 0, 0) for identifier in ids)


def test_a_small_text_says_why_the_vocabulary_is_smaller(tmp_path: Path) -> None:
    documents = write_corpus(tmp_path / "run", ["one text", "another text"], 1)
    context = LocalStageContext(tmp_path / "run", {"documents": documents})
    result = TokenizerSection.model_validate({"train": {"vocab_size": 5000}}).run(context)
    assert 259 <= result.numbers["vocab_size"] < 300
    assert result.numbers["eos_id"] == result.numbers["vocab_size"] - 3
    assert any("not 5,000" in line for line in context.said)


def test_no_text_is_a_clear_error(tmp_path: Path) -> None:
    documents = write_corpus(tmp_path / "run", [], 1)
    context = LocalStageContext(tmp_path / "run", {"documents": documents})
    with pytest.raises(UserError, match="no text to train"):
        TokenizerSection.model_validate({"train": {"vocab_size": 300}}).run(context)
    assert context.published("tokenizer") == []


def take_over(tmp_path: Path, **section: str) -> tuple[StageResult, Path]:
    root = tmp_path / "run"
    documents = write_corpus(root, prose()[:5], 1)
    context = LocalStageContext(root, {"documents": documents})
    return TokenizerSection(use=str(tmp_path / "given"), **section).run(context), root / "tokenizer"


def test_a_tokenizer_in_use_is_taken_over_byte_by_byte(tmp_path: Path) -> None:
    run_training(tmp_path / "first")
    (tmp_path / "first" / "tokenizer").rename(tmp_path / "given")
    (tmp_path / "given" / "chat_template.jinja").write_text("{{ messages }}")
    result, folder = take_over(tmp_path)
    assert tree_digests(folder) == tree_digests(tmp_path / "given")
    assert result.numbers["vocab_size"] == 800
    assert len(result.outputs) == 5


def test_a_bare_tokenizer_needs_the_end_token_named(tmp_path: Path) -> None:
    (tmp_path / "given").mkdir()
    content = train_bpe(prose(), vocab_size=400, eos_token="</s>")
    (tmp_path / "given" / "tokenizer.json").write_text(content)
    with pytest.raises(UserError, match="which token ends a text"):
        take_over(tmp_path)
    with pytest.raises(UserError, match="cannot be used"):
        take_over(tmp_path, eos_token="<eot>")
    result, folder = take_over(tmp_path, eos_token="</s>")
    assert result.numbers["eos_token"] == "</s>"
    assert load_encoder(folder).eos_id == 399
    from transformers import AutoTokenizer

    assert AutoTokenizer.from_pretrained(folder).eos_token_id == 399


def test_a_damaged_tokenizer_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "given").mkdir()
    (tmp_path / "given" / "tokenizer.json").write_text('{"version": "1.0"}')
    (tmp_path / "given" / "tokenizer_config.json").write_text('{"eos_token": {"content": "</s>"}}')
    with pytest.raises(UserError, match="cannot be used"):
        take_over(tmp_path)
    (tmp_path / "given" / "tokenizer_config.json").write_text("[")
    with pytest.raises(UserError, match="no JSON"):
        take_over(tmp_path)


def test_an_earlier_attempts_files_do_not_stay(tmp_path: Path) -> None:
    root = tmp_path / "run"
    (root / "tokenizer").mkdir(parents=True)
    (root / "tokenizer" / "chat_template.jinja").write_text("old")
    run_training(root)
    assert len(list((root / "tokenizer").iterdir())) == 4
