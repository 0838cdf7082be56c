"""The tokeniser and tree construction against lexbor, which is held to the standard's own tests."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.extract.trees import built, lexbor_tree, textmill_tree

from textmill.extract.html.nodes import KIND, MAX_DEPTH, NODE_COUNT, STATUS, STEPS, TEXT
from textmill.extract.html.tokens import COSTLY

HOSTILE = (
    "",
    " \n",
    "text",
    "<",
    "</",
    "<a",
    "<!",
    "<!-",
    "<!--",
    "<!-->x",
    "<!--->x",
    "a<!-->b-->c",
    "<!--a--!>b",
    "<!-- a -- b --->c",
    "<!doctype html><p>a",
    '<!DOCTYPE html PUBLIC "-//W3C//DTD HTML 4.01 Transitional//EN"><p>a<table><tr><td>b',
    '<!DOCTYPE html PUBLIC "-//W3C//DTD HTML 4.01//EN" "http://www.w3.org/TR/html4/strict.dtd"><p>a<table>b',
    "<!doctype html><p>a<table><tr><td>b</table>c",
    "<p>a<table><tr><td>b</table>c",
    "<?php echo 1 ?>a",
    "</>a</ >b</1>c",
    "<p>a<p>b",
    "<ul><li>a<li>b<ul><li>c</ul>d</ul>",
    "<dl><dt>a<dd>b<dt>c</dl>",
    "<b>1<p>2</b>3</p>4",
    "<b>1<i>2</b>3</i>4",
    "<a href=1>x<a href=2>y</a>z",
    "<a>1<div>2<a>3</a>4</div>5</a>6",
    "<a><table><td><a>1</table><a>2",
    "<b><b><b><b><b>x</b></b></b></b></b><p>y",
    "<font size=1><font size=2><p>a</font>b</font>c",
    "<b><em><foo><foob><foob><foob><fooc></b></em>x",
    "<p><i><b><u><s><div>a</i>b</div>c",
    "<table>a<tr>b<td>c</table>d",
    "<table> <tr> <td> a </td> x </tr> </table>",
    "<table><b>a<tr><td>b</b>c</table>d",
    "<table><tr><td>a<table><tr><td>b</table>c</table>d",
    "<table><caption>a<td>b</table>",
    "<table><colgroup><col>a</table>",
    "<table><form><input type=hidden><input>a</table>",
    "<table><script>a</script><style>b</style><template>c</template></table>",
    "<table><thead><tr><th>a<tbody><tr><td>b<tfoot><tr><td>c",
    "<tr><td>a</td></tr>b",
    "<table><a>1<p>2</a>3</p>",
    "<select><option>a<option>b<optgroup><option>c</select>d",
    "<select><div>x</div><hr><input>y</select>z",
    "<table><select><tr><td>x",
    "<select><select>a</select>b",
    "<p><select><p>a</select>b",
    "<option>a<option>b<optgroup>c",
    "<head><noscript><p>x</p></noscript>",
    "<noscript> a",
    "<head><noscript><link><style>a</style></noscript><p>q",
    "<noscript>a<p>b</noscript>c",
    "<title>a<b>c</title>d",
    "<title>a</titlex>b</title >c",
    "<textarea>\na<p></textarea>b",
    "<pre>\n\na</pre>",
    "<listing>\r\na",
    "<xmp><p>a&amp;</xmp>b",
    "<iframe><p>a</iframe>b",
    "<noembed><p>a</noembed><noframes><p>b</noframes>c",
    "<plaintext>a</plaintext><p>b",
    "<table><plaintext>a</table>b",
    "<script><!--<script></script>--></script>x",
    "<script><!--<script></script></script>x",
    "<script><!--></script>x",
    "<script><!-- </script>x--></script>y",
    "<script>a</scriptx></script >b",
    "<style>a</style/>b",
    "<template><p>x</template>y",
    "<template><tr><td>x</template><table><template><tr></template><tr><td>y",
    "<template>a",
    "<svg><title>a<p>b</title><path/></svg>c",
    "<svg><foreignObject><p>a</foreignObject><circle></svg>b",
    "<svg>a<p>b",
    "<svg><desc>a</svg>b</desc>c",
    "<svg><a><b>x</svg>y",
    "<svg><style>a<b>c</style></svg>d",
    "<svg><![CDATA[a<b>]]>c</svg><![CDATA[d]]>e",
    "<svg><script>a</script></svg>b",
    "<svg></p>a</svg></br>b",
    "<svg><font>a</font><font color=x>b",
    "<math><mi>a<p>b</mi><mo><mglyph></math>c",
    "<math><annotation-xml><svg>a</svg><p>b</math>c",
    "<math><annotation-xml encoding=text/html><p>a</math>b",
    "<math><mtext><table><tr><td>a",
    "<frameset><frame></frameset>x<noframes>y",
    "<p>a<frameset>",
    "<br></br></p>a",
    "<body>a</body>b</html>c<p>d",
    "<html><body></html><!-- x --><p>a",
    "<form><form>a</form>b</form>c",
    "<form><div></form>a</div>b",
    "<button>a<button>b</button>c",
    "<p><button><p>x</button>y",
    "<nobr>a<nobr>b</nobr>c",
    "<applet><b>a</applet>b<object><i>c</object>d",
    "<h1>a<h2>b</h1>c",
    "<address><p>a<li>b<address>c",
    "<li><p>a<div><li>b",
    "<dd><a>b<dt>c",
    "<ruby>a<rt>b<rp>c<rb>d<rtc>e<rt>f</ruby>g",
    "<image>a",
    "<menuitem>a</menuitem>b<search>c<p>d</search>e",
    "<x-a>b<y-z>c</x-a>d",
    "<foo>a<bar>b</foo>c",
    "<p>&notit; &amp &ampx; &#x80; &#1; &#xD800; &#x110000; &#99999999999; &; &# &#x; &nosuch; &AMP;",
    "<p>&NotEqualTilde;&nGt;&lt&lt;&copy&copyx",
    "<p>a\0b&#0;c</p><title>d\0e",
    "a\r\nb\rc",
    "<p a='b' a=c =d e/f g=>h",
    "<p a=b/c>x<p a=\"b>c\"d>y<p 'a'>z",
    '<p a="unclosed>x',
    "<p\na\t=\f'b'\r>x",
    "<P CLASS=A>x</P >y",
    "<img/><br/><div/>a</div>b",
    "<table><tr></p>a<td></br>b</table>",
    "<table></table></table>a",
    "<b></p>a</b><i></div>b",
    "<html a=b><html c=d><body e=f><body g=h>x",
    "<head></head><title>a</title><body>b",
    "</head>a</body>b",
    "<base><body><base><head>a",
    "<frameset><frameset></frameset><p>a",
    "<p id=1><b id=2><p id=3>a",
    "<table><tr><td><p>a</td></tr></table>b</p>c",
    "<ul><b><li>a</b><li>b</ul>c",
    "<a><svg><a>x</a></svg>y",
    "<div><b><div></b>x</div>y</div>",
    "<b><table><td></b>a",
    "<table><td><b></table>a",
    "<marquee><b>a</marquee>b",
    "<table><input type=HIDDEN><b></table>x",
    "<p>\x0ca&Tab;&NewLine;b",
    "<table>&#32;&#x20;<tr>",
    "<colgroup><tbody>&nbsp;",
    "<details><summary>a<p>b</summary>c</details>d",
)


@pytest.mark.parametrize("page", HOSTILE)
def test_tree_is_lexbors(page: str) -> None:
    assert textmill_tree(page.encode()) == lexbor_tree(page.encode())


NAMES = (
    *(
        "a",
        "b",
        "i",
        "p",
        "div",
        "table",
        "tr",
        "td",
        "th",
        "tbody",
        "caption",
        "col",
        "colgroup",
        "li",
        "ul",
        "dd",
    ),
    *(
        "dl",
        "form",
        "select",
        "option",
        "optgroup",
        "button",
        "h1",
        "h2",
        "svg",
        "math",
        "title",
        "desc",
        "mi",
    ),
    *("annotation-xml", "foreignObject", "template", "body", "html", "head", "frameset", "script", "style"),
    *("noscript", "br", "hr", "img", "input", "font", "nobr", "pre", "ruby", "rt", "rtc", "object", "x-y"),
    *(
        "foo",
        "section",
        "span",
        "em",
        "thead",
        "iframe",
        "plaintext",
        "meta",
        "link",
        "frame",
        "noframes",
        "address",
    ),
)
starts = st.sampled_from(NAMES).map(lambda name: f"<{name}>")
ends = st.sampled_from(NAMES).map(lambda name: f"</{name}>")
OTHERS = (
    *(
        "a",
        " ",
        "\n",
        "&amp;",
        "&lt",
        "<",
        "<!--",
        "-->",
        "<!---->",
        "]]>",
        "<![CDATA[",
        "x y",
        "<a href=1>",
        "<b id=1>",
    ),
    *(
        "<b id=1>",
        "<input type=hidden>",
        "<font color=red>",
        "<!doctype html>",
        "<p class='a",
        "'",
        '"',
        ">",
        "/>",
        "=",
    ),
)
others = st.sampled_from(OTHERS)
pages = st.lists(st.one_of(starts, starts, ends, others), max_size=25).map("".join)


@settings(max_examples=1500, deadline=None)
@given(pages)
@example("<a><b><p></a></b>x")
def test_any_tree_is_lexbors(page: str) -> None:
    assert textmill_tree(page.encode()) == lexbor_tree(page.encode())


@pytest.mark.parametrize(
    "part",
    [
        "<div>",
        "<b>",
        "<a>",
        "<p>",
        "<table><tr><td>",
        "<b id={}>",
        "<a><p>",
        "<table><b>",
        "<svg>",
        "<li>",
        "<font>",
    ],
)
def test_cost_grows_with_length_alone(part: str) -> None:
    costs = []
    for count in (2_000, 8_000):
        page = "".join(part.format(number) for number in range(count)).encode()
        _, state = built(page)
        costs.append((int(state[STEPS]) + int(state[NODE_COUNT])) / len(page))
        assert state[STATUS] == 0
    assert costs[1] <= 2 * costs[0]


def test_depth_is_capped() -> None:
    nodes, _ = built(b"<div>" * 100_000 + b"text")
    assert max(path.count("/") for _, path, _ in textmill_tree(b"<div>" * 3_000 + b"text")) <= MAX_DEPTH + 2
    assert nodes[100_004, KIND] == TEXT


def test_a_page_that_costs_too_much_is_stopped() -> None:
    _, state = built(b"<div><b></b></div>" * 1000, steps=500)
    assert state[STATUS] == COSTLY
