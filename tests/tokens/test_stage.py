import json
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError
from tests.stage_context import Killed, LocalStageContext, tree_digests
from tests.tokens.mill import VOCABULARY, document_paths, mill, prepare, section, texts

from textmill.documents import read_batches
from textmill.errors import ConservationError, UserError
from textmill.steps.stage import StageResult
from textmill.tokenizer.load import load_encoder
from textmill.tokens import build, stage
from textmill.tokens.build import encode_shard, token_dtype
from textmill.tokens.dataset import TokenSet
from textmill.tokens.split import SplitRule
from textmill.tokens.verify import verify_tokens


def test_the_folder_holds_what_the_index_says(tmp_path: Path) -> None:
    root = tmp_path / "run"
    result = mill(root)
    index = json.loads((root / "tokens" / "index.json").read_text())
    assert {name: index[name] for name in result.numbers if name != "splits"} == {
        name: value for name, value in result.numbers.items() if name != "splits"
    }
    for name, numbers in result.numbers["splits"].items():
        files = index["splits"][name].pop("files")
        assert index["splits"][name] == numbers
        assert sum(np.load(root / "tokens" / file["path"]).size for file in files) == numbers["tokens"]
        assert numbers["samples"] == numbers["tokens"] // 64
        assert numbers["shards"] == len(files)
    assert list(result.numbers["splits"]) == ["train", "validation", "test"]
    assert result.numbers["dtype"] == "uint16"
    assert (result.numbers["vocab_size"], result.numbers["eos_id"]) == (VOCABULARY, VOCABULARY - 1)
    assert sorted(result.outputs) == sorted(f"tokens/{path}" for path in tree_digests(root / "tokens"))
    encoder = load_encoder(root / "tokenizer")
    assert verify_tokens(root / "tokens", documents=document_paths(root), encoder=encoder) == []


def test_tokens_are_those_of_a_loop_written_by_hand(tmp_path: Path) -> None:
    root = tmp_path / "run"
    mill(root)
    encoder = load_encoder(root / "tokenizer")
    rule = SplitRule(0, 0.2, 0.1)
    expected: dict[str, list[int]] = {"train": [], "validation": [], "test": []}
    text_bytes = dict.fromkeys(expected, 0)
    for path in document_paths(root):
        for batch in read_batches(path):
            for identifier, text in zip(batch.ids, batch.texts, strict=True):
                split = rule.of(identifier)
                expected[split] += [*encoder.encode_batch([text])[0].tolist(), encoder.eos_id]
                text_bytes[split] += len(text.encode())
    assert min(map(len, expected.values())) > 100
    for split, tokens in expected.items():
        tokens_of_split = TokenSet(root / "tokens", split)
        assert tokens_of_split.read(0, tokens_of_split.tokens).tolist() == tokens
        assert tokens_of_split.text_bytes == text_bytes[split]


def test_the_order_in_which_tasks_finish_changes_nothing(tmp_path: Path) -> None:
    results = []
    for name, finish in (("one", "forward"), ("two", "backward")):
        root = tmp_path / name
        results.append(section().run(LocalStageContext(root, prepare(root), finish=finish)))
    assert results[0] == results[1]
    assert tree_digests(tmp_path / "one") == tree_digests(tmp_path / "two")


class Parallel(LocalStageContext):
    workers = 1

    def map(self, function: str, items: Any) -> Any:
        assert function == "textmill.tokens.build:encode_shard"
        spawn = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(self.workers, mp_context=spawn) as pool:
            yield from enumerate(pool.map(encode_quietly, items))


def encode_quietly(item: Any) -> Any:
    return encode_shard(item, lambda **numbers: None)


def test_one_two_and_three_processes_give_the_same_bytes(tmp_path: Path) -> None:
    digests = []
    for workers in (1, 2, 3):
        root = tmp_path / str(workers)
        context = Parallel(root, prepare(root))
        context.workers = workers
        section().run(context)
        digests.append(tree_digests(root))
    assert digests[0] == digests[1] == digests[2]


@pytest.mark.parametrize("kill_after", range(0, 30, 3))
def test_a_killed_run_continues_to_the_same_bytes(tmp_path: Path, kill_after: int) -> None:
    expected_root, root = tmp_path / "straight", tmp_path / "killed"
    expected = section().run(LocalStageContext(expected_root, prepare(expected_root)))
    upstream = prepare(root)
    first = LocalStageContext(root, upstream, kill_after=kill_after)
    with pytest.raises(Killed):
        section().run(first)
    records = [path for path in first.published("tokens") if "/records/" in path]
    second = LocalStageContext(root, upstream)
    assert section().run(second) == expected
    assert tree_digests(root) == tree_digests(expected_root)
    assert len(second.mapped) == 4 - len(records)


def test_finished_shards_are_encoded_again_only_when_something_changed(tmp_path: Path) -> None:
    root = tmp_path / "run"
    upstream = prepare(root)

    def encoded_again(seed: int = 0, **settings: object) -> int:
        context = LocalStageContext(root, upstream, seed=seed)
        result = section(**settings).run(context)
        assert sorted(result.outputs) == context.published("tokens")
        assert verify_tokens(root / "tokens", documents=document_paths(root)) == []
        return len(context.mapped)

    assert encoded_again() == 4
    assert encoded_again() == 0
    assert encoded_again(seq_len=32) == 0
    assert encoded_again(split={"validation": 0.3}) == 4
    assert encoded_again(split={"validation": 0.3}, seed=5) == 4
    tokenizer = root / "tokenizer" / "tokenizer.json"
    tokenizer.write_text(tokenizer.read_text() + "\n")
    assert encoded_again(split={"validation": 0.3}, seed=5) == 4
    next((root / "tokens" / "train").glob("000002-*.npy")).unlink()
    assert encoded_again(split={"validation": 0.3}, seed=5) == 1
    changed = document_paths(root)[1]
    other = changed.with_name("000001-0123456789abcdef.parquet")
    changed.rename(other)
    outputs = [str(path.relative_to(root)) for path in document_paths(root)]
    upstream["documents"] = StageResult(outputs, upstream["documents"].numbers)
    assert encoded_again(split={"validation": 0.3}, seed=5) == 1


def test_compiled_kernels_give_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    results = []
    for name in ("library", "compiled"):
        root = tmp_path / name
        context = LocalStageContext(root, prepare(root))
        results.append(section().run(context))
        assert {item["compiled"] for item in context.mapped} == {name == "compiled"}
        assert context.said == []
        monkeypatch.setattr(stage, "COMPILED_FROM_BYTES", 1)
    assert results[0] == results[1]
    assert tree_digests(tmp_path / "library") == tree_digests(tmp_path / "compiled")


def test_kernels_that_err_are_found_out_and_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from textmill.tokenizer.fast.encoder import FastEncoder

    expected_root, root = tmp_path / "library", tmp_path / "wrong"
    expected = section().run(LocalStageContext(expected_root, prepare(expected_root)))
    inner = FastEncoder._encode

    def wrong(self: Any, data: Any, offsets: Any) -> Any:
        ids, borders = inner(self, data, offsets)
        ids[len(ids) // 2 :] = 7
        return ids, borders

    monkeypatch.setattr(FastEncoder, "_encode", wrong)
    monkeypatch.setattr(stage, "COMPILED_FROM_BYTES", 1)
    build.open_encoder.cache_clear()
    context = LocalStageContext(root, prepare(root))
    assert section().run(context) == expected
    build.open_encoder.cache_clear()
    assert tree_digests(root) == tree_digests(expected_root)
    assert [line for line in context.said if "by the tokenizers library" in line] == context.said[:1]


def test_families_stay_together(tmp_path: Path) -> None:
    root = tmp_path / "run"
    result = mill(root, families=7)
    assert verify_tokens(root / "tokens", documents=document_paths(root)) == []
    documents = [split["documents"] for split in result.numbers["splits"].values()]
    assert sum(documents) == len(texts())


def test_a_document_that_cannot_be_encoded_is_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from textmill.tokenizer.encode import EncodingError, HuggingFaceEncoder

    inner = HuggingFaceEncoder.encode_batch

    def picky(self: Any, batch: Any) -> Any:
        if any("JSONDecodeError" in text for text in batch):
            raise EncodingError("a word that this test does not like")
        return inner(self, batch)

    monkeypatch.setattr(HuggingFaceEncoder, "encode_batch", picky)
    root = tmp_path / "run"
    upstream = prepare(root)
    context = LocalStageContext(root, upstream)
    result = section().run(context)
    bad = sum("JSONDecodeError" in text for text in texts())
    assert bad > 3
    assert result.numbers["failed"] == bad
    assert sum(split["documents"] for split in result.numbers["splits"].values()) == len(texts()) - bad
    assert any(f"{bad} documents could not be encoded" in line for line in context.said)
    import pyarrow.parquet as pq

    reasons = [
        row["reason"]
        for path in result.outputs
        if path.startswith("tokens/failed/")
        for row in pq.read_table(root / path).to_pylist()
    ]
    assert reasons == ["a word that this test does not like"] * bad
    assert verify_tokens(root / "tokens", documents=document_paths(root)) == []


def test_a_lost_document_stops_the_run(tmp_path: Path) -> None:
    root = tmp_path / "run"
    upstream = prepare(root)
    numbers = {**upstream["documents"].numbers, "documents": len(texts()) + 1}
    upstream["documents"] = StageResult(upstream["documents"].outputs, numbers)
    with pytest.raises(ConservationError, match="came in"):
        section().run(LocalStageContext(root, upstream))


def test_nothing_to_train_on_is_a_clear_error(tmp_path: Path) -> None:
    root = tmp_path / "run"
    upstream = prepare(root)
    empty = StageResult([], {"documents": 0, "characters": 0, "text_bytes": 0})
    with pytest.raises(UserError, match="no tokens to train on"):
        section().run(LocalStageContext(root, {**upstream, "documents": empty}))


def test_too_little_for_one_sample_is_said(tmp_path: Path) -> None:
    root = tmp_path / "run"
    context = LocalStageContext(root, prepare(root, corpus=["a few words"], shards=1))
    result = section(split={"validation": 0.0}).run(context)
    assert result.numbers["splits"]["train"]["samples"] == 0
    assert any("not one sample" in line for line in context.said)


def test_the_dtype_follows_the_vocabulary() -> None:
    assert token_dtype(257) == token_dtype(65_536) == "uint16"
    assert token_dtype(65_537) == token_dtype(2**32) == "uint32"
    with pytest.raises(ValueError):
        token_dtype(2**32 + 1)


def test_a_large_vocabulary_makes_32_bit_tokens(tmp_path: Path) -> None:
    root = tmp_path / "run"
    upstream = prepare(root)
    path = root / "tokenizer" / "tokenizer.json"
    parsed = json.loads(path.read_text())
    parsed["model"]["vocab"] |= {f"filler {i}": i for i in range(VOCABULARY, 70_000)}
    path.write_text(json.dumps(parsed))
    result = section().run(LocalStageContext(root, upstream))
    assert result.numbers["dtype"] == "uint32"
    assert result.numbers["vocab_size"] == 70_000
    tokens = TokenSet(root / "tokens", "train")
    assert tokens[0].dtype == np.uint32
    encoder = load_encoder(root / "tokenizer")
    assert verify_tokens(root / "tokens", documents=document_paths(root), encoder=encoder) == []


def item(root: Path, **changes: Any) -> dict[str, Any]:
    (root / "scratch").mkdir(exist_ok=True)
    return {
        "documents": str(document_paths(root)[0]),
        "tokenizer": str(root / "tokenizer"),
        "tokenizer_sha256": f"{root}",
        "scratch": str(root / "scratch"),
        "compiled": False,
        "seed": 0,
        "validation": 0.0,
        "test": 0.0,
        "vocab_size": VOCABULARY,
        "eos_id": VOCABULARY - 1,
    } | changes


def test_an_id_out_of_range_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tmp_path / "run"
    prepare(root)

    class Broken:
        vocab_size = VOCABULARY
        eos_id = VOCABULARY - 1

        def encode_utf8(self, data: Any, offsets: Any) -> Any:
            return np.full(len(offsets) - 1, VOCABULARY, np.uint32), np.arange(len(offsets))

    monkeypatch.setattr(build, "open_encoder", lambda *_: Broken())
    with pytest.raises(UserError, match="not in its vocabulary"):
        encode_shard(item(root), lambda **numbers: None)


def test_another_tokenizer_than_the_items_is_an_error(tmp_path: Path) -> None:
    root = tmp_path / "run"
    prepare(root)
    with pytest.raises(UserError, match="changed while"):
        encode_shard(item(root, eos_id=3), lambda **numbers: None)


def test_a_task_reports_what_it_has_done(tmp_path: Path) -> None:
    root = tmp_path / "run"
    prepare(root, shards=1)
    done: list[tuple[int, int]] = []
    encode_shard(item(root), lambda documents, bytes: done.append((documents, bytes)))
    assert sum(documents for documents, _ in done) == len(texts())
    assert sum(size for _, size in done) == sum(len(text.encode()) for text in texts())


@pytest.mark.parametrize(
    "value",
    [
        {"seq_len": 1},
        {"split": {"validation": 0.6}},
        {"split": {"validation": -0.1}},
        {"split": {"validation": 0.5, "test": 0.5}},
        {"split": {"dev": 0.1}},
    ],
)
def test_what_cannot_be_meant_is_refused(value: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        section(**value)
