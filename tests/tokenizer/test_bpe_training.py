"""Whole tokenizers from the kernels: the library's bytes, and the library's ids."""

import json
import os
import subprocess
import sys
import unicodedata
from itertools import pairwise
from pathlib import Path

import pytest
from pydantic import ValidationError
from tests.stage_context import LocalStageContext, tree_digests
from tests.tokenizer.corpus import HOSTILE, prose, write_corpus
from tokenizers import Tokenizer

from textmill.tokenizer import training
from textmill.tokenizer.bpe.counting import count_texts
from textmill.tokenizer.load import load_encoder
from textmill.tokenizer.patterns import PATTERNS, Cuts
from textmill.tokenizer.settings import TokenizerSection
from textmill.tokenizer.training import Trained, train

TEXTS = [
    *prose(),
    *HOSTILE * 3,
    "ﬁne Ångström ①② e\u0301e\u0301 한국어 ｶﾞ" * 5,
    "日本語のテキスト 2026年11月21日 " * 9,
]
CUTS = [
    *(Cuts(pattern) for pattern in PATTERNS),
    Cuts("gpt2", "single"),
    Cuts("gpt2", "three", "character"),
    Cuts("cl100k", "single", "character", "nfkc"),
    Cuts("o200k", normalizer="nfd"),
    Cuts("cl100k", normalizer="nfc"),
    Cuts("o200k", "single", "character", "nfkd"),
]


def both(cuts: Cuts, vocab_size: int = 1500, **options: object) -> tuple[Trained, Trained]:
    ways = [
        train(TEXTS, cuts=cuts, vocab_size=vocab_size, compiled=compiled, **options)  # type: ignore[arg-type]
        for compiled in (True, False)
    ]
    return ways[0], ways[1]


@pytest.mark.parametrize("cuts", CUTS, ids=str)
def test_kernels_and_library_write_the_same_bytes(cuts: Cuts) -> None:
    ours, theirs = both(cuts, special_tokens=["<|user|>", "<pad>"])
    assert ours.content == theirs.content
    assert ours.text_bytes == theirs.text_bytes
    assert len(json.loads(ours.content)["model"]["merges"]) == 1500 - 256 - 3


@pytest.mark.parametrize(
    "options", [{"min_frequency": 7}, {"max_token_length": 4}, {"vocab_size": 260}, {"vocab_size": 257}]
)
def test_limits(options: dict[str, int]) -> None:
    ours, theirs = both(Cuts(), **({"vocab_size": 5000} | options))  # type: ignore[arg-type]
    assert ours.content == theirs.content
    vocabulary = json.loads(ours.content)["model"]["vocab"]
    if "max_token_length" in options:
        assert max(map(len, vocabulary)) == 4


def test_exhausted_pairs_give_a_smaller_vocabulary() -> None:
    for texts in (["tiny"], ["a"], ["low low lower"]):
        ways = [train(texts, cuts=Cuts(), vocab_size=900, compiled=way).content for way in (True, False)]
        assert ways[0] == ways[1]


@pytest.mark.parametrize("cuts", CUTS, ids=str)
def test_the_library_and_transformers_give_our_ids(cuts: Cuts, tmp_path: Path) -> None:
    """Whatever the mill encodes with: kernels where they serve, the library where they do not."""
    from transformers import AutoTokenizer

    root = tmp_path / "run"
    context = LocalStageContext(root, {"documents": write_corpus(root, TEXTS)})
    options = {name: getattr(cuts, name) for name in ("pattern", "digits", "cjk", "normalizer")}
    TokenizerSection.model_validate({"train": {"vocab_size": 1200, **options}}).run(context)
    folder = root / "tokenizer"
    ours = load_encoder(folder, compiled=True)
    library = Tokenizer.from_file(str(folder / "tokenizer.json"))
    library.encode_special_tokens = True
    theirs = AutoTokenizer.from_pretrained(folder)
    for text in [*TEXTS[:40], *HOSTILE, *TEXTS[-2:]]:
        ids = ours.encode_batch([text])[0].tolist()
        assert ids == library.encode(text, add_special_tokens=False).ids
        if "<|" not in text:
            assert ids == theirs(text, add_special_tokens=False)["input_ids"]
        if cuts.normalizer == "none":
            assert ours.decode(ids) == text
        else:
            assert ours.decode(ids) == unicodedata.normalize(cuts.normalizer.upper(), text)
    assert any("which is slower" in line for line in context.said) == (cuts != Cuts(cuts.pattern))


def test_digits_and_cjk_hold_in_every_entry() -> None:
    content = train(
        TEXTS, cuts=Cuts("gpt2", "single", "character"), vocab_size=1500, min_frequency=1, compiled=True
    ).content
    library = Tokenizer.from_str(content)
    decoded = [library.decode([number]) for number in range(256, 1400)]
    assert not any(sum(character.isdigit() for character in entry) > 1 for entry in decoded)
    assert not any(sum("\u3041" <= character <= "\u9fff" for character in entry) > 1 for entry in decoded)


SCRIPT = """
import hashlib, sys
from tests.tokenizer.corpus import prose
from textmill.tokenizer.patterns import Cuts
from textmill.tokenizer.training import train
content = train(prose(), cuts=Cuts(), vocab_size=1500, compiled=True, threads=int(sys.argv[1])).content
sys.stdout.write(hashlib.sha256(content.encode()).hexdigest())
"""


def test_any_number_of_threads_gives_the_same_bytes() -> None:
    digests = set()
    for threads in ("1", "4"):
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT, threads],
            cwd=Path(__file__).parents[2],
            env=os.environ | {"PYTHONHASHSEED": threads},
            capture_output=True,
            text=True,
            check=True,
        )
        digests.add(done.stdout)
    assert len(digests) == 1


def test_large_texts_go_to_the_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "COMPILED_FROM_BYTES", sum(map(len, TEXTS)) // 2)
    trained = train(iter(TEXTS), cuts=Cuts(), vocab_size=700)
    assert trained.cut is not None
    assert trained.text_bytes == sum(len(text.encode()) for text in TEXTS)
    assert trained.content == both(Cuts(), 700)[1].content


def test_a_vocabulary_without_room_is_refused() -> None:
    with pytest.raises(ValueError, match="no room for 256 bytes and 3 special tokens"):
        train(TEXTS, cuts=Cuts(), vocab_size=258, special_tokens=["<a>", "<b>"])


def test_a_special_token_that_is_a_word_is_refused() -> None:
    with pytest.raises(ValueError, match="ordinary word"):
        train(["end\nend\n"] * 20, cuts=Cuts(), vocab_size=300, eos_token="end", compiled=True)


def test_too_many_words_are_cut_and_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "COMPILED_FROM_BYTES", 1)
    monkeypatch.setattr(
        training.train, "__kwdefaults__", training.train.__kwdefaults__ | {"most_word_bytes": 9000}
    )
    results = []
    for shards in (1, 4):
        root = tmp_path / str(shards)
        context = LocalStageContext(root, {"documents": write_corpus(root, TEXTS, shards)})
        results.append(TokenizerSection.model_validate({"train": {"vocab_size": 600}}).run(context))
        assert any("distinct words; merges were learned from the" in line for line in context.said)
        merging = [(done, total) for text, done, total in context.progressed if text == "merging pairs"]
        assert merging[-1][0] == merging[-1][1]
        assert all(a[0] <= b[0] for a, b in pairwise(merging))
    numbers = results[0].numbers
    assert numbers["least_word_count"] > 1
    assert numbers["words_used"] < numbers["distinct_words"]
    assert 0.5 < numbers["occurrences_used"] < 1
    assert numbers["vocab_size"] == 600
    assert tree_digests(tmp_path / "1" / "tokenizer") == tree_digests(tmp_path / "4" / "tokenizer")


def test_options_in_a_recipe() -> None:
    def section(**options: object) -> TokenizerSection:
        return TokenizerSection.model_validate({"train": {"vocab_size": 400, **options}})

    for name, pattern in {"llama3": "cl100k", "gpt4": "cl100k", "gpt4o": "o200k", "gpt2": "gpt2"}.items():
        found = section(pattern=name).train
        assert found is not None
        assert found.pattern == pattern
    for wrong in ({"digits": "four"}, {"cjk": "word"}, {"normalizer": "nfz"}, {"max_token_length": 1}):
        with pytest.raises(ValidationError):
            section(**wrong)
    with pytest.raises(ValidationError, match="digits means nothing to kind"):
        section(kind="sentencepiece-bpe", digits="single")


MEMORY = """
import random, sys
from pathlib import Path
from textmill.tokenizer.patterns import Cuts
from textmill.tokenizer.training import train
choose = random.Random(1)
letters = "etaoinshrdlucmfwypvbgkjqxz"
def texts(megabytes):
    for _ in range(megabytes):
        yield " ".join("".join(choose.choices(letters, k=choose.randint(2, 9))) for _ in range(155_000))
trained = train(texts(int(sys.argv[1])), cuts=Cuts(), vocab_size=2000, compiled=True, most_word_bytes=2**22)
status = Path("/proc/self/status").read_text()
print(int(status.split("VmHWM:")[1].split()[0]) // 1024, trained.cut.words, trained.cut.least_count)
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc")
def test_memory_does_not_follow_the_text() -> None:
    """Random words: nearly every one is new, and the table is full again and again."""
    measured = []
    for megabytes in ("15", "60"):
        done = subprocess.run(
            [sys.executable, "-c", MEMORY, megabytes], capture_output=True, text=True, check=True
        )
        measured.append([int(number) for number in done.stdout.split()])
    (small, few, _), (large, many, least) = measured
    assert many > 2.5 * few
    assert least > 1
    assert large < small + 150
    assert large < 1024


def test_nothing_is_left_behind(tmp_path: Path) -> None:
    train(TEXTS, cuts=Cuts(), vocab_size=500, compiled=True, scratch=tmp_path)
    assert list(tmp_path.iterdir()) == []
    assert count_texts([], Cuts(), tmp_path) == ([], 0)
