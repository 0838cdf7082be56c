"""Models that exist: plain Llamas as ours, other architectures as transformers builds them, through the same loop."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.train.small_models import make_gpt2, make_llama, make_tokenizer
from transformers import AutoModelForCausalLM, Gemma2Config, Gemma2ForCausalLM

from textmill.errors import UserError
from textmill.model.hub import attention_mask, blocks_of, check_vocabulary, load_causal_lm
from textmill.model.loss import IGNORE
from textmill.model.names import model_folder
from textmill.train.batch import TokenBatch, next_token_targets
from textmill.train.hub_trainee import HubTrainee, LlamaFrom
from textmill.train.loop import Trained, train
from textmill.train.settings import TrainSection
from textmill.train.store import FolderStore
from textmill.train.trainee import LlamaTrainee
from textmill.train.trainees import trainee_of, with_depth

SETTINGS: dict[str, Any] = {
    "steps": 6,
    "batch_size": 4,
    "lr": 1e-3,
    "warmup": 1,
    "device": "cpu",
    "threads": 1,
    "watch": [],
    "seed": 5,
    "dtype": "fp32",
}


def make_gemma2(folder: Path) -> Path:
    """A Gemma 2 of two blocks: soft-capped logits, so that its output layer is more than a matrix."""
    torch.manual_seed(0)
    config = Gemma2Config(
        vocab_size=400, hidden_size=64, intermediate_size=96, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, head_dim=16, max_position_embeddings=128, final_logit_softcapping=5.0,
    )  # fmt: skip
    Gemma2ForCausalLM(config).save_pretrained(folder)
    return folder


MODELS = {"llama": make_llama, "gpt2": make_gpt2, "gemma2": make_gemma2}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("models")
    return {name: make(root / name) for name, make in MODELS.items()}


def windows(count: int = 16, seq_len: int = 24) -> np.ndarray[Any, Any]:
    return ((np.arange(count)[:, None] * 7 + 3 * np.arange(seq_len)) % 90 + 1).astype(np.uint16)


def batch(rows: int = 3) -> TokenBatch:
    tokens = torch.from_numpy(windows(rows).astype(np.int64))
    return TokenBatch(tokens, next_token_targets(tokens))


def run(start: Path, folder: Path, **options: Any) -> Trained:
    settings = TrainSection.model_validate(SETTINGS | {"from": str(start)})
    trainee = trainee_of(settings, vocab_size=400, seq_len=24, eos_id=0)
    store = FolderStore(folder / "run")
    return train(
        settings, trainee, windows(), store, scratch=folder / "scratch", say=lambda _: None, **options
    )


@pytest.mark.parametrize("name", MODELS)
def test_the_loss_is_that_of_transformers(name: str, folders: dict[str, Path]) -> None:
    model = load_causal_lm(folders[name])
    trainee = HubTrainee(model, folders[name])
    own = batch()
    loss = trainee.nats(own, 1 / own.counted)
    expected = model(input_ids=own.tokens, labels=own.tokens).loss
    torch.testing.assert_close(loss, expected, atol=1e-5, rtol=1e-5)
    assert len(trainee.blocks()) == 2
    assert trainee.vocab_size == 400
    assert trainee._plain_head == (name != "gemma2")


@pytest.mark.parametrize("name", MODELS)
def test_any_model_goes_through_the_loop_and_comes_out_for_transformers(
    name: str, folders: dict[str, Path], tmp_path: Path
) -> None:
    trained = run(folders[name], tmp_path)
    assert isinstance(trained.trainee, LlamaFrom if name == "llama" else HubTrainee)
    losses = [
        json.loads(line) for line in (tmp_path / "run/checkpoints/metrics.jsonl").read_text().splitlines()
    ]
    assert losses[-1]["step"] == 6
    checkpoint = tmp_path / "run" / trained.checkpoint
    loaded, before = (AutoModelForCausalLM.from_pretrained(folder) for folder in (checkpoint, folders[name]))
    own = batch()
    trained.trainee.model.eval()  # GPT-2 drops numbers out in training
    with torch.no_grad():
        after = loaded(input_ids=own.tokens, labels=own.tokens).loss
        assert after < before(input_ids=own.tokens, labels=own.tokens).loss - 0.05
        nats = trained.trainee.nats(own, 1 / own.counted)
    torch.testing.assert_close(nats, after, atol=1e-4, rtol=1e-4)


def test_stopped_and_continued_another_architecture_ends_in_the_same_bits(
    folders: dict[str, Path], tmp_path: Path
) -> None:
    def killer(_text: str, done: float, _total: float, **_: float) -> None:
        if done == 4:
            raise InterruptedError

    settings = SETTINGS | {"checkpoint_every": 3}
    results = []
    for name, stop in (("whole", False), ("stopped", True), ("stopped", False)):
        section = TrainSection.model_validate(settings | {"from": str(folders["gpt2"])})
        trainee = trainee_of(section, vocab_size=400, seq_len=24, eos_id=0)
        options: dict[str, Any] = {"progress": killer} if stop else {}
        try:
            trained = train(
                section, trainee, windows(), FolderStore(tmp_path / name), scratch=tmp_path / "scratch",
                say=lambda _: None, **options,
            )  # fmt: skip
            results.append((tmp_path / name / trained.checkpoint / "model.safetensors").read_bytes())
        except InterruptedError:
            assert stop
    assert results[0] == results[1]


@pytest.mark.parametrize("name", ["llama", "gpt2"])
def test_documents_kept_apart_are_as_if_alone(name: str, folders: dict[str, Path]) -> None:
    trainee = HubTrainee(load_causal_lm(folders[name]).eval(), folders[name])
    first, second = torch.arange(1, 11), torch.arange(30, 44)
    packed = torch.cat([first, second])[None]
    parts = torch.tensor([[0] * 10 + [1] * 14], dtype=torch.int32)
    positions = torch.cat([torch.arange(10), torch.arange(14)])[None].int()
    targets = next_token_targets(packed)
    targets[0, 9] = IGNORE
    together = trainee.nats(TokenBatch(packed, targets, parts, positions), 1.0)
    alone = sum(trainee.nats(TokenBatch(d[None], next_token_targets(d[None])), 1.0) for d in (first, second))
    torch.testing.assert_close(together, alone, atol=1e-3, rtol=1e-5)
    mixed = trainee.nats(TokenBatch(packed, targets), 1.0)
    assert abs(float(mixed) - float(together)) > 1e-3


def test_the_mask_lets_padding_see_itself_alone() -> None:
    mask = attention_mask(torch.tensor([[0, 0, 1, -1, -1]]), torch.float32)[0, 0] == 0
    assert mask.tolist() == [
        [True, False, False, False, False],
        [True, True, False, False, False],
        [False, False, True, False, False],
        [False, False, False, True, False],
        [False, False, False, True, True],
    ]


def test_vocabularies_are_compared(tmp_path: Path) -> None:
    one, other = make_tokenizer(tmp_path / "one"), make_tokenizer(tmp_path / "two", texts=["other words"] * 9)
    check_vocabulary(one, 400, 390, one / "tokenizer.json")
    with pytest.raises(UserError, match="larger vocabulary"):
        check_vocabulary(one, 300, 400)
    with pytest.raises(UserError, match="another vocabulary"):
        check_vocabulary(one, 400, 400, other / "tokenizer.json")
    with pytest.raises(UserError, match="much smaller vocabulary"):
        check_vocabulary(tmp_path, 128_256, 4_096)


def test_what_is_no_model_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no model to start from"):
        model_folder(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "llama", "auto_map": {}}))
    with pytest.raises(UserError, match="weights are missing"):
        load_causal_lm(tmp_path)
    (tmp_path / "pytorch_model.bin").write_bytes(b"pickle")
    with pytest.raises(UserError, match="pickled and never opened"):
        load_causal_lm(tmp_path)
    (tmp_path / "config.json").write_text(
        json.dumps({"model_type": "mine", "auto_map": {"AutoModel": "x.py"}})
    )
    with pytest.raises(UserError, match="code that lies beside its weights"):
        load_causal_lm(tmp_path)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(UserError, match="configuration cannot be read"):
        load_causal_lm(tmp_path)


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ({"method": "lora"}, "needs a model"),
        ({"from": "/x", "preset": "tiny"}, "brings its own shape"),
        ({"from": "/x", "lora": {"r": 4}}, "means nothing to method: full"),
        ({"preset": "tiny", "depth": 4}, "exclude each other"),
        ({"from": "/x", "method": "dora"}, "method"),
        ({"from": "/x", "method": "qlora", "parallel": "fsdp"}, "does not share out"),
        ({"from": "/x", "method": "lora", "lora": {"dropout": 1.0}}, "dropout"),
    ],
)
def test_contradictions_are_refused(written: dict[str, Any], expected: str) -> None:
    with pytest.raises(ValueError) as error:
        TrainSection.model_validate(written)
    assert expected in str(error.value)


def test_another_model_in_the_folder_is_another_training(tmp_path: Path) -> None:
    folder = make_llama(tmp_path / "llama")
    settings = TrainSection.model_validate({"from": str(folder)})
    before = settings.fingerprint()
    assert settings.fingerprint() == before
    torch.manual_seed(9)
    model = AutoModelForCausalLM.from_pretrained(folder)
    with torch.no_grad():
        next(model.parameters()).add_(1.0)
    model.save_pretrained(folder)
    assert settings.fingerprint() != before


def test_depth_decides_what_is_left_out() -> None:
    section = with_depth(TrainSection(depth=2, lr=0.1), vocab_size=400, seq_len=32)
    trainee = trainee_of(section, vocab_size=400, seq_len=32, eos_id=0)
    assert isinstance(trainee, LlamaTrainee)
    assert (section.lr, trainee.config.hidden_size) == (0.1, 128)
    assert section.tokens == 20 * trainee.parameters
    assert section.batch_size is not None
    kept = with_depth(TrainSection(depth=2, epochs=1), vocab_size=400, seq_len=32)
    assert kept.tokens is None


def test_blocks_are_the_longest_list_of_one_class(folders: dict[str, Path]) -> None:
    assert len(blocks_of(load_causal_lm(folders["gpt2"]))) == 2
