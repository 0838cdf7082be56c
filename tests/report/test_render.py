"""The page: well-formed, alone, true to its data, and closed to whatever texts bring along."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import replace
from functools import cache
from html.parser import HTMLParser
from importlib.resources import files

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.report.example import EVERY, HOSTILE, example
from textmill.report.model import (
    Copy,
    DuplicateGroup,
    Evaluation,
    Example,
    FunnelRow,
    Measured,
    Reason,
    ReportData,
    Sample,
)
from textmill.report.render import render

VOID = {"meta", "link", "br", "img", "input", "hr"}
KNOWN_LOADERS = {
    "script",
    "style",
    "link",
    "img",
    "iframe",
    "object",
    "embed",
    "video",
    "audio",
    "base",
    "form",
}


class Page(HTMLParser):
    """Reads a page and complains about elements that are left open or closed twice."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.said: list[str] = []
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs]
        assert len(names) == len(set(names)), f"<{tag}> has an attribute twice"
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not self.open or self.open[-1] not in ("script", "style"):
            self.said.append(data)

    @property
    def text(self) -> str:
        return "".join(self.said)

    def count(self, tag: str) -> int:
        return sum(name == tag for name, _ in self.elements)


@pytest.mark.parametrize("make", EVERY, ids=lambda make: make.__name__)
def test_every_page_is_well_formed_and_loads_nothing(make):
    page = render(make())
    read = Page(page)
    loaders = {tag for tag, _ in read.elements} & KNOWN_LOADERS
    assert loaders == {"script", "style"}
    assert read.count("script") == 1
    for tag, attributes in read.elements:
        assert not {"src", "href", "srcset", "action", "xlink:href"} & set(attributes), tag
        assert not [name for name in attributes if name.startswith("on")], tag
    style = page[page.index("<style>") : page.index("</style>")]
    assert "url(" not in style
    assert "@import" not in style
    assert "://" not in style
    assert "nan" not in re.findall(r'(?:width|height|x|y|d)="([^"]*)"', page)
    assert not [d for d in re.findall(r' d="([^"]*)"', page) if "nan" in d or "inf" in d]


@pytest.mark.parametrize("make", EVERY, ids=lambda make: make.__name__)
def test_same_data_same_page(make):
    assert render(make()) == render(make())


def test_policy_allows_this_script_and_no_other():
    read = Page(render(example()))
    policy = next(a["content"] for t, a in read.elements if t == "meta" and "http-equiv" in a)
    script = files("textmill.report").joinpath("templates/script.js").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in policy
    assert "default-src 'none'" in policy
    page = render(example())
    written = page[page.index("<script>") + len("<script>") : page.index("</script>")]
    assert written == script


def test_hostile_text_stays_text():
    page = render(example())
    assert "<script>alert" not in page
    assert "<img" not in page
    for hidden in ("\x00", "\u202e", "\u2066", "\ufeff"):
        assert hidden not in page
    said = Page(page).text
    # Shown as what it is, in the example, the duplicates, the sample and the recipe.
    shown = HOSTILE.replace("\x00", "[U+0000]").replace("\u202e", "[U+202E]")
    shown = shown.replace("\u2066", "[U+2066]").replace("\ufeff", "[U+FEFF]")
    assert said.count(shown) >= 4


def hostile_data(text: str) -> ReportData:
    """``text`` wherever a document, a locator, a label or a model's answer can stand."""
    row = FunnelRow(text, 9, 8, 1, 0, 90, 80)
    one = Example(text, text, text, value=1.0, threshold=2.0, label=text, note=text)
    group = DuplicateGroup(text, Copy(text, text), 2, (Copy(text, text, similarity=0.5),), text)
    full = example()
    return replace(
        full,
        name=text,
        data_date=text,
        funnel=(row,),
        reasons=(Reason(text, text, 1, text, examples=(one,)),),
        duplicates=(group,),
        reviews=tuple(
            replace(
                one,
                step=text,
                sources=tuple(replace(share, name=text) for share in one.sources),
                groups=tuple(replace(large, source=text, locator=text) for large in one.groups),
                warnings=(text, text),
            )
            for one in full.reviews
        ),
        cuttings=tuple(
            replace(one, step=text, rules=((text, 1),), passages=((text, 2),)) for one in full.cuttings
        ),
        breakdowns=tuple(
            replace(b, title=text, note=text, shares=(replace(b.shares[0], name=text),))
            for b in full.breakdowns
        ),
        histograms=tuple(replace(h, step=text, score=text) for h in full.histograms[:1]),
        lengths=None,
        training=None,
        samples=(Sample(text, text, text, ((text, text),)),),
        recipe=text,
        outputs=tuple(replace(o, path=text) for o in full.outputs[:1]),
        measured=Measured(((text, 1.0),), ((text, text),), ((text, text),)),
    )


NASTY = (
    *(
        "</script>",
        "<!--",
        "-->",
        "]]>",
        "</style>",
        '"',
        "'",
        "&",
        "&#x3c;",
        "<svg/onload=1>",
        "{% raw %}",
        "<b",
    ),
    *("\x00", "\x1b", "\r", "\u2028", "\u202e", "\ud800", "\ufffe", "\U0010ffff", "`", "=", "{{ 7*7 }}"),
)


@cache
def plain_structure() -> list[str]:
    return [tag for tag, _ in Page(render(hostile_data("plain"))).elements]


@settings(max_examples=30, deadline=None)
@given(st.one_of(st.text(max_size=40), st.lists(st.sampled_from(NASTY)).map("".join)))
def test_no_text_changes_the_structure(text):
    page = render(hostile_data("." + text))  # an empty text leaves lines out
    assert [tag for tag, _ in Page(page).elements] == plain_structure()
    page.encode()  # no lone surrogates either


def test_templates_in_documents_are_not_evaluated():
    assert "49" not in Page(render(hostile_data("{{ 7*7 }}"))).text.split()


def cells(page: str, section: str) -> list[list[str]]:
    part = page[page.index(f'<section id="{section}">') :]
    part = part[: part.index("</section>")]
    rows = re.findall(r"<tr>(.*?)</tr>", part, re.S)
    strip = re.compile(r"<[^>]+>")
    return [
        [strip.sub("", cell).strip() for cell in re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, re.S)]
        for row in rows
    ]


def test_numbers_in_the_page_are_the_data():
    data = example()
    page = render(data)
    funnel = cells(page, "funnel")[1:]
    assert [row[0] for row in funnel] == [row.step for row in data.funnel]
    for shown, row in zip(funnel, data.funnel, strict=True):
        numbers = [int(cell.replace(",", "")) for cell in shown[1:]]
        expected = [
            row.documents_in,
            row.kept,
            row.dropped,
            row.failed,
            row.characters_in,
            row.characters_kept,
        ]
        assert numbers == expected
        assert numbers[0] == numbers[1] + numbers[2] + numbers[3]
    said = Page(page).text
    for reason in data.reasons:
        assert f"{reason.documents:,}" in said
    tokens = cells(page, "tokens")[1 : 1 + len(data.tokens.splits)]
    languages = cells(page, "tokens")[2 + len(data.tokens.splits) :]
    assert languages[0] == ["en", "210", "90,112", "3.841", "1.30"]
    assert [row[3:] for row in languages[1:]] == [["1.500", "–"]]
    assert [row[-1] for row in cells(page, "near")] == ["of", "15,000", "5,000", "removed", "311", "7"]
    assert [row[-1] for row in cells(page, "cut")] == ["in all", "702", "12"]
    assert [int(row[1].replace(",", "")) for row in tokens] == [split.tokens for split in data.tokens.splits]
    assert [float(row[4]) for row in tokens] == pytest.approx(
        [split.text_bytes / split.tokens for split in data.tokens.splits], abs=5e-4
    )
    scores = {row[0]: row for row in cells(page, "scores") if len(row) == 9 and row[1] != "documents"}
    for one in data.histograms:
        assert int(scores[one.score][1].replace(",", "")) == one.documents
        assert int(scores[one.score][6].replace(",", "")) == sum(one.outside)
    for output in data.outputs:
        assert output.sha256 in said


def test_headline_compares_with_the_unigram_model():
    said = Page(render(ReportData("x", evaluation=Evaluation(1.5, 2.0)))).text
    assert "25.0% below a unigram model (2)" in said
    said = Page(render(ReportData("x", evaluation=Evaluation(2.5, 2.0)))).text
    assert "25.0% above a unigram model (2)" in said


def test_what_is_measured_stands_apart():
    data = example()
    one = render(data)
    other = render(
        replace(data, measured=Measured((("train", 3.0),), (("device", "gpu"),), (("torch", "9"),)))
    )
    assert one != other

    def rest(page: str) -> str:
        start = page.index('<section id="measured">')
        return page[:start] + page[page.index("</section>", start) :]

    assert rest(one) == rest(other)


def test_missing_sections_are_left_out():
    page = render(ReportData("bare"))
    assert "<section" not in page
    page = render(replace(example(), training=None, evaluation=None, samples=()))
    assert '<section id="training">' not in page
    assert '<section id="samples">' not in page
    assert "Bits per byte" not in Page(page).text


def test_every_picture_says_in_words_what_it_shows():
    for tag, attributes in Page(render(example())).elements:
        if tag == "svg":
            assert attributes["role"] == "img"
            assert len(attributes["aria-label"] or "") > 10


def test_value_is_told_from_its_threshold():
    reason = Reason("s", "r", 1, examples=(Example("a", "b", "text", value=0.150004, threshold=0.15),))
    said = Page(render(ReportData("x", reasons=(reason,)))).text
    assert "measured 0.150004, kept if at most 0.15" in said


def luminance(colour: str) -> float:
    digits = colour.lstrip("#")
    digits = "".join(c * 2 for c in digits) if len(digits) == 3 else digits
    parts = [int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    """WCAG 2.2, section 1.4.3."""
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_colours_have_contrast_in_light_dark_and_print():
    style = files("textmill.report").joinpath("templates/style.css").read_text(encoding="utf-8")
    palettes = [
        dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{3,6});", block))
        for block in re.findall(r":root \{(.*?)\}", style, re.S)
    ]
    assert len(palettes) == 3
    for palette in palettes:
        for name in ("ink", "soft", "accent", "warn"):
            for ground in ("paper", "faint"):
                assert contrast(palette[name], palette[ground]) >= 4.5, (name, palette)
        # Graphics, section 1.4.11.
        for name in ("accent", "warn-fill", "failed"):
            assert contrast(palette[name], palette["paper"]) >= 3, (name, palette)
