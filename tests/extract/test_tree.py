"""Pages as arrays: blocks against plain Python over lexbor's tree, and what must hold of any page."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from tests.extract.page_oracle import MATH, Walk, squeezed
from tests.extract.test_construction import HOSTILE, pages

from textmill.extract.layout import (
    BLOCK_ELEMENT,
    BREAKS,
    CAPITALS,
    CHARACTERS,
    CLASS,
    COMMAS,
    DEPTH,
    ELEMENT,
    END,
    END_BLOCK,
    END_RUN,
    END_WORD,
    FIRST_BLOCK,
    FIRST_RUN,
    FIRST_WORD,
    FLAGS,
    GENERATOR,
    IMAGES,
    ITEMTYPE,
    JSON_LD,
    LAST_CHARACTER,
    LINK_CHARACTERS,
    LINK_WORDS,
    LINKS,
    NUMBERS,
    OG_TYPE,
    PARENT,
    ROLE,
    RUN_ELEMENT,
    SENTENCES,
    SIGNATURE,
    START,
    TAG,
    TEXT_END,
    TEXT_START,
    UNSPACED,
)
from textmill.extract.names import FLAGS as FLAG_NAMES
from textmill.extract.names import TAGS, token_hash
from textmill.extract.tree import Page, PageParser, PageTooLargeError

parser = PageParser()


def texts(page: str) -> list[str]:
    parsed = parser.parse(page.encode())
    return [parsed.block_text(block) for block in range(len(parsed.blocks))]


def expected(page: str) -> list[tuple[str, str, int, int]]:
    """(innermost element, text, breaks, characters in links) of every block."""
    return [
        (
            block.tag if block.tag in TAGS and block.tag not in MATH else "",
            squeezed(block.text),
            block.breaks,
            sum(len(squeezed(text)) for text, link in block.runs if link),
        )
        for block in Walk().page(page.encode())
    ]


def found(page: Page) -> list[tuple[str, str, int, int]]:
    result = []
    for number, block in enumerate(page.blocks):
        tag = TAGS[page.elements[block[ELEMENT], TAG]]
        result.append(
            (
                "" if tag == "-" or tag in MATH else tag,
                squeezed(page.block_text(number)),
                int(block[BREAKS]),
                int(block[LINK_CHARACTERS]),
            )
        )
    return result


def check(page: Page) -> None:
    """What holds of every page."""
    elements, blocks, runs = page.elements, page.blocks, page.runs
    numbers = np.arange(len(elements))
    assert (elements[1:, PARENT] < numbers[1:]).all()
    assert (elements[1:, DEPTH] == elements[elements[1:, PARENT], DEPTH] + 1).all()
    assert (elements[:, FIRST_BLOCK] <= elements[:, END_BLOCK]).all()
    above = elements[1:, PARENT]
    assert (elements[above, FIRST_BLOCK] <= elements[1:, FIRST_BLOCK]).all()
    assert (elements[above, END_BLOCK] >= elements[1:, END_BLOCK]).all()
    assert tuple(elements[0, [FIRST_BLOCK, END_BLOCK]]) == (0, len(blocks))
    assert (elements[above, FLAGS] & ~elements[1:, FLAGS] == 0).all()
    text = page.text.tobytes()
    text.decode()
    place, word, run = page.title_end, len(page.title_words), 0
    for number, block in enumerate(blocks.tolist()):
        assert block[TEXT_START] == place < block[TEXT_END]
        assert block[FIRST_WORD] == word < block[END_WORD]
        assert block[FIRST_RUN] == run < block[END_RUN]
        place, word, run = block[TEXT_END], block[END_WORD], block[END_RUN]
        parts = runs[block[FIRST_RUN] : block[END_RUN]].tolist()
        assert [part[START] for part in parts] == [block[TEXT_START], *(part[END] for part in parts[:-1])]
        assert parts[-1][END] == block[TEXT_END]
        assert parts[0][RUN_ELEMENT] == block[ELEMENT]
        content = page.block_text(number)
        assert block[CHARACTERS] == sum(character > " " for character in content)
        assert block[LINK_CHARACTERS] <= block[CHARACTERS]
        assert block[LAST_CHARACTER] == ord(content[-1])
        element = block[ELEMENT]
        while element >= 0:
            assert elements[element, FIRST_BLOCK] <= number < elements[element, END_BLOCK]
            element = elements[element, PARENT]
    assert (place, word, run) == (len(text), len(page.words), len(runs))


@settings(max_examples=600, deadline=None)
@given(pages)
@example("<a>x<br></a><table><a>y<pre> a\n</pre>")
@example("<b>-<i>=</i></b><p>a")
@example("<a><b>—</b></a>x")
def test_blocks_are_those_of_plain_python(page: str) -> None:
    parsed = parser.parse(page.encode())
    check(parsed)
    assert found(parsed) == expected(page)


@pytest.mark.parametrize("page", HOSTILE)
def test_blocks_of_hostile_pages(page: str) -> None:
    parsed = parser.parse(page.encode())
    check(parsed)
    if "\0" not in page and "&#" not in page:
        assert found(parsed) == expected(page)


@pytest.mark.parametrize(
    ("page", "blocks"),
    [
        ("<p>  a \n <b> b</b>  c </p>", ["a b c"]),
        ("<p>a<b>b</b>c", ["abc"]),
        ("a<br> b <br><br>c<br>", ["a\nb\n\nc"]),
        ("<br>a", ["a"]),
        ("<pre>\n a\n\n  b\t</pre>", [" a\n\n  b"]),
        ("<pre>a\r\nb\rc</pre>", ["a\nb\nc"]),
        ("a&nbsp;&nbsp;b&#160;c", ["a b c"]),
        ("a&shy;b\xadc\ufeffd", ["abcd"]),
        ("a\x01b&#2;c", ["abc"]),
        ("<p>&mdash;<p>a<p>***", ["a"]),
        ("<script>a</script><style>b</style><template>c</template><svg><text>d</text></svg>e", ["e"]),
        ("<textarea>a</textarea><iframe>b</iframe><!-- c --><noscript>d</noscript>", ["d"]),
        ("<math><mi>x</mi><mo>=</mo><mn>2</mn><annotation>tex</annotation></math> y", ["x=2 y"]),
        ("a<div>b</div>c", ["a", "b", "c"]),
        ("<x-y>a</x-y>b<foo>c</foo>", ["a", "bc"]),
        ("<p>&#8217;a&hellip;&nGt;b", ["’a…≫⃒b"]),
    ],
)
def test_text(page: str, blocks: list[str]) -> None:
    assert texts(page) == blocks


def test_counts() -> None:
    page = parser.parse(
        "<p>One, Two; 3.14 <a href=x>Ärger hier</a>! Why?? 東京。<br><img>Ende...</p><p><a>x</a>y<a>z".encode()
    )
    first, second = page.blocks
    assert first[END_WORD] - first[FIRST_WORD] == 10  # one two 3 14 ärger hier why 東 京 ende
    assert first[LINK_WORDS] == 2
    assert first[LINK_CHARACTERS] == 9
    assert (first[LINKS], second[LINKS]) == (1, 2)
    assert first[SENTENCES] == 4
    assert first[COMMAS] == 2
    assert first[CAPITALS] == 5
    assert first[NUMBERS] == 2
    assert first[UNSPACED] == 2
    assert first[BREAKS] == 1
    assert first[LAST_CHARACTER] == ord(".")
    assert page.elements[page.elements[first[ELEMENT], BLOCK_ELEMENT], IMAGES] == 1


def test_flags_are_handed_down() -> None:
    page = parser.parse(
        b"<nav><ul><li><a>a</a></ul></nav><div style='color:red; DISPLAY :none'><p>b</div><p aria-hidden=true>c"
        b"<p hidden>d<p style='visibility:hidden'>e<p style='display:inline'>f<h2>g</h2>"
    )
    flags = [
        {name for bit, name in enumerate(FLAG_NAMES) if page.elements[block[ELEMENT], FLAGS] >> bit & 1}
        for block in page.blocks
    ]
    assert flags == [
        {"nav", "list", "li", "link"},
        {"hidden", "p"},
        {"aria_hidden", "p"},
        {"hidden", "p"},
        {"hidden", "p"},
        {"p"},
        {"heading"},
    ]


def test_tokens() -> None:
    page = parser.parse(
        b'<meta property="og:type" content="article"><meta name=generator content="WordPress 6">'
        b'<script type="application/ld+json">{"@type": ["NewsArticle"], "x": {"@type":"Person"}}</script>'
        b'<div class="navBar-main x" id=top role=main itemtype="https://schema.org/Article">a</div>'
    )
    element = int(page.blocks[0, ELEMENT])
    tokens = list(
        zip(page.tokens.tolist(), page.token_elements.tolist(), page.token_kinds.tolist(), strict=True)
    )
    for token, kind, owner in (
        ("article", OG_TYPE, 0),
        ("word", GENERATOR, 0),
        ("news", JSON_LD, 0),
        ("person", JSON_LD, 0),
        ("nav", CLASS, element),
        ("bar", CLASS, element),
        ("main", CLASS, element),
        ("top", CLASS, element),
        ("main", ROLE, element),
        ("schema", ITEMTYPE, element),
    ):
        assert (token_hash(token, kind), owner, kind) in tokens
    assert len(page.json_ld) == 1


def test_title_and_signatures() -> None:
    page = parser.parse(
        b"<title> My\n page &amp; <b></title><svg><title>no</title></svg><p class=a>x<p class=a>y<p class=b>z"
    )
    assert page.title == "My page & <b>"
    assert len(page.title_words) == 3
    one, two, three = (page.elements[block[ELEMENT], SIGNATURE] for block in page.blocks)
    assert one == two != three


def test_a_copy_stays() -> None:
    kept = parser.parse(b"<p>first page").copy()
    parser.parse(b"<p>second, much longer page")
    assert kept.block_text(0) == "first page"


def test_limits() -> None:
    small = PageParser(max_bytes=100, max_nodes=1000)
    with pytest.raises(PageTooLargeError, match="101 bytes, more than 100"):
        small.parse(b"a" * 101)
    many = PageParser(max_nodes=2000)
    with pytest.raises(PageTooLargeError, match="more than 2,000 elements"):
        many.parse(b"<p>a" * 5000)
    assert len(many.parse(b"<p>a" * 500).blocks) == 500


def test_buffers_grow() -> None:
    parser = PageParser()
    assert len(parser.parse(b"<p>a" * 30_000).blocks) == 30_000
    assert len(parser.parse(b"<p>a").blocks) == 1


@pytest.mark.slow
def test_a_line_of_100_megabytes() -> None:
    parser = PageParser(max_bytes=1 << 28)
    page = parser.parse(b"<p>" + b"long " * 20_000_000)
    assert page.blocks[0, END_WORD] == 20_000_000
    assert parser.room >= 100_000_000
    parser.parse(b"<p>a")
    assert parser.room < 1 << 20  # given back
