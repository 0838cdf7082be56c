"""The measuring itself: what is compared, and how differences are named."""

from __future__ import annotations

from benchmarks.parity import differences
from benchmarks.verdicts import PIPELINES, STEPS, judge, opened

from benchmarks import corpus, language
from textmill.documents import Batch

PROSE = (
    "The people of the town have to be with us, and that is the way of it for all of the days to come. " * 4
)
TEXTS = [
    PROSE,
    "Short.",
    "# " * 300,
    "lorem ipsum dolor sit amet.\n" * 9,
    f"{PROSE}\nHome | About\n- me [3].",
    "",
]


def test_differences_name_what_lies_between_common_borders() -> None:
    assert differences(["do", "n't", "go", "."], ["don't", "go", "."]) == ["do|n't / don't"]
    assert differences(["a", "b/c d"], ["a", "b", "/", "c", "d"]) == ["b/cd / b|/|c|d"]
    assert differences(["same"], ["same"]) == []


def test_survivors_get_the_verdict_that_everybody_gets() -> None:
    for name in (*STEPS, *PIPELINES):
        everybody = judge(opened(name), Batch.from_texts(TEXTS))
        survivors = judge(opened(name), Batch.from_texts(TEXTS), survivors=True)
        assert everybody.rules == survivors.rules, name
        assert everybody.kept.texts == survivors.kept.texts, name
        assert len(everybody.kept) == everybody.rules.count(None), name


def test_wiki_markup_becomes_text() -> None:
    markup = (
        "'''Ann''' [[b|was]] {{x|{{y}}}}[[here]].<ref name=a/>\n{| a\n|}\n== Then ==\n* [https://a.org more]"
    )
    assert corpus.plain_text(markup) == "Ann was here.\n\nThen\n- more"


def test_pieces_for_accuracy_have_the_asked_length_and_do_not_overlap() -> None:
    text = "".join(chr(0x4E00 + number) for number in range(1000))
    cut = language.cut(text, 30)
    assert len(cut) == language.PIECES
    assert {len(piece) for piece in cut} == {30}
    assert len(set("".join(cut))) == 30 * len(cut)
