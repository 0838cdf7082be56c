"""Trees in one form, as textmill builds them and as lexbor does: an event per element and text, with its path."""

from __future__ import annotations

import numpy as np
from selectolax.lexbor import LexborHTMLParser, LexborNode

from textmill.extract.html.nodes import (
    END,
    FIRST,
    FOREIGN_NAME,
    IDENTITY,
    KIND,
    NEXT,
    NODE_COLUMNS,
    PARENT,
    RAW_TEXT,
    START,
    STATE_SIZE,
)
from textmill.extract.html.references import decode_text
from textmill.extract.html.tokens import build_tree
from textmill.extract.names import TAG_IDS, TAGS

Event = tuple[str, str, str]


def built(page: bytes, steps: int = 1 << 40) -> tuple[np.ndarray, np.ndarray]:  # type: ignore[type-arg]
    """The nodes and the state of a page."""
    data = np.frombuffer(page, np.uint8).view()
    data.flags.writeable = False
    nodes = np.empty((2 * len(page) + 3000, NODE_COLUMNS), np.int32)
    attributes = np.empty((len(page) // 2 + 64, 3), np.int32)
    state = np.zeros(STATE_SIZE, np.int64)
    build_tree(data, nodes, attributes, state, steps)
    return nodes, state


def textmill_tree(page: bytes) -> list[Event]:
    """Events of textmill's tree; templates are left out."""
    nodes, _ = built(page)
    events: list[Event] = []
    path = [""]
    node = int(nodes[0, FIRST])
    while node > 0:
        kind = int(nodes[node, KIND])
        if kind < 0:
            text = page[nodes[node, START] : nodes[node, END]].decode().replace("\0", "")
            if kind != RAW_TEXT:
                text = decode_text(text)
            _add_text(events, path[-1], text)
        else:
            name = _name(int(nodes[node, IDENTITY]) & ~FOREIGN_NAME)
            events.append(("element", path[-1], name))
            if nodes[node, FIRST] > 0 and name != "template":
                path.append(f"{path[-1]}/{name}")
                node = int(nodes[node, FIRST])
                continue
        while node > 0 and nodes[node, NEXT] < 0:
            node = int(nodes[node, PARENT])
            path.pop()
        if node > 0:
            node = int(nodes[node, NEXT])
    return events


def lexbor_tree(page: bytes) -> list[Event]:
    """Events of lexbor's tree in the same form."""
    root = LexborHTMLParser(page).root
    events: list[Event] = []
    if root is None:
        return events
    stack: list[tuple[LexborNode | None, str]] = [(root, "")]
    while stack:
        node, path = stack.pop()
        if node is None:
            continue
        stack.append((None if node.mem_id == root.mem_id else node.next, path))
        if node.is_text_node:
            _add_text(events, path, node.text_content or "")
        elif node.is_element_node:
            name = _known((node.tag or "").lower())
            events.append(("element", path, name))
            if name != "template":
                stack.append((node.first_child, f"{path}/{name}"))
    return events


def _add_text(events: list[Event], path: str, text: str) -> None:
    # Newlines are told apart by neither, and NUL is nothing to one and U+FFFD to the other.
    text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "").replace("\ufffd", "")
    if not text or path.endswith("/frameset"):  # white space between its words, which nobody sees
        return
    if events and events[-1][:2] == ("text", path):
        text = events.pop()[2] + text
    events.append(("text", path, text))


def _name(identity: int) -> str:
    return TAGS[identity] if 1 < identity < len(TAGS) else "?"


def _known(name: str) -> str:
    return name if name in TAG_IDS else "?"
