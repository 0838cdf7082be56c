"""A GGUF file holds the model: transformers reads it back and computes the same logits."""

from __future__ import annotations

import json
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer
from transformers import AutoModelForCausalLM, AutoTokenizer

from tests.train.small_models import TEXT, make_gpt2, make_llama, make_tokenizer
from textmill.cli import main
from textmill.errors import UserError
from textmill.export.gguf import export_gguf, gguf_name, tensors_of
from textmill.export.gguf_vocabulary import CONTROL, NORMAL, UNUSED, read_vocabulary
from textmill.model.config import LlamaConfig
from textmill.model.hf import load_folder, save_folder
from textmill.model.llama import Llama


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = make_tokenizer(tmp_path_factory.mktemp("model"))
    return make_llama(made)


@pytest.mark.parametrize(
    ("precision", "close"), [("f32", 1e-5), ("f16", 2e-3), ("bf16", 2e-2), ("q8_0", 5e-2)]
)
def test_transformers_reads_it_back_and_computes_the_same(
    precision: str, close: float, folder: Path, tmp_path: Path
) -> None:
    export_gguf(folder, tmp_path / "model.gguf", precision=precision)  # type: ignore[arg-type]
    assert [file.name for file in tmp_path.iterdir()] == ["model.gguf"]
    back = AutoModelForCausalLM.from_pretrained(tmp_path, gguf_file="model.gguf")
    original = AutoModelForCausalLM.from_pretrained(folder)
    tokens = torch.arange(40)[None] * 7 % 400
    with torch.no_grad():
        torch.testing.assert_close(
            back(input_ids=tokens).logits, original(input_ids=tokens).logits, atol=close, rtol=0
        )
    assert back.config.num_key_value_heads == 2
    assert back.config.max_position_embeddings == 128


def test_the_tokenizer_inside_gives_the_same_ids(folder: Path, tmp_path: Path) -> None:
    export_gguf(folder, tmp_path / "model.gguf")
    inside = AutoTokenizer.from_pretrained(tmp_path, gguf_file="model.gguf")
    own = Tokenizer.from_file(str(folder / "tokenizer.json"))
    for text in [*TEXT, "l'œuvre, 12 345 fois ! 🙂"]:
        assert inside(text, add_special_tokens=False)["input_ids"] == own.encode(text).ids
    assert inside.eos_token_id == 0


def own_model(folder: Path, qk_norm: bool) -> Path:
    """A model of ours with weights that all matter, and a tokenizer beside it."""
    config = LlamaConfig(
        vocab_size=400,
        hidden_size=64,
        intermediate_size=96,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=64,
        head_dim=128,  # transformers' reader of Qwen 3 knows no other
        tie_word_embeddings=True,
        qk_norm=qk_norm,
        eos_token_id=0,
        bos_token_id=0,
    )
    model = Llama(config)
    model.initialise(torch.Generator().manual_seed(1))
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.ndim == 2 and float(parameter.abs().max()) == 0:
                torch.nn.init.normal_(parameter, std=0.05)
            elif name.endswith("norm.weight"):
                torch.nn.init.uniform_(parameter, 0.5, 1.5)
    made = make_tokenizer(folder)
    save_folder(model, made)
    return made


@pytest.mark.parametrize("qk_norm", [False, True])
def test_own_models_with_and_without_normed_queries(qk_norm: bool, tmp_path: Path) -> None:
    made = own_model(tmp_path / "folder", qk_norm)
    model = load_folder(made)
    export_gguf(made, tmp_path / "out" / "model.gguf", precision="f32")
    back = AutoModelForCausalLM.from_pretrained(tmp_path / "out", gguf_file="model.gguf")
    tokens = torch.arange(40)[None] * 11 % 400
    with torch.no_grad():
        torch.testing.assert_close(back(input_ids=tokens).logits, model(tokens), atol=1e-4, rtol=1e-4)
    names = [name for name, _ in tensors_of(tmp_path / "out" / "model.gguf")]
    assert ("blk.0.attn_q_norm.weight" in names) == qk_norm
    assert "output.weight" not in names


@pytest.mark.parametrize(
    ("precision", "qk_norm", "close"), [("f32", False, 1e-5), ("q8_0", False, 3e-2), ("f32", True, 1e-5)]
)
def test_llama_cpp_computes_and_says_the_same(
    precision: str, qk_norm: bool, close: float, tmp_path: Path
) -> None:
    """llama.cpp keeps keys and values in float16 unless told otherwise, and cuts texts by its own code."""
    llama_cpp = pytest.importorskip("llama_cpp", reason="needs llama-cpp-python", exc_type=ImportError)
    made = own_model(tmp_path / "folder", qk_norm)
    file = tmp_path / "model.gguf"
    assert main(["export", "--gguf", str(file), "--model", str(made), "--precision", precision]) == 0
    theirs = llama_cpp.Llama(
        str(file), n_ctx=256, n_threads=1, logits_all=True, verbose=False,
        type_k=llama_cpp.GGML_TYPE_F32, type_v=llama_cpp.GGML_TYPE_F32,
    )  # fmt: skip
    model = AutoModelForCausalLM.from_pretrained(made).eval()
    own = Tokenizer.from_file(str(made / "tokenizer.json"))
    for text in [*TEXT, "l'œuvre, 12 345 fois !"]:
        ids = own.encode(text).ids[:40]
        assert theirs.tokenize(text.encode(), add_bos=False, special=False)[:40] == ids
        theirs.reset()
        theirs.eval(ids)
        with torch.no_grad():
            logits = model(torch.tensor([ids])).logits[0].numpy()
        np.testing.assert_allclose(theirs.scores[: len(ids)], logits, atol=close, rtol=0)
        if precision == "f32":
            greedy = model.generate(torch.tensor([ids]), do_sample=False, max_new_tokens=12, pad_token_id=0)
            expected = greedy[0, len(ids) :].tolist()
            assert list(islice(theirs.generate(ids, temp=0.0), len(expected))) == expected


def test_quantised_rows_are_near_the_exact_ones(folder: Path, tmp_path: Path) -> None:
    for precision in ("f32", "q8_0"):
        export_gguf(folder, tmp_path / f"{precision}.gguf", precision=precision)  # type: ignore[arg-type]
    exact, rounded = (dict(tensors_of(tmp_path / f"{kind}.gguf")) for kind in ("f32", "q8_0"))
    assert exact.keys() == rounded.keys()
    for name, values in exact.items():
        step = np.abs(values).max() / 127
        assert np.abs(values - rounded[name]).max() <= 0.55 * step + 1e-6, name
    assert (tmp_path / "q8_0.gguf").stat().st_size < 0.5 * (tmp_path / "f32.gguf").stat().st_size


def test_entries_that_the_tokenizer_lacks_are_unused(folder: Path) -> None:
    size = Tokenizer.from_file(str(folder / "tokenizer.json")).get_vocab_size()
    vocabulary = read_vocabulary(folder, size + 3)
    assert len(vocabulary.tokens) == size + 3
    assert vocabulary.types[0] == CONTROL
    assert vocabulary.types[1] == NORMAL
    assert vocabulary.types[-3:] == [UNUSED] * 3
    with pytest.raises(UserError, match="more entries than the model"):
        read_vocabulary(folder, size - 1)


def test_sentencepiece_keeps_scores_and_types(tmp_path: Path) -> None:
    import io

    import sentencepiece

    stream = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(TEXT * 20), model_writer=stream, vocab_size=300, model_type="bpe",
        byte_fallback=True, minloglevel=2,
    )  # fmt: skip
    (tmp_path / "tokenizer.model").write_bytes(stream.getvalue())
    vocabulary = read_vocabulary(tmp_path, 300)
    reference = sentencepiece.SentencePieceProcessor(model_proto=stream.getvalue())
    assert vocabulary.model == "llama"
    assert vocabulary.tokens == [reference.id_to_piece(i) for i in range(300)]
    assert vocabulary.scores == pytest.approx([reference.get_score(i) for i in range(300)])
    assert [kind == 6 for kind in vocabulary.types] == [reference.is_byte(i) for i in range(300)]


def test_other_models_and_tokenizers_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no plain Llama"):
        export_gguf(make_tokenizer(make_gpt2(tmp_path / "gpt2")), tmp_path / "a.gguf")
    bare = make_llama(tmp_path / "bare")
    with pytest.raises(UserError, match="tokenizer cannot be read"):
        export_gguf(bare, tmp_path / "b.gguf")
    (bare / "tokenizer.json").write_text(json.dumps({"model": {"type": "Unigram", "vocab": []}}))
    with pytest.raises(UserError, match="no byte-level BPE"):
        export_gguf(bare, tmp_path / "c.gguf")
    assert not list(tmp_path.glob("*.gguf"))
    with pytest.raises(UserError, match="no name in GGUF"):
        gguf_name("model.layers.0.mlp.router.weight")


def test_a_missing_package_is_told(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("textmill.export.gguf.find_spec", lambda _name: None)
    with pytest.raises(UserError, match="not installed") as error:
        export_gguf(folder, tmp_path / "model.gguf")
    assert "textmill[gguf]" in str(error.value)
