"""Docstrings, READMEs and licences as HTML: headings, paragraphs, lists, definitions, code.

No reader of reStructuredText or Markdown: the few forms that nearly all of these texts share, so that a page has the
elements that a person would have given it. What is not understood stays a paragraph; no text is lost.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import escape

_HEADING = re.compile(r"(#{1,5})\s+(\S.*)")
_UNDERLINE = re.compile(r"([=\-~^\"'*+#])\1{2,}\s*")
_ITEM = re.compile(r"\s{0,3}(?:[-*+•]|\d{1,3}[.)])\s+")
_FENCE = re.compile(r"\s*(?:```|~~~)")
_CODE = re.compile(r"``(.+?)``|`([^`\n]+)`")
_LINK = re.compile(r"\bhttps?://[^\s<>\"'`)\]}]+[^\s<>\"'`)\]}.,;:!?]")


def to_html(text: str) -> str:
    """The body of a page for ``text``.

    >>> print(to_html("# json\\n\\nReads ``JSON``.\\n\\n>>> 1 < 2\\nTrue"))
    <h1>json</h1>
    <p>Reads <code>JSON</code>.</p>
    <pre><code>&gt;&gt;&gt; 1 &lt; 2
    True</code></pre>
    """
    return "\n".join(_block(lines, not number) for number, lines in enumerate(_blocks(text)))


def _blocks(text: str) -> Iterator[list[str]]:
    """Runs of lines that are not blank; a fenced piece of code is one, with its blank lines."""
    lines: list[str] = []
    fenced = False
    for line in text.expandtabs(8).splitlines():
        if _FENCE.match(line):
            if not fenced and lines:
                yield lines
                lines = []
            lines.append(line)
            if fenced:
                yield lines
                lines = []
            fenced = not fenced
        elif fenced or line.strip():
            lines.append(line.rstrip())
        elif lines:
            yield lines
            lines = []
    if lines:
        yield lines


def _block(lines: list[str], first: bool = False) -> str:
    if _FENCE.match(lines[0]):
        inner = lines[1:-1] if len(lines) > 1 and _FENCE.match(lines[-1]) else lines[1:]
        return _code(inner)
    heading = _HEADING.fullmatch(lines[0])
    if heading:
        rank = len(heading[1])
        if rank == 1 and not first:  # a class or function below its module, a method below its class
            rank = min(6, 2 + heading[2].count("."))
        rest = f"\n{_block(lines[1:])}" if lines[1:] else ""
        return f"<h{rank}>{_inline(heading[2])}</h{rank}>{rest}"
    if len(lines) > 1 and lines[0].strip() and _UNDERLINE.fullmatch(lines[1].strip()):
        rest = f"\n{_block(lines[2:])}" if lines[2:] else ""
        return f"<h3>{_inline(lines[0].strip())}</h3>{rest}"
    if lines[0].lstrip().startswith((">>>", "+-", "|")) or all(line.startswith("    ") for line in lines):
        return _code(lines)  # doctests, tables drawn with characters, indented code
    if _ITEM.match(lines[0]):
        return _list(lines)
    if len(lines) > 1 and not lines[0].startswith(" ") and lines[1].startswith("    "):
        return _definitions(lines)
    return f"<p>{_inline(chr(10).join(line.strip() for line in lines))}</p>"


def _code(lines: list[str]) -> str:
    margin = min((len(line) - len(line.lstrip()) for line in lines if line.strip()), default=0)
    return f"<pre><code>{escape(chr(10).join(line[margin:] for line in lines), quote=False)}</code></pre>"


def _list(lines: list[str]) -> str:
    items: list[list[str]] = []
    for line in lines:
        found = _ITEM.match(line)
        if found:
            items.append([line[found.end() :]])
        else:
            items[-1].append(line.strip())
    numbered = lines[0].lstrip()[:1].isdigit()
    tag = "ol" if numbered else "ul"
    inner = "\n".join(f"<li>{_inline(' '.join(item))}</li>" for item in items)
    return f"<{tag}>\n{inner}\n</{tag}>"


def _definitions(lines: list[str]) -> str:
    """Terms at the margin, each with its indented description: NumPy's and Google's way to list parameters."""
    parts: list[str] = []
    described: list[str] = []
    for line in [*lines, ""]:
        if line.startswith(" "):
            described.append(line.strip())
            continue
        if described:
            parts.append(f"<dd>{_inline(' '.join(described))}</dd>")
            described = []
        if line:
            parts.append(f"<dt>{_inline(line)}</dt>")
    return "<dl>\n" + "\n".join(parts) + "\n</dl>"


def _inline(text: str) -> str:
    """Escaped text with code and addresses marked up."""
    parts: list[str] = []
    position = 0
    for found in _CODE.finditer(text):
        parts.append(_linked(text[position : found.start()]))
        parts.append(f"<code>{escape(found[1] or found[2], quote=False)}</code>")
        position = found.end()
    parts.append(_linked(text[position:]))
    return "".join(parts)


def _linked(text: str) -> str:
    parts: list[str] = []
    position = 0
    for found in _LINK.finditer(text):
        parts.append(escape(text[position : found.start()], quote=False))
        parts.append(f'<a href="{escape(found[0])}">{escape(found[0], quote=False)}</a>')
        position = found.end()
    parts.append(escape(text[position:], quote=False))
    return "".join(parts)
