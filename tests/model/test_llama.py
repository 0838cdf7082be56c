"""The plain Llama against transformers' Llama (and Qwen3, with normed queries), reading the folder that we write."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

from textmill.errors import UserError
from textmill.model.config import LlamaConfig
from textmill.model.hf import load_config, load_folder, save_folder
from textmill.model.llama import KeyValueCache, Llama
from textmill.model.sampling import sample_tokens

VARIANTS = {
    "tied": {"tie_word_embeddings": True},
    "untied": {"tie_word_embeddings": False},
    "grouped": {"num_key_value_heads": 2},
    "qk_norm": {"qk_norm": True, "num_key_value_heads": 2, "tie_word_embeddings": True},
    "one_kv_head": {"num_key_value_heads": 1, "tie_word_embeddings": True},
    "wide_heads": {"head_dim": 32, "rope_theta": 500_000.0, "rms_norm_eps": 1e-6},
}


@pytest.fixture(params=VARIANTS)
def model(request: pytest.FixtureRequest) -> Llama:
    shape = {
        "vocab_size": 97,
        "hidden_size": 64,
        "intermediate_size": 96,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "num_key_value_heads": 4,
        "max_position_embeddings": 48,
        "bos_token_id": 0,
        "eos_token_id": 0,
    }
    model = Llama(LlamaConfig(**(shape | VARIANTS[request.param])))
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():  # larger than real ones, zeros and ones nowhere: every weight must matter
        for parameter in model.parameters():
            parameter.normal_(0.3 if parameter.ndim == 1 else 0.0, 0.15, generator=generator)
    return model.eval()


def test_logits_equal_those_of_transformers(model: Llama, tmp_path: Path) -> None:
    save_folder(model, tmp_path)
    theirs, report = AutoModelForCausalLM.from_pretrained(
        tmp_path, output_loading_info=True, dtype=torch.float32
    )
    assert not report["missing_keys"]
    assert not report["unexpected_keys"]
    tokens = torch.randint(0, 97, (3, 48), generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        expected = theirs.eval()(tokens).logits
        found = model(tokens)
    assert expected.std() > 0.1
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


def test_greedy_generation_equals_that_of_transformers(model: Llama, tmp_path: Path) -> None:
    save_folder(model, tmp_path)
    theirs = AutoModelForCausalLM.from_pretrained(tmp_path, dtype=torch.float32).eval()
    prompt = [5, 17, 3, 80]
    expected = theirs.generate(
        torch.tensor([prompt]), do_sample=False, max_new_tokens=30, eos_token_id=-1, pad_token_id=0
    )
    assert [*prompt, *sample_tokens(model, prompt, max_new_tokens=30, temperature=0)] == expected[0].tolist()


def test_a_folder_comes_back_as_it_went(model: Llama, tmp_path: Path) -> None:
    files = save_folder(model, tmp_path)
    again = load_folder(tmp_path)
    assert again.config == model.config
    assert {file.suffix for file in files} == {".json", ".safetensors"}
    for (name, ours), (other, theirs) in zip(model.named_parameters(), again.named_parameters(), strict=True):
        assert name == other
        assert torch.equal(ours, theirs)
    tokens = torch.arange(20)[None]
    assert torch.equal(model(tokens), again(tokens))
    tied = again.lm_head.weight is again.model.embed_tokens.weight
    assert tied == model.config.tie_word_embeddings
    assert ("lm_head.weight" in load_file(tmp_path / "model.safetensors")) == (not tied)


def test_a_model_in_several_files_is_the_same(model: Llama, tmp_path: Path) -> None:
    save_folder(model, tmp_path, max_shard_bytes=20_000)
    assert len(list(tmp_path.glob("model-*.safetensors"))) > 3
    tokens = torch.arange(20)[None]
    assert torch.equal(model(tokens), load_folder(tmp_path)(tokens))
    theirs = AutoModelForCausalLM.from_pretrained(tmp_path, dtype=torch.float32).eval()
    torch.testing.assert_close(theirs(tokens).logits, model(tokens), rtol=1e-5, atol=1e-5)


def test_cache_changes_nothing(model: Llama) -> None:
    tokens = torch.randint(0, 97, (2, 40), generator=torch.Generator().manual_seed(3))
    whole = model(tokens)
    cache = KeyValueCache(model.config, batch=2)
    parts = [model(part, cache) for part in tokens.split([7, 1, 1, 12, 19], dim=1)]
    torch.testing.assert_close(torch.cat(parts, 1), whole, rtol=1e-5, atol=1e-5)


def test_later_tokens_do_not_matter(model: Llama) -> None:
    tokens = torch.randint(0, 97, (1, 30), generator=torch.Generator().manual_seed(4))
    other = tokens.clone()
    other[0, 20:] = (other[0, 20:] + 1) % 97
    assert torch.equal(model(tokens)[:, :20], model(other)[:, :20])
    assert not torch.equal(model(tokens)[:, 20:], model(other)[:, 20:])


def test_foreign_folders_are_refused_with_a_reason(model: Llama, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="holds no model"):
        load_folder(tmp_path / "nowhere")
    save_folder(model, tmp_path)
    good = (tmp_path / "config.json").read_text()
    for field, value, words in (
        ("model_type", "mistral", "model_type"),
        ("attention_bias", True, "attention_bias"),
        ("rope_parameters", {"rope_type": "llama3", "rope_theta": 1e4}, "rope type"),
        ("hidden_size", 128, "another shape"),
        ("num_hidden_layers", 4, "missing"),
        ("num_hidden_layers", 2, "the model lacks"),
    ):
        (tmp_path / "config.json").write_text(json.dumps(json.loads(good) | {field: value}))
        with pytest.raises(UserError, match=words):
            load_folder(tmp_path)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(UserError, match="cannot be read"):
        load_config(tmp_path)


def test_damaged_and_pickled_weights_are_refused(model: Llama, tmp_path: Path) -> None:
    save_folder(model, tmp_path)
    weights = tmp_path / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(UserError, match="damaged"):
        load_folder(tmp_path)
    weights.unlink()
    (tmp_path / "pytorch_model.bin").write_bytes(b"\x80\x02")
    with pytest.raises(UserError) as error:
        load_folder(tmp_path)
    assert "never opened" in str(error.value)
    save_file({"stray": torch.zeros(1)}, weights)
    with pytest.raises(UserError, match="the model lacks"):
        load_folder(tmp_path)


def test_initial_model_is_the_same_for_the_same_seed_and_predicts_nothing_yet() -> None:
    config = LlamaConfig(500, 64, 128, 2, 4, 2, 32, tie_word_embeddings=True)
    first, second = Llama(config), Llama(config)
    first.initialise(torch.Generator().manual_seed(5))
    second.initialise(torch.Generator().manual_seed(5))
    for ours, theirs in zip(first.parameters(), second.parameters(), strict=True):
        assert torch.equal(ours, theirs)
    second.initialise(torch.Generator().manual_seed(6))
    assert not torch.equal(first.model.embed_tokens.weight, second.model.embed_tokens.weight)
    assert not first.model.layers[0].mlp.down_proj.weight.any()
