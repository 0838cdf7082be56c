"""Hypothesis strategies for hostile text: what breaks word segmentation, offsets and character counts."""

from __future__ import annotations

from hypothesis import strategies as st

# One or more characters of every Word_Break class, of every UTF-8 length, and sequences that rules treat as one.
FRAGMENTS = (
    *(
        "a",
        "Z",
        "the",
        "The",
        "of",
        "0",
        "42",
        "_",
        "'",
        '"',
        ".",
        ",",
        ";",
        ":",
        "!",
        "?",
        "-",
        "#",
        "/",
        "@",
    ),
    *(
        " ",
        "  ",
        "\t",
        "\n",
        "\n\n",
        "\r",
        "\r\n",
        "\r\n\r\n",
        "\v",
        "\f",
        "\x1c",
        "\x85",
        "\u2028",
        "\u2029",
    ),
    *("\x00", "\x01", "\x7f", "\xad", "\xa0", "\u1680", "\u2007", "\u200b", "\u202f", "\u3000", "\ufeff"),
    *("é", "e\u0301", "\u0301", "\u0308", "\u0300\u0301\u0302", "ß", "ſ", "İ", "ŉ", "ﬁ", "œ"),
    *("\u200d", "\u200c", "\u2060", "\u202e", "\u2066", "\ufe0f", "\u20e3", "\U000e0041"),
    *("👩‍👩‍👧", "👍🏽", "❤️", "☃", "©", "🏴\U000e0067\U000e007f", "ⓜ", "Ⓜ", "🅰"),
    *("🇩", "🇩🇪", "🇫🇷🇬", "\U0001f1e6\u200d\U0001f1e7"),
    *("你", "好世界", "ひ", "カ", "カナ", "ｶﾞ", "ー", "〱", "한국어", "가", "ไทย", "ລາວ", "ខ្មែរ", "မြန်"),
    *("א", 'א"א', "א'", "שלום", "م", "مرحبا", "٣", "٫", "٬", "٪", "क्षि", "தமிழ்"),
    *(
        "’",
        "‘",
        "“",
        "”",
        "·",
        "․",
        "﹒",
        "＇",
        "．",
        "：",
        "׳",
        "״",
        "‿",
        "…",
        "...",
        "....",
        "•",
        "- ",
        "–",
        "—",
    ),
    *("½", "²", "Ⅷ", "𝟘", "𝒳", "𐀀", "𠀀", "\ue000", "\U0010ffff", "\ufffd", "\ufffe", "\u0378"),
)


def hostile_text(max_fragments: int = 40) -> st.SearchStrategy[str]:
    """Texts of joined fragments, of any characters but surrogates, of one long word, or of newlines alone."""
    joined = st.lists(st.sampled_from(FRAGMENTS), max_size=max_fragments).map("".join)
    anything = st.text(st.characters(exclude_categories=("Cs",)), max_size=max_fragments)
    few = st.lists(st.sampled_from(("a", "b", "the", " ", ".", "\n")), max_size=3 * max_fragments).map(
        "".join
    )
    repeated = st.tuples(joined, st.integers(2, 5)).map(lambda pair: pair[0] * pair[1])
    long_word = st.tuples(st.sampled_from(("a", "é", "1", "a.", "カ", "a\u0301")), st.integers(1, 400)).map(
        lambda pair: pair[0] * pair[1]
    )
    newlines = st.text(st.sampled_from("\n\r "), max_size=max_fragments)
    return st.one_of(joined, few, repeated, anything, long_word, newlines)


def hostile_documents(max_documents: int = 5, max_fragments: int = 25) -> st.SearchStrategy[list[str]]:
    """Batches of hostile texts, empty ones and empty batches included."""
    return st.lists(hostile_text(max_fragments), max_size=max_documents)
