"""The filter ``language``."""

from __future__ import annotations

import math
import os
import re
import subprocess
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from tests.text import fasttext_files

from benchmarks import peers
from textmill.curate import Language
from textmill.curate.language import excerpts
from textmill.curate.language_codes import has_script, language_code
from textmill.documents import Batch
from textmill.errors import UserError
from textmill.steps import StepContext

SAMPLES = {
    "en": "It was a bright cold day in April, and the clocks were striking thirteen.",
    "de": "Es war ein heller und kalter Tag im April, und die Uhren schlugen eben dreizehn.",
    "fr": "C'était une journée d'avril froide et claire. Les horloges sonnaient treize heures.",
    "ru": "Был холодный ясный апрельский день, и часы пробили тринадцать.",
    "zh": "四月间，天气寒冷晴朗，钟敲了十三下。",
    "ja": "四月の晴れた寒い日だった。時計が十三時を打っている。",
}


def identify(texts: list[str], **options: object) -> tuple[list[str], list[float]]:
    scores = Language(**options).open(StepContext()).scores(Batch.from_texts(texts))
    return list(scores["language"]), [float(score) for score in scores["score"]]


def test_knows_languages_and_says_how_sure() -> None:
    languages, scores = identify(list(SAMPLES.values()))
    assert languages == list(SAMPLES)
    assert all(0.4 < score <= 1 for score in scores)
    assert min(scores[:4]) > 0.8


def test_keeps_what_is_asked_for() -> None:
    settings = Language(keep=["en", "fr"])
    scores = settings.open(StepContext()).scores(Batch.from_texts(list(SAMPLES.values())))
    language, score = settings.rules()
    assert language.keeps(scores["language"]).tolist() == [True, False, True, False, False, False]
    assert score.minimum == 0.65
    assert [rule.name for rule in Language().rules()] == ["score"]
    assert Language(keep="en").keep == ["en"]


@pytest.mark.parametrize("text", ["", " \n\t", "12345 67.8", "!?… ++", "😀😀", "\x00"])
def test_texts_without_letters_are_unknown(text: str) -> None:
    (language,), (score,) = identify([text])
    assert language == "unknown"
    assert math.isnan(score)
    first, second = Language(keep=["en"]).rules()
    assert not first.keeps([language]).any()
    assert second.keeps([score]).all()
    assert Language(keep=["en", "unknown"]).rules()[0].keeps([language]).all()


def test_a_menu_does_not_decide() -> None:
    menu = "Home Products About us Contact Sign in Register Search Help Terms of use Privacy policy " * 7
    body = (SAMPLES["fr"] + "\n") * 40
    assert identify([menu + body])[0] == ["fr"]


def test_shouting_does_not_change_the_language() -> None:
    texts = [
        "THE SOFTWARE IS PROVIDED AS IS, WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED",
        "ES WAR EIN HELLER UND KALTER TAG IM APRIL, UND DIE UHREN SCHLUGEN EBEN DREIZEHN.",
    ]
    assert identify(texts)[0] == ["en", "de"]


@settings(max_examples=25, deadline=None)  # each loads the model
@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=200), st.integers(30, 90))
def test_any_text_gets_an_answer(text: str, characters: int) -> None:
    (language,), (score,) = identify([text], characters=characters)
    assert (language == "unknown") == math.isnan(score)
    assert math.isnan(score) or 0 <= score <= 1
    excerpt = excerpts(text, characters)
    assert "\n" not in excerpt
    assert "\0" not in excerpt


def test_excerpts_are_beginning_middle_and_end() -> None:
    text = "a" * 1000 + "b" * 1000 + "c" * 1000
    assert excerpts(text, 300) == "a" * 100 + " " + "b" * 100 + " " + "c" * 100
    assert excerpts("short\ntext", 300) == "short text"


@given(
    st.text(st.one_of(st.characters(exclude_categories=["Cs"]), st.sampled_from(" \t\n\0\x1c\x85\u2028AbZ")))
)
def test_excerpts_are_what_regular_expressions_would_give(text: str) -> None:
    plain = re.sub(r"[\s\x00]+", " ", text)
    shouted = len(re.findall("[A-Z]", plain)) > len(re.findall("[a-z]", plain))
    assert excerpts(text, 10_000) == (plain.lower() if shouted else plain)


def test_batches_do_not_matter() -> None:
    texts = list(SAMPLES.values())
    assert identify(texts) == tuple(
        [values[0] for values in part] for part in zip(*(identify([text]) for text in texts), strict=True)
    )


def test_model_is_part_of_the_fingerprint(tmp_path: Path) -> None:
    (path,) = Language().files()
    assert Path(path).name == "lid.176.ftz"
    copy = tmp_path / "mine.ftz"
    copy.write_bytes(Path(path).read_bytes())
    assert identify(["Es war kalt."], model=str(copy))[0] == ["de"]
    before = Language(model=str(copy)).fingerprint()
    copy.write_bytes(b"no model")
    assert Language(model=str(copy)).fingerprint() != before
    with pytest.raises(UserError, match="no language model of fastText"):
        Language(model=str(copy)).open(StepContext())
    with pytest.raises(UserError, match="not found"):
        Language(model=str(tmp_path / "none.bin")).files()


@pytest.fixture(scope="module")
def glot(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A model with labels of language and script, as GlotLID's: three words, of which each has its own label."""
    path = tmp_path_factory.mktemp("models") / "glot.bin"
    ones = np.eye(3, dtype=np.float32)
    fasttext_files.write(
        path,
        words=["the", "нож", "mbi"],
        labels={"__label__eng_Latn": 3, "__label__srp_Cyrl": 2, "__label__als_Latn": 1},
        rows=ones,
        outputs=10 * ones,
    )
    return str(path)


@pytest.mark.parametrize(
    "keep, kept",
    [
        (["en"], [True, False, False]),
        (["eng"], [True, False, False]),
        (["eng_Latn", "srp_Latn"], [True, False, False]),
        (["sr", "als"], [False, True, True]),
        (["srp_Cyrl", "unknown"], [False, True, False]),
    ],
)
def test_labels_with_scripts(keep: list[str], kept: list[bool], glot: str) -> None:
    settings = Language(keep=keep, model=glot)
    runner = settings.open(StepContext())
    scores = runner.scores(Batch.from_texts(["the cat", "нож", "mbi"]))
    assert scores["language"] == ["en", "sr", "als"]
    assert scores["label"] == ["eng_Latn", "srp_Cyrl", "als_Latn"]
    assert min(scores["score"]) > 0.99  # type: ignore[type-var]
    assert identify(["words that it does not know"], model=glot)[0] == ["unknown"]
    rule = settings.rules()[0]
    assert rule.name == "language"
    assert rule.keeps(scores[rule.score]).tolist() == kept


TRAINER = """
import sys, fasttext
folder, quantise = sys.argv[1], dict(qnorm=True, dsub=2, cutoff=300, retrain=False)
for name, options in {
    "softmax": dict(loss="softmax", dim=16, minn=2, maxn=5),
    "tree": dict(loss="hs", dim=8, minn=2, maxn=4),
    "runs": dict(loss="ova", dim=10, wordNgrams=3, minn=0, maxn=0),
}.items():
    model = fasttext.train_supervised(
        f"{folder}/lines.txt", bucket=1000, epoch=60, lr=0.5, thread=1, seed=1, verbose=0, **options
    )
    model.save_model(f"{folder}/{name}.bin")
    if options["maxn"]:
        model.quantize(input=f"{folder}/lines.txt", verbose=0, **quantise)
        model.save_model(f"{folder}/{name}.ftz")
"""
TRAINING = {
    "eng_Latn": "the clocks of the town were striking and people came with lamps to the square to talk about it",
    "deu_Latn": "die Uhren der Stadt schlugen und die Leute kamen mit Lampen auf den Platz um davon zu reden",
    "srp_Cyrl": "градски сатови су откуцавали и људи су долазили са лампама на трг да причају о томе",
    "srp_Latn": "gradski satovi su otkucavali i ljudi su dolazili sa lampama na trg da pričaju o tome",
    "zho_Hans": "城里 的 钟 敲 了 人们 提着 灯 来到 广场 谈论 这件 事情",
}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Models that fastText itself has trained, in the environment of the benchmarks' peers."""
    python = peers.default_folder() / "bin" / "python"
    if not python.exists() or not peers.has(python, "fasttext"):
        pytest.skip("no fastText that can train: run `python -m benchmarks.peers`")
    folder = tmp_path_factory.mktemp("trained")
    lines = []
    for label, sentence in TRAINING.items():
        words = sentence.split()
        lines += [f"__label__{label} {' '.join(words[start : start + 6])}" for start in range(len(words) - 5)]
    (folder / "lines.txt").write_text("\n".join(lines) + "\n", "utf-8")
    done = subprocess.run([python, "-c", TRAINER, folder], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.parametrize("name", ["softmax.bin", "softmax.ftz", "tree.bin", "tree.ftz", "runs.bin"])
def test_models_that_fasttext_has_trained(trained: Path, name: str) -> None:
    import fasttext

    model = fasttext.load_model(str(trained / name))
    texts = [*TRAINING.values(), *SAMPLES.values(), "Uhren und lampama", "the the the", "la la"]
    runner = Language(model=str(trained / name)).open(StepContext())
    scores = runner.scores(Batch.from_texts(texts))
    assert scores["label"][: len(TRAINING)] == list(TRAINING)
    for text, label, score in zip(texts, scores["label"], scores["score"], strict=True):
        labels, probabilities = model.predict(excerpts(text, 1500))
        assert labels[0] == f"__label__{label}"
        assert score == pytest.approx(min(1, probabilities[0]), abs=1e-6)


def test_codes() -> None:
    assert [
        language_code(label) for label in ("eng", "en", "cmn_Hani", "arb-Arab", "ceb_Latn", "als", "x")
    ] == [*("en", "en", "zh", "ar", "ceb", "als", "x")]
    assert not has_script("zh_hans")
    with pytest.raises(ValidationError, match="with all languages or with none"):
        Language(keep=["eng_Latn", "de"])


def test_mixed_documents_are_judged_by_their_paragraphs() -> None:
    english, german = SAMPLES["en"] * 2, SAMPLES["de"] * 2
    texts = [english, f"{english}\n\n{german}", f"{english}\n\nja ja ja\n\n{'1234 ' * 20}", "ja", ""]
    for options in ({}, {"keep": ["en"]}):
        settings = Language(min_share=0.6, min_score=0, **options)  # type: ignore[arg-type]
        scores = settings.open(StepContext()).scores(Batch.from_texts(["x", *texts]).slice(1, 5))
        share = [float(value) for value in scores["share"]]
        assert share[0] == share[2] == 1
        assert share[1] == pytest.approx(len(english) / len(english + german), abs=0.2)
        assert all(map(math.isnan, share[3:]))
        assert settings.rules()[-1].describe() == "share >= 0.6"
    assert "share" not in Language().open(StepContext()).scores(Batch.from_texts(texts))


def test_short_texts_may_be_unknown() -> None:
    assert identify(["Es war kalt.", "Es war"], min_letters=6)[0] == ["de", "unknown"]


@pytest.mark.skipif("TEXTMILL_DATA" not in os.environ, reason="TEXTMILL_DATA names no data folder")
def test_the_declaration_of_human_rights_in_many_languages() -> None:
    folder = Path(os.environ["TEXTMILL_DATA"], "multilingual", "udhr2")
    files = {language: next(folder.glob(f"{code}*.txt"), None) for language, code in
             {"en": "eng", "fr": "fra", "de": "deu", "es": "spa", "ru": "rus", "nl": "nld"}.items()}  # fmt: skip
    known = {language: path for language, path in files.items() if path}
    assert known
    texts = [path.read_text("utf-8", "replace") for path in known.values()]
    assert identify(texts)[0] == list(known)
