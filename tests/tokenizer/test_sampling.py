import json
import os
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.stage_context import LocalStageContext
from tests.tokenizer.corpus import prose

from textmill.documents import Batch, Document, ShardWriter
from textmill.errors import UserError
from textmill.steps.stage import StageResult
from textmill.tokenizer import sampling
from textmill.tokenizer.languages import LanguageGuesser, stated_language
from textmill.tokenizer.load import load_encoder
from textmill.tokenizer.sampling import group_shares, sample_by_group, sample_evenly
from textmill.tokenizer.settings import TokenizerSection

SIZES = {"en": 900_000, "fr": 90_000, "sw": 9_000}


def write_languages(
    root: Path, documents: list[tuple[str, str, str | None]], shards: int = 2
) -> tuple[StageResult, list[Path]]:
    """Shards of (source, text, language), as the pipeline leaves them."""
    folder = root / "passes" / "0-ingest" / "documents"
    folder.mkdir(parents=True)
    outputs, size = [], 0
    for shard in range(shards):
        path = folder / f"{shard:06d}.parquet"
        with ShardWriter(path) as writer:
            for number, (source, text, language) in enumerate(documents):
                if number * shards // len(documents) == shard:
                    metadata = None if language is None else json.dumps({"language": language})
                    document = Document(str(number), text, metadata=metadata)
                    writer.write(Batch.from_documents(source, [document]))
                    size += len(text.encode())
        outputs.append(f"passes/0-ingest/documents/{path.name}")
    return StageResult(outputs, {"text_bytes": size}), [root / path for path in outputs]


def shares(**changed: Any) -> dict[str, int]:
    options = {"sample_bytes": 100_000, "weights": {}, "exponent": 0.3, "repeat": 1} | changed
    return {name: share.target for name, share in group_shares(SIZES, **options).items()}


def test_shares_by_hand() -> None:
    # 900000**.3 = 61.1, 90000**.3 = 30.6, 9000**.3 = 15.4: swahili gives the 9,000 it has, the rest is shared.
    found = shares()
    assert found["sw"] == 9000
    assert found["en"] / found["fr"] == pytest.approx(10**0.3, rel=1e-4)
    assert sum(found.values()) == pytest.approx(100_000, abs=3)
    # Repeated up to ten times it gets what it should.
    assert shares(repeat=10)["sw"] == pytest.approx(100_000 * 15.36 / (15.36 + 30.64 + 61.14), rel=1e-2)
    assert shares(exponent=1) == pytest.approx({"en": 90090, "fr": 9009, "sw": 900}, abs=1)
    assert shares(exponent=0, repeat=10) == dict.fromkeys(SIZES, 33_333)
    doubled = shares(exponent=0, repeat=10, weights={"fr": 2})
    assert doubled["fr"] == 2 * doubled["en"] == 50_000
    assert shares(weights={"en": 0}).keys() == {"fr", "sw"}
    assert shares(sample_bytes=10**9) == SIZES


@given(
    sizes=st.dictionaries(st.text(max_size=3), st.integers(0, 10**9), max_size=8),
    sample=st.integers(1, 10**10),
    exponent=st.floats(0, 1),
    repeat=st.integers(1, 5),
    weight=st.floats(0, 100),
)
def test_no_share_is_more_than_there_is(
    sizes: dict[str, int], sample: int, exponent: float, repeat: int, weight: float
) -> None:
    weights = dict.fromkeys(list(sizes)[:1], weight)
    found = group_shares(sizes, sample_bytes=sample, weights=weights, exponent=exponent, repeat=repeat)
    assert sum(share.target for share in found.values()) <= sample + len(sizes)
    assert all(0 <= share.target <= repeat * sizes[name] for name, share in found.items())
    usable = {name: size for name, size in sizes.items() if size and weights.get(name, 1.0) > 0}
    assert found.keys() == usable.keys()
    enough = sum(usable.values()) * repeat >= sample
    if usable and enough:
        assert sum(share.target for share in found.values()) >= sample - 2 * len(sizes) - sample * 1e-9


def take(paths: list[Path], size: int, **changed: Any) -> list[str]:
    options: dict[str, Any] = {
        "sample_bytes": 60_000, "corpus_bytes": size, "seed": 3, "weights": {}, "exponent": 0.0, "repeat": 3,
        "group": lambda record: record["source"],
    }  # fmt: skip
    _, texts = sample_by_group(paths, **(options | changed))
    return list(texts)


def sources(count: int = 3000) -> list[tuple[str, str, str | None]]:
    return [("rare" if n % 30 == 0 else "common", f"{n:05d}" + "x" * 95, None) for n in range(count)]


def test_a_sample_evened_out_depends_on_ids_and_seed_alone(tmp_path: Path) -> None:
    documents = sources()
    result, one = write_languages(tmp_path / "one", documents, 1)
    _, six = write_languages(tmp_path / "six", documents, 6)
    size = int(result.numbers["text_bytes"])
    sample = take(one, size)
    assert sample == take(six, size)
    assert sample != take(one, size, seed=4)
    times = Counter(sample)
    rare = {text: count for text, count in times.items() if int(text[:5]) % 30 == 0}
    # A hundred rare documents of a hundred bytes, three times at most; the other 30,000 bytes are common ones.
    assert len(rare) == 100
    assert set(rare.values()) == {3}
    assert 230 < len(times) - 100 < 370
    assert sum(map(len, sample)) == pytest.approx(60_000, rel=0.12)


def test_a_pool_of_a_large_corpus_is_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    result, paths = write_languages(tmp_path / "run", sources(), 3)
    monkeypatch.setattr(sampling, "POOL_SAMPLES", 2)
    size = int(result.numbers["text_bytes"])
    sample = take(paths, size, sample_bytes=50_000, repeat=1)
    rare = [text for text in sample if int(text[:5]) % 30 == 0]
    # A third of the corpus is looked at, and all that is rare in it is taken, once.
    assert 15 < len(rare) == len(set(rare)) < 60
    assert sum(map(len, sample)) == pytest.approx(50_000, rel=0.15)


def test_more_groups_than_there_are_numbers_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sampling, "MOST_GROUPS", 2)
    documents = [(f"source {number % 5}", "x" * 100, None) for number in range(50)]
    result, paths = write_languages(tmp_path / "run", documents, 2)
    found, texts = sample_by_group(
        paths, sample_bytes=10**6, corpus_bytes=int(result.numbers["text_bytes"]), seed=0, weights={},
        exponent=1.0, repeat=1, group=lambda record: record["source"],
    )  # fmt: skip
    assert {name: share.available for name, share in found.items()} == {
        "source 0": 1000, "source 1": 1000, sampling.OTHERS: 3000
    }  # fmt: skip
    assert len(list(texts)) == 50


def test_languages_stated_and_guessed() -> None:
    assert stated_language('{"language": "sw"}') == "sw"
    assert stated_language('{"title": "my language"}') is None
    assert stated_language('{"lang": ""}') is None
    assert stated_language("[") is None
    assert stated_language('[1, "lang"]') is None
    assert stated_language(None) is None
    guesser = LanguageGuesser()
    assert (
        guesser.language("Tous les êtres humains naissent libres et égaux en dignité et en droits.") == "fr"
    )
    assert guesser.language("Tous les êtres humains naissent libres", '{"language": "xx"}') == "xx"
    assert guesser.language("12345 !!!") == "unknown"
    assert guesser.language("") == "unknown"
    assert LanguageGuesser(guess=False).language("Tous les êtres humains") == "unknown"


def test_measured_evenly_from_all_parts_of_a_shard(tmp_path: Path) -> None:
    documents = [("s", f"{number:04d}" + "y" * 96, None) for number in range(1000)]
    _, paths = write_languages(tmp_path / "run", documents, 1)
    texts = [text for text, _ in sample_evenly(paths, texts_bytes=5_000)]
    assert sum(map(len, texts)) == pytest.approx(5_000, rel=0.5)
    numbers = [int(text[:4]) for text in texts]
    assert min(numbers) < 100
    assert max(numbers) > 900


def trained(root: Path, documents: list[tuple[str, str, str | None]], **train: Any) -> dict[str, Any]:
    result, _ = write_languages(root, documents)
    context = LocalStageContext(root, {"documents": result})
    section = {"train": {"vocab_size": 600, **train}}
    numbers = dict(TokenizerSection.model_validate(section).run(context).numbers)
    numbers["said"] = context.said
    return numbers


FRENCH = "Les êtres humains sont doués de raison et doivent agir dans un esprit de fraternité. "


def test_weights_make_a_language_cheaper(tmp_path: Path) -> None:
    documents = [("web", text, "en") for text in prose()[:60]] + [("web", FRENCH * 3, "fr")]
    plain = trained(tmp_path / "plain", documents)
    even = trained(tmp_path / "even", documents, sample={"exponent": 0, "weights": {"sw": 2}})
    heavy = trained(tmp_path / "heavy", documents, sample={"exponent": 0, "weights": {"fr": 50}})
    costs = [numbers["languages"]["fr"]["tokens_per_word"] for numbers in (plain, even, heavy)]
    assert costs[0] > costs[1] >= costs[2]
    assert even["sample_by"] == "language"
    assert even["sample"]["fr"]["target_bytes"] == 10 * even["sample"]["fr"]["available_bytes"]
    assert even["sample"]["fr"]["target_bytes"] < even["sample"]["en"]["target_bytes"]
    assert any("name sw, which no document belongs to" in line for line in even["said"])
    assert set(plain["languages"]) == {"en", "fr"}
    assert "sample" not in plain
    with pytest.raises(UserError, match="leave no text"):
        trained(tmp_path / "none", documents, sample={"weights": {"fr": 0, "en": 0, "sw": 1}})


def test_by_source(tmp_path: Path) -> None:
    documents = [("books", text, None) for text in prose()[:30]] + [("web", FRENCH * 3, None)]
    numbers = trained(tmp_path / "run", documents, sample={"by": "source"})
    assert set(numbers["sample"]) == {"books", "web"}
    assert json.dumps(numbers)


DATA = Path(os.environ.get("TEXTMILL_DATA", "").split(os.pathsep)[0])
LANGUAGES = ("eng", "fra", "spa", "rus", "hin", "arb", "jpn", "cmn_hans", "kor", "swh", "vie", "fin")


@pytest.mark.skipif("TEXTMILL_DATA" not in os.environ, reason="TEXTMILL_DATA names no data folder")
def test_a_multilingual_vocabulary_is_fairer_when_evened_out(tmp_path: Path) -> None:
    """Twelve languages with one text each, and an English novel: the other eleven get cheaper together."""
    texts = {name: (DATA / "multilingual" / "udhr2" / f"{name}.txt").read_text("utf-8") for name in LANGUAGES}
    novel = (DATA / "gutenberg" / "en" / "1342-0_pride_and_prejudice.txt").read_text("utf-8")
    documents = [("udhr", text, name) for name, text in texts.items()]
    documents += [("books", chapter, "eng") for chapter in novel.split("Chapter")]
    costs: dict[str, dict[str, int]] = {}
    for name, train in {"plain": {}, "even": {"sample": {"by": "language"}}}.items():
        trained(tmp_path / name, documents, vocab_size=6000, **train)
        encoder = load_encoder(tmp_path / name / "tokenizer")
        costs[name] = {language: len(encoder.encode_batch([text])[0]) for language, text in texts.items()}
    ratios = {name: costs["even"][name] / costs["plain"][name] for name in LANGUAGES}
    others = [name for name in LANGUAGES if name != "eng"]
    assert all(ratios[name] < 1 for name in others), ratios
    assert sum(costs["even"][name] for name in others) < 0.85 * sum(costs["plain"][name] for name in others)
    assert ratios["eng"] < 1.3
