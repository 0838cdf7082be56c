"""Ways from a page to its main text: textmill's own and those of others.

    main         blocks chosen by a trained classifier: best on all kinds of pages
    articles     the same, rather leaving out than taking in what stands around an article
    bulk         resiliparse's main content, by rules; it knows no Markdown but bullets
    trafilatura  trafilatura, by rules and fallbacks
    union        the one of main, bulk and trafilatura that has most words

Every method gives a text, empty where it finds none, and raises for a page that it cannot work on.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from textmill.errors import UserError
from textmill.extract.layout import ELEMENT, FLAGS
from textmill.extract.names import FLAGS as FLAG_NAMES
from textmill.extract.rendering import TextFormat, render
from textmill.extract.tree import Page

MethodName = Literal["main", "articles", "bulk", "trafilatura", "union"]
Method = Callable[[Page, str | None], str]

NEVER_SHOWN = 1 << FLAG_NAMES.index("hidden")


@dataclass(frozen=True)
class Options:
    """How a text is written.

    Attributes:
        text_format: ``text`` or ``markdown``.
        links: in Markdown, links with their addresses.
        hidden: whether the classifier may keep what is hidden.
    """

    text_format: TextFormat = "text"
    links: bool = False
    hidden: bool = True


def open_method(name: MethodName, options: Options) -> Method:
    """The function that extracts: a page and its address to a text.

    Raises:
        UserError: a library that the method is made of is not installed.
    """
    if name == "main" or name == "articles":
        return _classified(options, articles=name == "articles")
    if name == "bulk":
        return _bulk(options)
    if name == "trafilatura":
        return _trafilatura(options)
    methods = [open_method(part, options) for part in _UNITED]
    return lambda page, url: max((method(page, url) for method in methods), key=_words)


_UNITED: tuple[MethodName, ...] = ("main", "bulk", "trafilatura")


def _words(text: str) -> int:
    return len(_WORD.findall(text))


def kept_blocks(
    page: Page, url: str | None, articles: bool = False, hidden: bool = True
) -> npt.NDArray[np.bool_]:
    """bool[blocks]: the classifier's choice, with or without what is hidden."""
    from textmill.extract.classifier import Classifier

    kept: npt.NDArray[np.bool_] = Classifier.shipped().keep(page, url, articles=articles)
    return kept if hidden else kept & shown(page)


def shown(page: Page) -> npt.NDArray[np.bool_]:
    """bool[blocks]: whether a block is seen before any script or click: nothing around it is hidden."""
    visible: npt.NDArray[np.bool_] = page.elements[page.blocks[:, ELEMENT], FLAGS] & NEVER_SHOWN == 0
    return visible


def _classified(options: Options, articles: bool) -> Method:
    def extract(page: Page, url: str | None) -> str:
        kept = kept_blocks(page, url, articles, options.hidden)
        return render(page, kept, options.text_format, links=options.links, url=url)

    return extract


def _bulk(options: Options) -> Method:
    library = _library("resiliparse.extract.html2text", "bulk", "resiliparse")
    trees = _library("resiliparse.parse.html", "bulk", "resiliparse")

    def extract(page: Page, _url: str | None) -> str:
        tree = trees.HTMLTree.parse(_source(page))
        text: str = library.extract_plain_text(
            tree, preserve_formatting=True, main_content=True, links=options.links, alt_texts=False
        )
        return text.strip()

    return extract


def _trafilatura(options: Options) -> Method:
    library = _library("trafilatura", "trafilatura", "trafilatura")
    output = "markdown" if options.text_format == "markdown" else "txt"

    def extract(page: Page, url: str | None) -> str:
        text = library.extract(
            _source(page), url=url, output_format=output, include_links=options.links, include_comments=True
        )
        return text or ""

    return extract


def _source(page: Page) -> str:
    return page.data.tobytes().decode("utf-8", "replace")


def _library(module: str, method: str, package: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise UserError(
            f"The extraction method {method} needs {package}, which is not installed.",
            expected=f"the Python package {package}",
            found=str(error),
            where=f"extract: {{method: {method}}}",
            hint='pip install "textmill[extract]", or use method: main',
        ) from error


_WORD = re.compile(r"\w+")
