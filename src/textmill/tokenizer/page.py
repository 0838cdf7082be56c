"""A page that shows what a tokenizer makes of a text: one file, no script, nothing fetched."""

from __future__ import annotations

import html
from collections.abc import Iterable

from textmill.tokenizer.inspection import COLOURS, Entry, Health

SHOWN_ENTRIES = 60

_STYLE = """
:root { color-scheme: light; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 68rem; margin: 2rem auto; padding: 0 1rem;
  color: #16181d; background: #fff; }
h1 { font-size: 1.3rem; margin: 0 0 .2rem; overflow-wrap: anywhere; }
h2 { font-size: 1rem; margin: 1.6rem 0 .4rem; }
p { margin: 0 0 1rem; color: #4a4f5a; }
pre { font: 15px/1.9 ui-monospace, "DejaVu Sans Mono", monospace; white-space: pre-wrap; overflow-wrap: anywhere;
  margin: 0; padding: .8rem 1rem; border: 1px solid #d9dce3; border-radius: 6px; }
pre span { padding: .12em 0; border-radius: 3px; }
pre span.special { outline: 2px solid #b3261e; }
pre span:hover { outline: 2px solid #16181d; }
i { font-style: normal; color: #6b4e00; }
table { border-collapse: collapse; }
td, th { padding: .2rem 1.2rem .2rem 0; text-align: left; vertical-align: top; font-weight: normal; }
th { color: #4a4f5a; white-space: nowrap; }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; }
code { font: 13px ui-monospace, "DejaVu Sans Mono", monospace; background: #f1f3f7; border-radius: 3px;
  padding: .05em .35em; margin: 0 .3em .3em 0; display: inline-block; white-space: pre-wrap;
  overflow-wrap: anywhere; }
""" + "".join(f"span.c{number} {{ background: {colour}; }}\n" for number, colour in enumerate(COLOURS))


def as_html(tokens: Iterable[Entry], title: str, health: Health | None = None) -> str:
    """Each token in a colour of its own, with its id when the pointer rests on it; below, the vocabulary.

    Args:
        tokens: of :func:`textmill.tokenizer.inspection.tokens_of`.
        title: what stands on top.
        health: of the tokenizer, to be shown too.
    """
    spans = []
    ids = []
    text_bytes = 0
    for position, entry in enumerate(tokens):
        text_bytes += len(entry.content)
        ids.append(str(entry.id))
        breaks = "\n" * entry.content.count(b"\n")
        kind = f"c{position % len(COLOURS)}" + (" special" if entry.special else "")
        size = len(entry.content)
        about = f"{entry.id}: {size} byte" + ("s" if size != 1 else "")
        spans.append(f'<span class="{kind}" title="{about}">{_visible(entry)}</span>{breaks}')
    figures = f"{len(spans):,} tokens"
    if spans:
        figures += f", {text_bytes:,} bytes, {text_bytes / len(spans):.2f} bytes per token"
    body = [f"<h1>{html.escape(title)}</h1><p>{figures}</p>", f"<pre>{''.join(spans)}</pre>"]
    body.append(f"<h2>Ids</h2><pre>{' '.join(ids)}</pre>")
    if health is not None:
        body.append(f"<h2>Vocabulary</h2><table>{_health_rows(health)}</table>")
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{html.escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head>\n'
        f"<body>{''.join(body)}</body></html>\n"
    )


def _visible(entry: Entry) -> str:
    """The token for people: escapes and bytes of cut characters stand back from text."""
    shown = html.escape(entry.shown())
    if not entry.is_text:
        return f"<i>{shown}</i>"
    # A pilcrow-like sign would be part of the text for whoever copies it; an escape is not mistaken for one.
    return shown.replace("\\n", "<i>\\n</i>").replace("\\t", "<i>\\t</i>").replace("\\r", "<i>\\r</i>")


def _health_rows(health: Health) -> str:
    rows = [
        ("kind", html.escape(health.model)),
        ("entries", f"{health.entries:,}, {health.special:,} of them special or added"),
        ("half characters", _some(health.not_text)),
        ("overlong", _some(health.overlong)),
    ]
    if health.unreachable is not None:
        rows.append(("unreachable", _some(health.unreachable)))
    if health.unused is not None:
        share = len(health.unused) / max(1, health.entries)
        rows.append((f"unused on the sample ({share:.1%})", _some(health.unused)))
    if health.missing_bytes:
        rows.append(("bytes without an entry", f"{len(health.missing_bytes)} of 256"))
    return "".join(f"<tr><th>{name}</th><td>{value}</td></tr>" for name, value in rows)


def _some(entries: tuple[Entry, ...]) -> str:
    shown = " ".join(f"<code>{html.escape(entry.shown())}</code>" for entry in entries[:SHOWN_ENTRIES])
    more = f" and {len(entries) - SHOWN_ENTRIES:,} more" if len(entries) > SHOWN_ENTRIES else ""
    return f"{len(entries):,} {shown}{more}"
