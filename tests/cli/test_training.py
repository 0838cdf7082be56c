"""``train``, ``preview`` and ``export --gguf`` with the flags of the originals: from text to the output folder."""

from __future__ import annotations

import json
import os
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer
from transformers import AutoModelForCausalLM, AutoTokenizer

from tests.train.small_models import TEXT, make_llama, make_tokenizer
from textmill.cli import main

PLACES = ["Trois-Rivières", "Rimouski", "Chicoutimi", "la Gaspésie", "Saint-Jérôme", "l'Abitibi", "Québec"]
THINGS = [
    "la tuque",
    "le traîneau",
    "la poudrerie",
    "le sirop",
    "la débarbouillette",
    "le dépanneur",
    "l'érable",
]


def french(number: int, chance: random.Random) -> str:
    words = chance.sample(THINGS, 3)
    return (
        f"{chance.choice(TEXT)} À {chance.choice(PLACES)}, {words[0]} et {words[1]} valent bien {words[2]}, "
        f"disait la voisine pendant le temps des Fêtes {number}."
    )


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small corpus as the original took it: a file of lines, and JSON lines; some of it to be filtered out."""
    folder = tmp_path_factory.mktemp("corpus")
    chance = random.Random(3)
    lines = [french(number, chance) for number in range(44)]
    lines += ["court", "non non non non non non non non non non", "12345 67890 !!! ??? 111", ""]
    lines.append(
        "Voir https://exemple.qc.ca ou moi@exemple.ca pour la suite de cette histoire du rang deux !!!"
    )
    (folder / "a.txt").write_text("\n".join(lines) + "\n", "utf-8")
    records = [{"sentence": french(number, chance)} for number in range(200, 212)]
    (folder / "b.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records), "utf-8")
    return folder


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model to go on with: a small Llama with a tokenizer of its own."""
    folder = make_tokenizer(tmp_path_factory.mktemp("base"))
    return make_llama(folder, Tokenizer.from_file(str(folder / "tokenizer.json")).get_vocab_size())


@pytest.fixture(scope="module")
def prepared(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``curate`` with the original's flags."""
    folder = tmp_path_factory.mktemp("prepared") / "output"
    code = main(
        f"curate --input {corpus}/a.txt {corpus}/b.jsonl --output {folder} --merge --val_split 0.1 "
        "--min_length 10 --max_length 10000 --seed 42 --workers 1".split()
    )
    assert code == 0
    return folder


@pytest.fixture(scope="module")
def tokens(prepared: Path, base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same texts as tokens: where the way from texts is not what a test is about."""
    folder = tmp_path_factory.mktemp("tokens") / "shards"
    build = f"tokens build {prepared}/val.txt --unit line --tokenizer {base} --output {folder} --workers 1"
    assert main(build.split()) == 0
    return folder


FLAGS = (
    "--num_epochs 1 --batch_size 8 --max_length 64 --stride 16 --learning_rate 2e-3 --gradient_accumulation_steps 1 "
    "--use_lora --lora_r 16 --lora_alpha 32 --inspect_data --inspect_samples 5 --seed 42 --save_steps 5 "
    "--logging_steps 3 --device cpu --set train.threads=1"
)


INLINE = "--set run.engine=inline"
"""No worker process is started; one test starts some."""


def train(*arguments: str) -> int:
    return main(["train", *" ".join(arguments).split()])


@pytest.mark.parametrize("method", ["lora", "4bit"])
def test_quebec_french_from_text_to_the_output_folder(
    method: str, prepared: Path, base: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    texts = [(prepared / name).read_text("utf-8").splitlines() for name in ("train.txt", "val.txt")]
    assert sum(map(len, texts)) == 57
    assert not any("exemple.qc.ca" in line or "@" in line for line in texts[0] + texts[1])
    output = tmp_path / "cpt_model"
    code = train(
        f"--train_file {prepared}/train.txt --val_file {prepared}/val.txt --output_dir {output}",
        f"--model_name {base} {FLAGS}",
        f"--use_4bit {INLINE}" if method == "4bit" else "--workers 1",
    )
    printed = capfd.readouterr()
    assert code == 0, printed.err
    said = printed.out + printed.err
    assert "trainable params: " in said
    assert said.count("tokens, 63 of them predicted") == 5
    assert "[stop: <|endoftext|>]" in said

    # The folder, as the original's trainer left it, without pickles.
    names = {file.name for file in output.iterdir()}
    assert {
        "adapter_config.json", "adapter_model.safetensors", "config.json", "trainer_state.json",
        "training_summary.json", "training_args.json", "tokenizer.json", "README.md", "logs",
    } <= names  # fmt: skip
    assert not [file for file in output.rglob("*") if file.suffix in (".bin", ".pt", ".pkl", ".pth")]
    assert list((output / "logs").glob("events.out.tfevents.*"))
    checkpoints = {int(folder.name[11:]): folder for folder in output.glob("checkpoint-*")}
    assert len(checkpoints) >= 2
    for folder in checkpoints.values():
        assert {file.name for file in folder.iterdir()} >= {
            "adapter_config.json", "adapter_model.safetensors", "optimizer.safetensors", "trainer_state.json",
        }  # fmt: skip

    summary = json.loads((output / "training_summary.json").read_text())
    state = json.loads((output / "trainer_state.json").read_text())
    arguments = json.loads((output / "training_args.json").read_text())
    adapter = json.loads((output / "adapter_config.json").read_text())
    steps = summary["total_steps"]
    assert steps == state["global_step"] == state["max_steps"]
    assert steps == max(checkpoints)
    assert summary["total_tokens"] == steps * 8 * 64
    assert summary["train_runtime_seconds"] != steps
    assert summary["final_perplexity"] == pytest.approx(np.exp(summary["final_eval_loss"]))
    assert summary["final_train_loss"] < 6.0
    assert [row for row in state["log_history"] if "loss" in row][-1]["step"] == steps
    assert (arguments["seed"], arguments["stride"], arguments["weight_decay"]) == (42, 16, 0.0)
    assert (arguments["schedule"], arguments["warmup"], arguments["clip"]) == ("cosine", 0.03, 1.0)
    assert arguments["method"] == ("qlora" if method == "4bit" else "lora")
    assert (adapter["r"], adapter["lora_alpha"], adapter["lora_dropout"]) == (16, 32, 0.1)
    assert len(adapter["target_modules"]) == 7

    # It loads as people load it, and it has learnt.
    from peft import AutoPeftModelForCausalLM

    model = AutoPeftModelForCausalLM.from_pretrained(output).eval()
    tokenizer = AutoTokenizer.from_pretrained(output)
    tokens = torch.tensor([tokenizer(texts[1][0])["input_ids"]])
    with torch.no_grad():
        adapted = model(input_ids=tokens, labels=tokens).loss
        with model.disable_adapter():
            before = model(input_ids=tokens, labels=tokens).loss
    assert float(adapted) < float(before)


def test_the_same_command_again_does_nothing_twice(
    prepared: Path, base: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    files = f"--train_file {prepared}/val.txt --output_dir {tmp_path}/out"
    command = f"{files} --model_name {base} {FLAGS} {INLINE} --no-inspect-data"
    assert train(command) == 0
    weights = (tmp_path / "out/adapter_model.safetensors").read_bytes()
    printed = capfd.readouterr()
    assert "of them predicted" not in printed.out + printed.err
    assert train(command) == 0
    assert (tmp_path / "out/adapter_model.safetensors").read_bytes() == weights
    assert "trainable params" not in capfd.readouterr().err

    assert main(["generate", "La", "--model", str(tmp_path / "out")]) == 2
    assert "textmill export --merge" in capfd.readouterr().err

    # Merged, it is a model like any other, and goes on to llama.cpp's format.
    merged = tmp_path / "merged"
    assert main(["export", "--merge", str(tmp_path / "out"), "--out", str(merged)]) == 0
    assert (
        main(["export", "--gguf", str(tmp_path / "a.gguf"), "--model", str(merged), "--precision", "f32"])
        == 0
    )
    assert main(["export", "--gguf", str(tmp_path / "b.gguf"), "--model", str(tmp_path / "out")]) == 0
    assert main(["generate", "La", "--model", str(merged), "--max-new-tokens", "3", "--seed", "1"]) == 0
    tokens = torch.arange(30)[None]
    with torch.no_grad():
        first = AutoModelForCausalLM.from_pretrained(merged)(input_ids=tokens).logits
        second = AutoModelForCausalLM.from_pretrained(tmp_path, gguf_file="a.gguf")(input_ids=tokens).logits
    torch.testing.assert_close(first, second, atol=1e-4, rtol=1e-4)
    assert main(["export", "--merge", str(tmp_path / "out"), "--out", str(merged)]) == 2

    # And what was trained on can be looked at.
    capfd.readouterr()
    assert main(["preview", str(tmp_path / "out/run"), "--samples", "8", "--step", "1"]) == 0
    shown = capfd.readouterr().out
    assert shown.count("of them predicted, ") >= 8
    assert "[stop <|endoftext|>]" in shown


FULL = (
    "--method full --max_length 32 --stride 0 --batch_size 4 --gradient_accumulation_steps 2 --max_steps 6 "
    "--learning_rate 5e-5 --device cpu --set run.engine=inline --set train.beta2=0.95 "
    "--set train.threads=1 --no-inspect-data"
)


def test_full_training_on_token_sequences_and_on_the_texts_they_came_from(
    base: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    tokenizer = Tokenizer.from_file(str(base / "tokenizer.json"))
    chance = random.Random(1)
    texts = [french(number, chance) for number in range(60)]
    ids = [token for text in texts for token in [*tokenizer.encode(text).ids, 0]]
    rows = [ids[start : start + 32] for start in range(0, len(ids) // 32 * 32, 32)]
    sequences = tmp_path / "train.seq"
    sequences.write_text("".join(" ".join(map(str, row)) + "\n" for row in rows))
    code = train(f"--data {sequences} --model_name {base} --output_dir {tmp_path}/out {FULL}")
    assert code == 0, capfd.readouterr().err
    records = [json.dumps({"id": number, "text": text}) + "\n" for number, text in enumerate(texts)]
    (tmp_path / "train.jsonl").write_text("".join(records), "utf-8")
    code = train(
        f"--train_file {tmp_path}/train.jsonl --model_name {base} --output_dir {tmp_path}/texts {FULL}"
    )
    assert code == 0, capfd.readouterr().err
    # The same tokens in the same order: the same model to the bit.
    weights = [load_file(tmp_path / name / "model.safetensors") for name in ("out", "texts")]
    assert weights[0].keys() == weights[1].keys()
    assert all(torch.equal(weights[0][key], weights[1][key]) for key in weights[0])
    assert "textmill generate" in capfd.readouterr().out
    assert main(["generate", "La", "--model", f"{tmp_path}/texts", "--max-new-tokens", "3"]) == 0

    summary = json.loads((tmp_path / "out/training_summary.json").read_text())
    assert (summary["total_steps"], summary["total_tokens"], summary["method"]) == (6, 6 * 8 * 32, "full")
    assert summary["trainable_parameters"] == summary["parameters"]
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path / "out")
    original = AutoModelForCausalLM.from_pretrained(base)
    assert loaded.config.vocab_size == original.config.vocab_size
    change = [
        float((a - b).abs().max()) for a, b in zip(loaded.parameters(), original.parameters(), strict=True)
    ]
    assert 0 < max(change) < 0.01
    # The stream repeats: more steps than one pass over the data.
    assert summary["epochs"] == pytest.approx(48 / len(rows), abs=1e-3)


def test_from_scratch_by_depth(prepared: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    code = train(
        f"--train_file {prepared}/val.txt --output_dir {tmp_path}/out --depth 1 --vocab_size 320 --max_length 32",
        f"--max_steps 2 --batch_size 2 {INLINE} --device cpu --no-inspect-data --set train.threads=1",
    )
    assert code == 0, capfd.readouterr().err
    config = json.loads((tmp_path / "out/config.json").read_text())
    assert (config["num_hidden_layers"], config["hidden_size"]) == (1, 64)
    assert (tmp_path / "out/model.safetensors").is_file()


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("--stride 64", ["stride", "less than"]),
        ("--use_4bit --use_8bit", ["contradict"]),
        ("--lora_r 0", ["--lora-r 0"]),
        ("--batch_size 0", ["--batch-size", "1 or more"]),
        ("--target_modules nope", ["no layer of this model", "q_proj"]),
        ("--max_length 4096", ["longer than the model's context", "128"]),
        ("--tokens 5 --set train.epochs=2", ["exclude each other"]),
        ("--lr_scheduler_type polynomial", ["cosine"]),
    ],
)
def test_mistakes_are_told_by_the_names_of_the_options(
    options: str,
    expected: list[str],
    tokens: Path,
    base: Path,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    command = f"--data {tokens} --output_dir {tmp_path}/out --model_name {base} {FLAGS} {options}"
    assert train(command) == 2
    printed = capfd.readouterr().err
    for word in expected:
        assert word in printed, printed
    assert "Traceback" not in printed


def test_another_vocabulary_is_refused(
    prepared: Path, base: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    other = make_tokenizer(tmp_path / "other", texts=["the quick brown fox jumps over the lazy dog"] * 50)
    command = (
        f"--train_file {prepared}/val.txt --output_dir {tmp_path}/out --model_name {base} {FLAGS} {INLINE}"
    )
    assert train(command, f"--tokenizer {other}") == 2
    assert "another vocabulary than the model's" in capfd.readouterr().err


def test_nothing_to_train_on(tmp_path: Path, base: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["train"]) == 2
    assert "nothing to train on" in capfd.readouterr().err
    assert train(f"--train_file {tmp_path}/none.txt --model_name {base} --output_dir {tmp_path}/out") == 2
    assert "none.txt" in capfd.readouterr().err
    assert train(f"--train_file {base}/config.json --model_name {tmp_path} --output_dir {tmp_path}/out") == 2
    assert train("--preset 12m --train_file x.txt") == 2
    assert "did you mean 125m" in capfd.readouterr().err


def test_preflight_prints_every_part(base: Path, prepared: Path, capfd: pytest.CaptureFixture[str]) -> None:
    code = train(
        f"--preflight --model_name {base} --train_file {prepared}/train.txt --use_4bit --max_length 64 --stride 16",
        "--gpus 8xH100@2,L4 --num_epochs 3",
    )
    printed = capfd.readouterr()
    assert code == 0, printed.err
    for word in (
        "parameters",
        "trained",
        "compute-optimal",
        "FLOPs",
        "8 x H100",
        "fsdp",
        "activations",
        "logits",
    ):
        assert word in printed.out
    assert "fits" in printed.out
    assert main(["train", "--preflight", "--preset", "tiny", "--gpus", "H10"]) == 2
    assert "did you mean" in capfd.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("how", ["ddp", "fsdp", "deepspeed"])
def test_adapters_on_two_processes_are_those_of_one(
    how: str, prepared: Path, base: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    command = (
        f"--train_file {prepared}/val.txt --model_name {base} --max_steps 4 --max_length 32 --stride 0 "
        "--batch_size 2 --device cpu --learning_rate 1e-3 --no-inspect-data --set train.threads=1 "
        f"{INLINE} --set train.batch_size=4 --set train.lora.dropout=0"
    )
    weights = []
    for processes in (1, 2):
        output = tmp_path / str(processes)
        options = f"--output_dir {output} --set train.processes={processes} --set train.parallel={how}"
        assert train(command, options if processes > 1 else options.replace(how, "auto")) == 0, (
            capfd.readouterr().err
        )
        weights.append(load_file(output / "adapter_model.safetensors"))
    # Whole weights, not those of one process: two blocks, seven projections, two matrices each.
    assert weights[0].keys() == weights[1].keys()
    assert len(weights[0]) == 2 * 7 * 2
    for name, value in weights[0].items():
        torch.testing.assert_close(weights[1][name], value, atol=1e-6, rtol=1e-4)


@pytest.mark.slow
@pytest.mark.skipif("TEXTMILL_DATA" not in os.environ, reason="TEXTMILL_DATA names no data folder")
@pytest.mark.timeout(900)
@pytest.mark.parametrize("method", ["", "--use_4bit", "--use_8bit"])
def test_quebec_french_on_a_novel(method: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    shared = Path(os.environ["TEXTMILL_DATA"], "gutenberg", "fr")
    novel = (shared / "13525-8_maria_chapdelaine_quebec_latin1.txt").read_text("latin-1")
    paragraphs = [" ".join(part.split()) for part in novel.split("\n\n") if len(part.split()) > 8]
    (tmp_path / "maria.txt").write_text("\n".join(paragraphs), "utf-8")
    base = make_tokenizer(tmp_path / "base", 2_000, paragraphs)
    make_llama(base, 2_000, hidden_size=128, intermediate_size=256, max_position_embeddings=1024)
    curated = (
        f"curate --input {tmp_path}/maria.txt --output {tmp_path}/data --merge --val_split 0.1 --seed 42"
    )
    assert main(curated.split()) == 0
    code = train(
        f"--train_file {tmp_path}/data/train.txt --val_file {tmp_path}/data/val.txt --model_name {base} {method}",
        f"--output_dir {tmp_path}/out --max_steps 30 --batch_size 4 --gradient_accumulation_steps 1 --max_length 128",
        "--stride 64 --learning_rate 1e-2 --logging_steps 3 --device cpu",
    )
    assert code == 0, capfd.readouterr().err
    summary = json.loads((tmp_path / "out/training_summary.json").read_text())
    history = json.loads((tmp_path / "out/trainer_state.json").read_text())["log_history"]
    losses = [row["loss"] for row in history if "loss" in row]
    assert losses[-1] < losses[0] - 0.1
    assert summary["final_perplexity"] < np.exp(losses[0])


def test_adopted_tokens_are_those_of_the_shards(base: Path, tmp_path: Path) -> None:
    from textmill.tokens.adopt import adopt_tokens, is_tokens
    from textmill.tokens.dataset import TokenSet

    (tmp_path / "texts.txt").write_text("\n".join(TEXT * 20))
    build = f"tokens build {tmp_path}/texts.txt --unit line --tokenizer {base} --output {tmp_path}/shards"
    assert main([*build.split(), "--shard-tokens", "500", "--workers", "1"]) == 0
    assert is_tokens(tmp_path / "shards")
    adopt_tokens(tmp_path / "shards", tmp_path / "run/tokens", seq_len=32, held_out=tmp_path / "shards")
    adopted: Any = TokenSet(tmp_path / "run/tokens", "train")
    shards = [np.load(file) for file in sorted((tmp_path / "shards").glob("train_*.npy"))]
    assert len(shards) > 1
    assert np.array_equal(adopted.read(0, adopted.tokens), np.concatenate(shards))
    assert (adopted.eos_id, adopted.documents) == (0, 60)
    assert TokenSet(tmp_path / "run/tokens", "validation").tokens == adopted.tokens
