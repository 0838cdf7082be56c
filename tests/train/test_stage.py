"""The train, evaluate and generate sections on real tokens of a small corpus."""

from __future__ import annotations

import json
import math
import random
import shutil
import string
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.stage_context import Killed, LocalStageContext, tree_digests
from tokenizers import Tokenizer
from transformers import AutoModelForCausalLM, AutoTokenizer

from textmill.documents import Batch, ShardWriter
from textmill.evaluate.settings import EvaluateSection
from textmill.serve.generate import Generator, generate
from textmill.steps import StageResult
from textmill.tokenizer.settings import TokenizerSection
from textmill.tokens.settings import TokensSection
from textmill.train.settings import TrainSection

TRAIN: dict[str, Any] = {
    "shape": {"layers": 2, "hidden_size": 32, "heads": 2, "intermediate_size": 64},
    "epochs": 1.5,
    "batch_size": 4,
    "optimizer": "muon",
    "lr": 0.01,
    "schedule": "linear",
    "warmup": 2,
    "checkpoint_every": 40,
    "threads": 1,
    "device": "cpu",
}


def texts() -> list[str]:
    """Sentences of few words in a fixed grammar, so that context tells much that frequencies do not."""
    random_ = random.Random(0)
    words = ["".join(random_.choices(string.ascii_lowercase, k=random_.randint(3, 7))) for _ in range(24)]
    follow = {word: random_.sample(words, 3) for word in words}
    documents = []
    for _ in range(120):
        word, sentence = random_.choice(words), []
        for _ in range(60):
            sentence.append(word)
            word = random_.choice(follow[word])
        documents.append(" ".join(sentence) + " — Käse.")
    return documents


def prepared(root: Path) -> dict[str, StageResult]:
    """Documents, tokenizer and tokens in a run folder."""
    root.mkdir(parents=True, exist_ok=True)
    batch = Batch.from_texts(texts())
    with ShardWriter(root / "documents.parquet") as writer:
        writer.write(batch)
    done = {
        "documents": StageResult(
            ["documents.parquet"],
            {
                "documents": len(texts()),
                "characters": sum(map(len, texts())),
                "text_bytes": sum(len(text.encode()) for text in texts()),
            },
        )
    }
    tokenizer = TokenizerSection(train={"vocab_size": 320})  # type: ignore[arg-type]
    done["tokenizer"] = tokenizer.run(LocalStageContext(root, done))
    tokens = TokensSection(seq_len=32, split={"validation": 0.07})  # type: ignore[arg-type]
    done["tokens"] = tokens.run(LocalStageContext(root, done))
    return done


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, StageResult]]:
    root = tmp_path_factory.mktemp("mill") / "run"
    done = prepared(root)
    done["train"] = TrainSection(**TRAIN).run(LocalStageContext(root, done))
    done["evaluate"] = EvaluateSection(samples={"prompt_tokens": 8, "max_new_tokens": 12}).run(  # type: ignore[arg-type]
        LocalStageContext(root, done)
    )
    return root, done


def test_figures_are_true(finished: tuple[Path, dict[str, StageResult]]) -> None:
    root, done = finished
    numbers, tokens = done["train"].numbers, done["tokens"].numbers
    assert numbers["steps"] == int(1.5 * tokens["splits"]["train"]["samples"]) // 4
    assert numbers["tokens"] == numbers["steps"] * 4 * 32
    model = AutoModelForCausalLM.from_pretrained(root / "model")
    assert numbers["parameters"] == sum(parameter.numel() for parameter in model.parameters())
    summary = json.loads((root / "model/training_summary.json").read_text())
    assert {key: summary[key] for key in numbers} == json.loads(json.dumps(dict(numbers)))
    card = (root / "model/README.md").read_text()
    assert summary["data_sha256"] in card
    assert tree_digests(root / "tokens")["index.json"] == summary["data_sha256"]
    last = [json.loads(line) for line in (root / "checkpoints/metrics.jsonl").read_text().splitlines()]
    assert [row["loss"] for row in last if "loss" in row][-1] == pytest.approx(
        numbers["final_loss"], abs=1e-5
    )
    json.dumps(dict(numbers), allow_nan=False)


def test_outputs_are_all_files_and_no_pickle(finished: tuple[Path, dict[str, StageResult]]) -> None:
    root, done = finished
    listed = sorted([*done["train"].outputs, *done["evaluate"].outputs])
    there = [
        path for path in tree_digests(root) if path.split("/")[0] in ("checkpoints", "model", "evaluation")
    ]
    assert listed == sorted(there)
    assert {Path(path).suffix for path in there} <= {
        ".json", ".jsonl", ".safetensors", ".md", ".tiktoken", ".textmill",
    }  # fmt: skip


def test_bits_per_byte_are_those_of_transformers(finished: tuple[Path, dict[str, StageResult]]) -> None:
    """The definition, by a slow loop over the published model: one token after the other, each in its own window."""
    root, done = finished
    numbers = done["evaluate"].numbers
    stream = np.concatenate([np.load(file) for file in sorted((root / "tokens/validation").glob("*.npy"))])
    eos = done["tokens"].numbers["eos_id"]
    padded = [eos, *stream.tolist()]
    model = AutoModelForCausalLM.from_pretrained(root / "model", dtype=torch.float32).eval()
    stride = 31 // 2
    nats = 0.0

    @cache
    def window(start: int) -> torch.Tensor:
        with torch.no_grad():
            return model(torch.tensor([padded[start : start + 31]])).logits[0].double()

    for position in range(len(stream)):
        if position < 31:
            start = 0
        else:  # windows end at 31, 46, 61, …, and at the end of the stream
            stop = min(31 + stride * math.ceil((position + 1 - 31) / stride), len(stream))
            start = stop - 31
        nats -= float(torch.log_softmax(window(start)[position - start], -1)[padded[position + 1]])
    text_bytes = done["tokens"].numbers["splits"]["validation"]["text_bytes"]
    assert numbers["tokens"] == len(stream)
    assert numbers["bits_per_byte"] == pytest.approx(nats / math.log(2) / text_bytes, rel=1e-5)
    assert numbers["perplexity"] == pytest.approx(math.exp(nats / len(stream)), rel=1e-5)
    train = np.concatenate([np.load(file) for file in sorted((root / "tokens/train").glob("*.npy"))])
    vocab_size = done["tokens"].numbers["vocab_size"]
    counts = np.bincount(train, minlength=vocab_size) + 1
    unigram = -np.log2(counts[stream] / (len(train) + vocab_size)).sum() / text_bytes
    assert numbers["unigram_bits_per_byte"] == pytest.approx(unigram)
    assert numbers["bits_per_byte"] < 0.8 * unigram  # it has learned the grammar


def test_samples_begin_as_documents_do(finished: tuple[Path, dict[str, StageResult]]) -> None:
    root, done = finished
    samples = json.loads((root / "evaluation/samples.json").read_text())
    assert len(samples) == 3
    for sample in samples:
        assert any(text.startswith(sample["prompt"] + sample["original"]) for text in texts())
        assert sample["continuation"]
        assert sample["temperature"] == 0.8
    again = EvaluateSection(samples={"prompt_tokens": 8, "max_new_tokens": 12}, perplexity=None)  # type: ignore[arg-type]
    again.run(LocalStageContext(root, done))
    assert json.loads((root / "evaluation/samples.json").read_text()) == samples


def test_generate_streams_what_the_model_says(finished: tuple[Path, dict[str, StageResult]]) -> None:
    root, done = finished
    eos = done["tokens"].numbers["eos_id"]
    prompt = texts()[0][:12]
    text = "".join(generate(root / "model", prompt, temperature=0, max_new_tokens=18))
    theirs = AutoModelForCausalLM.from_pretrained(root / "model", dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(root / "model")
    ids = [eos, *tokenizer(prompt, add_special_tokens=False).input_ids]
    assert len(ids) + 18 <= 32
    expected = theirs.generate(torch.tensor([ids]), do_sample=False, max_new_tokens=18, pad_token_id=eos)
    assert text == tokenizer.decode(expected[0, len(ids) :], skip_special_tokens=True)
    assert not text.startswith(prompt)
    generator = Generator(root / "model")
    assert "".join(generator.stream(prompt, seed=3)) == "".join(generator.stream(prompt, seed=3))
    assert any("".join(generator.stream("", max_new_tokens=5, seed=seed)) for seed in range(4))


@pytest.mark.parametrize("kill_after", [3, 12])
def test_killed_while_publishing_ends_in_the_same_model(
    kill_after: int, finished: tuple[Path, dict[str, StageResult]], tmp_path: Path
) -> None:
    roots = [tmp_path / name for name in ("whole", "killed")]
    for root in roots:
        for name in ("tokenizer", "tokens"):
            shutil.copytree(finished[0] / name, root / name)
    done = {name: finished[1][name] for name in ("documents", "tokenizer", "tokens")}
    short = {key: value for key, value in TRAIN.items() if key != "epochs"} | {
        "steps": 12,
        "checkpoint_every": 4,
    }
    expected = TrainSection(**short).run(LocalStageContext(roots[0], done))
    with pytest.raises(Killed):
        TrainSection(**short).run(LocalStageContext(roots[1], done, kill_after=kill_after))
    result = TrainSection(**short).run(LocalStageContext(roots[1], done))
    whole, resumed = (tree_digests(root) for root in roots)
    for path in ("model/model.safetensors", "model/README.md", "model/config.json", "model/tokenizer.json"):
        assert whole[path] == resumed[path], path
    assert sorted(result.outputs) == sorted(p for p in resumed if p.split("/")[0] in ("checkpoints", "model"))
    assert result.numbers["final_loss"] == expected.numbers["final_loss"]


def test_the_tokenizer_of_the_model_is_that_of_the_run(finished: tuple[Path, dict[str, StageResult]]) -> None:
    root, _ = finished
    files = {path.name for path in (root / "tokenizer").iterdir()}
    assert files >= {"tokenizer.json", "tokenizer_config.json", "tokenizer.tiktoken"}
    for name in files:
        assert (root / "model" / name).read_bytes() == (root / "tokenizer" / name).read_bytes()
    ours = Tokenizer.from_file(str(root / "tokenizer/tokenizer.json"))
    theirs = AutoTokenizer.from_pretrained(root / "model")
    for text in texts()[:5]:
        assert ours.encode(text).ids == theirs(text, add_special_tokens=False).input_ids
