"""Gopher's rules: their order, their bounds, and what they find."""

from __future__ import annotations

import math

import numpy as np
import pytest
from pydantic import ValidationError

from textmill.curate import FineWeb, GopherQuality, GopherRepetition
from textmill.curate.language_profiles import SOURCE, language_profiles
from textmill.curate.tokens import tokens_of
from textmill.documents import Batch
from textmill.errors import UserError
from textmill.steps import Filter, StepContext
from textmill.text import dictionary

needs_dictionaries = pytest.mark.skipif(
    not dictionary.has_dictionaries(), reason="the extra cjk is not installed"
)
PROSE = (
    "The clocks of the town have struck, and that is the sign to be waited for. People come with lamps of "
    "all kinds to the square, sit down in rows, and talk about what they have seen on the way. "
    "Nobody is in a hurry; nobody has anything else to do before the first boat comes in with the tide."
)


def first_failure(settings: Filter, text: str) -> str | None:
    scores = settings.open(StepContext()).scores(Batch.from_texts([text]))
    for rule in settings.rules():
        if not rule.keeps(scores[rule.score])[0]:
            return rule.name
    return None


def test_quality_rules_in_the_papers_order() -> None:
    assert [rule.describe() for rule in GopherQuality().rules()] == [
        "words >= 50 and words <= 100000",
        "mean_word_length >= 3 and mean_word_length <= 10",
        "hash_ratio <= 0.1",
        "ellipsis_ratio <= 0.1",
        "bullet_lines_ratio <= 0.9",
        "ellipsis_lines_ratio <= 0.3",
        "alphabetic_words_ratio >= 0.8",
        "stop_words >= 2",
    ]


def test_repetition_rules_in_the_papers_order() -> None:
    assert [(rule.score, rule.maximum) for rule in GopherRepetition().rules()] == [
        ("duplicate_paragraphs", 0.30),
        ("duplicate_paragraph_characters", 0.20),
        ("duplicate_lines", 0.30),
        ("duplicate_line_characters", 0.20),
        ("top_2_gram", 0.20),
        ("top_3_gram", 0.18),
        ("top_4_gram", 0.16),
        ("duplicate_5_grams", 0.15),
        ("duplicate_6_grams", 0.14),
        ("duplicate_7_grams", 0.13),
        ("duplicate_8_grams", 0.12),
        ("duplicate_9_grams", 0.11),
        ("duplicate_10_grams", 0.10),
    ]


@pytest.mark.parametrize(
    "text, rule",
    [
        (PROSE, None),
        ("Too short.", "words"),
        ("", "words"),
        ("a b c d e " * 20, "mean_word_length"),
        ("incomprehensibilities " * 60, "mean_word_length"),
        (PROSE.replace(" of ", " # # # # "), "hash_ratio"),
        (PROSE.replace(" the ", " … the … "), "ellipsis_ratio"),
        ("\n".join("- " + line for line in PROSE.split(", ")), "bullet_lines_ratio"),
        (PROSE.replace(", ", "...\n") + "...", "ellipsis_lines_ratio"),
        (PROSE + " 1918 2024 30000 1234" * 6, "alphabetic_words_ratio"),
        ("Nothing here looks like English prose because every small word went missing. " * 6, "stop_words"),
    ],
)
def test_quality_finds(text: str, rule: str | None) -> None:
    assert first_failure(GopherQuality(), text) == rule


@pytest.mark.parametrize(
    "text, rule",
    [
        (PROSE, None),
        ("\n\n".join([PROSE, "Alpha beta.", "Alpha beta.", "Alpha beta."]), "duplicate_paragraphs"),
        ("\n\n".join([PROSE, PROSE, *PROSE.split(", ")]), "duplicate_paragraph_characters"),
        ("\n".join([*PROSE.split(", "), *["Read more"] * 8]), "duplicate_lines"),
        ("\n".join([PROSE, PROSE, *PROSE.split(", ")]), "duplicate_line_characters"),
        ("again and " * 40 + PROSE, "top_2_gram"),
    ],
)
def test_repetition_finds(text: str, rule: str | None) -> None:
    assert first_failure(GopherRepetition(), text) == rule


def test_a_null_bound_is_no_rule() -> None:
    assert "words" not in {rule.name for rule in GopherQuality(min_words=None, max_words=None).rules()}
    assert GopherQuality(max_words=None).rules()[0].describe() == "words >= 50"
    assert len(GopherRepetition(max_top_2gram=None).rules()) == 12


def test_every_rule_has_its_score_and_every_score_a_rule() -> None:
    for settings in (GopherQuality(), GopherRepetition()):
        scores = settings.open(StepContext()).scores(Batch.from_texts([PROSE, ""]))
        assert [rule.score for rule in settings.rules()] == list(scores)
        assert all(np.shape(values) == (2,) and np.isfinite(values).all() for values in scores.values())


def test_scripts_without_spaces_are_not_judged_by_their_words() -> None:
    chinese = "四月间，天气寒冷晴朗，钟敲了十三下。" * 3
    scores = GopherQuality().open(StepContext()).scores(Batch.from_texts([chinese, PROSE]))
    for name in ("words", "mean_word_length", "stop_words"):
        assert math.isnan(scores[name][0])  # type: ignore[arg-type]
        assert not math.isnan(scores[name][1])  # type: ignore[arg-type]
    assert first_failure(GopherQuality(), chinese) is None


UNSPACED = {
    "zh": "人人有权享有生命、自由和人身安全。任何人不得使为奴隶或奴役;一切形式的奴隶制度和奴隶买卖,均应予以禁止。"
    "他在城里住了很多年,对那里的街道和人都很熟悉,有时候也会在河边走一走,看看来往的船只。"
    "天黑以后,灯光照在水面上,孩子们还在院子里玩,老人坐在门前说着过去的事情。",
    "ja": "すべての人は、生命、自由及び身体の安全に対する権利を有する。町の時計が鳴ると、人々は灯を持って広場に集まり、"
    "列になって座り、道で見たことについて話す。急いでいる人はいない。最初の船が潮と共に来るまで、することは何もないのである。",
    "th": "ทุกคนมีสิทธิในการดำรงชีวิต ในเสรีธรรม และในความปลอดภัยแห่งร่างกาย เมื่อนาฬิกาของเมืองดังขึ้น ผู้คนจะถือโคมไฟมาที่ลานกว้าง "
    "นั่งเรียงกันเป็นแถว และเล่าเรื่องที่ได้เห็นระหว่างทาง ไม่มีใครรีบร้อน เพราะไม่มีอะไรต้องทำก่อนที่เรือลำแรกจะมาถึง",
}


@needs_dictionaries
@pytest.mark.parametrize("language", UNSPACED)
def test_dictionaries_find_the_words_of_scripts_without_spaces(language: str) -> None:
    text = UNSPACED[language]
    for settings in (
        GopherQuality(dictionary=True),
        GopherQuality(dictionary=True, language=language),
        GopherQuality(dictionary=True, language="auto"),
        GopherRepetition(dictionary=True),
        GopherRepetition(dictionary=True, tokens="english"),
    ):
        assert first_failure(settings, text) is None, settings
    scores = (
        GopherQuality(dictionary=True, language="auto")
        .open(StepContext())
        .scores(Batch.from_texts([text, PROSE]))
    )
    assert scores["language"] == [language, "en"]
    for name in ("words", "mean_word_length", "stop_words"):
        assert np.isfinite(scores[name]).all()  # type: ignore[arg-type]
    assert 4 < scores["mean_word_length"][0] < 6  # type: ignore[operator]
    assert first_failure(GopherQuality(dictionary=True), text[:30]) == "words"


def test_runs_of_characters_are_not_runs_of_words() -> None:
    """A text in a script without spaces is judged by its lines, and by its words if these are looked up."""
    text = UNSPACED["ja"] + "生命、自由及び身体の安全に対する権利" * 3
    assert first_failure(GopherRepetition(), text) is None
    assert (
        first_failure(GopherRepetition(), "\n".join([*UNSPACED["ja"].split("、"), *["続きを読む"] * 8]))
        == "duplicate_lines"
    )
    scores = GopherRepetition().open(StepContext()).scores(Batch.from_texts([text, PROSE]))
    for name, values in scores.items():
        assert np.isnan(values).tolist() == ["gram" in name, False]  # type: ignore[arg-type]
    if dictionary.has_dictionaries():
        looked_up = GopherRepetition(dictionary=True)
        assert first_failure(looked_up, UNSPACED["ja"]) is None
        assert first_failure(looked_up, text) == "top_4_gram"
    assert GopherRepetition(dictionary=True).fingerprint() != GopherRepetition().fingerprint()


@needs_dictionaries
@pytest.mark.parametrize(
    "text, rule",
    [
        ("点击这里购买便宜的商品。" * 40, "stop_words"),
        ("".join(chr(0x4E00 + 7919 * i % 20000) for i in range(500)), "mean_word_length"),
        (
            "首页 新闻 体育 财经 娱乐 科技 汽车 房产 教育 健康 旅游 游戏 登录 注册 帮助 搜索 " * 5,
            "stop_words",
        ),
    ],
)
def test_dictionaries_find_what_is_no_prose(text: str, rule: str) -> None:
    assert first_failure(GopherQuality(dictionary=True, language="zh"), text) == rule
    repeated = GopherRepetition(dictionary=True)
    assert (first_failure(repeated, text) is None) == (rule == "mean_word_length")


@needs_dictionaries
def test_words_are_looked_up_once_for_all_rules(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    find = dictionary.dictionary_words
    monkeypatch.setattr(dictionary, "dictionary_words", lambda *given: asked.append(1) or find(*given))
    batch = Batch.from_texts([*UNSPACED.values(), PROSE])
    for settings in (
        GopherQuality(dictionary=True),
        GopherQuality(dictionary=True, language="auto", tokens="english"),
        GopherRepetition(dictionary=True),
        FineWeb(dictionary=True),
    ):
        settings.open(StepContext()).scores(batch)
    assert len(asked) == 1


def test_a_language_in_another_script_is_not_judged_by_its_words() -> None:
    """A label may be wrong, or a page of a Chinese site be mostly in English."""
    if not dictionary.has_dictionaries():
        pytest.skip("the extra cjk is not installed")
    scores = (
        GopherQuality(dictionary=True, language="zh").open(StepContext()).scores(Batch.from_texts([PROSE]))
    )
    assert scores["words"][0] > 50  # type: ignore[operator]
    assert np.isnan(scores["mean_word_length"]).all()  # type: ignore[arg-type]
    assert np.isnan(scores["stop_words"]).all()  # type: ignore[arg-type]


def test_dictionaries_that_are_missing_or_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValidationError, match="write dictionary: true beside language"):
        GopherQuality(language="ja")
    monkeypatch.setattr(dictionary, "find_spec", lambda name: None)
    for settings in (
        GopherQuality(dictionary=True),
        GopherRepetition(dictionary=True),
        FineWeb(dictionary=True),
    ):
        with pytest.raises(UserError, match=r"textmill\[cjk\]"):
            settings.open(StepContext())


def test_stop_words_can_be_others() -> None:
    french = (
        "Les gens de la ville sont venus avec des lampes et ils parlent de tout ce qui est dans la rue. " * 3
    )
    assert first_failure(GopherQuality(), french) == "stop_words"
    assert first_failure(GopherQuality(stop_words=["de", "la", "et", "les"]), french) is None


FRENCH = (
    "Les gens de la ville sont venus avec des lampes et ils parlent de tout ce qui est dans la rue. Il ne "
    "pleut pas, le soir est doux. "
)
FINNISH = (
    "Kaupungin asukkaat tulevat torille lyhtyjen kanssa, ja he puhuvat kaikesta, mitä on nähty matkalla. "
)


def test_a_language_brings_stop_words_and_word_lengths() -> None:
    assert first_failure(GopherQuality(), FRENCH * 3) == "stop_words"
    for language in ("fr", "fra", "fra_Latn", "auto"):
        assert first_failure(GopherQuality(language=language), FRENCH * 3) is None
    assert first_failure(GopherQuality(language="en"), FRENCH * 3) == "stop_words"
    plain, scaled = (
        settings.open(StepContext()).scores(Batch.from_texts([FINNISH]))["mean_word_length"][0]
        for settings in (GopherQuality(), GopherQuality(language="fi"))
    )
    assert plain / scaled == pytest.approx(language_profiles()["fi"].word_length)
    assert language_profiles()["en"].word_length == 1


def test_each_document_by_its_own_language() -> None:
    latin = "Gallia est omnis divisa in partes tres, quarum unam incolunt Belgae, aliam Aquitani. " * 5
    batch = Batch.from_texts([PROSE, FRENCH * 3, latin, FRENCH * 3, ""])
    scores = GopherQuality(language="auto").open(StepContext()).scores(batch)
    assert scores["language"] == ["en", "fr", "la", "fr", "unknown"]
    assert "la" not in language_profiles()
    assert np.isnan(scores["stop_words"]).tolist() == [False, False, True, False, True]  # type: ignore[arg-type]
    alone = GopherQuality(language="fr").open(StepContext()).scores(batch.slice(1, 1))
    assert all(scores[name][1] == scores[name][3] == values[0] for name, values in alone.items())


def test_what_is_known_of_languages() -> None:
    profiles = language_profiles()
    assert len(profiles) == 281
    for profile in profiles.values():
        assert 0.3 < profile.word_length < 3.1
        assert 0.2 < profile.text_length < 3
        assert 6 <= len(profile.stop_words) == len(set(profile.stop_words))
    assert {"the", "of", "and", "to"} <= set(profiles["en"].stop_words)
    assert {"de", "la", "et", "les"} <= set(profiles["fr"].stop_words)
    assert not {"right", "rights", "everyone", "freedom"} & set(profiles["en"].stop_words)


def test_languages_are_checked() -> None:
    with pytest.raises(ValidationError, match="nothing is known about the language 'xx'"):
        GopherQuality(language="xx")
    with pytest.raises(ValidationError, match="brings its own stop words"):
        GopherQuality(language="fr", stop_words=["de"])
    assert GopherQuality(language="fr").files() == [str(SOURCE)]
    for written_out in (GopherQuality(language="fr"), GopherQuality(language="auto", dictionary=True)):
        assert GopherQuality.model_validate(written_out.model_dump()) == written_out  # as workers get it
    assert len(GopherQuality(language="auto").files()) == 2
    assert GopherQuality().files() == []


def test_english_tokens() -> None:
    text = (
        PROSE
        + "\nI'm up 24/7, at 10:43 a.m., with IL-3 and Covid-19; don't ask J. Doe. ---------- //////// Yes."
    )
    batch = Batch.from_texts([text, PROSE])
    english = GopherQuality(tokens="english").open(StepContext()).scores(batch)
    unicode = GopherQuality(tokens="unicode").open(StepContext()).scores(batch)
    assert english["alphabetic_words_ratio"][0] > unicode["alphabetic_words_ratio"][0]  # type: ignore[operator]
    found = tokens_of(batch, "english")
    assert found is tokens_of(batch, "auto") is tokens_of(batch, "auto", language="en")
    assert tokens_of(batch, "auto", language="fr") is tokens_of(batch, "auto", language="auto") is batch.words
    assert found is tokens_of(batch, "english")
    assert found is not tokens_of(Batch(batch.records), "english")
    assert tokens_of(batch, "unicode") is batch.words
    cut = [text.encode()[start:end].decode() for start, end in zip(found.starts, found.ends, strict=True)]
    assert {"24/7", "a.m.", "IL-3", "n't", "J."} <= set(cut)
    for settings in (GopherRepetition(tokens="english"), FineWeb(tokens="english")):
        scores = settings.open(StepContext()).scores(batch)
        assert all(np.isfinite(values).all() for values in scores.values())
        other = type(settings)(tokens="unicode").open(StepContext()).scores(batch)
        assert any(not np.array_equal(scores[name], other[name]) for name in scores)
