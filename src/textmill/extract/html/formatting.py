"""Formatting elements that were not closed where they were opened: `<b>one<p>two</b>three`.

The list of active formatting elements (section 13.2.4.3 of the standard) and the adoption agency algorithm
(13.2.6.4.7), which splits an element where its end tag stands inside another.
"""

# Kernels have no annotations: Numba infers their types.
# mypy: allow-untyped-defs, no-check-untyped-defs

from __future__ import annotations

from textmill.extract.html.nodes import (
    ATTRIBUTE_SET,
    DEPTH,
    END,
    FIRST,
    FORMATTING,
    FORMATTING_COUNT,
    IDENTITY,
    KIND,
    MAX_DEPTH,
    MAX_FORMATTING,
    NEXT,
    NONE,
    SPECIAL,
    STACK,
    START,
    STEPS,
    STOPPED,
    attach,
    current,
    detach,
    imply_end_tags,
    insertion_place,
    new_node,
    node_in_scope,
    place_in_stack,
    pop,
    push,
    remove_from_stack,
    rules_of,
)
from textmill.text.compilation import apart, inlined, small_kernel

MARKER = -1


@small_kernel
def add_marker(state):
    """Formatting elements opened before a marker are not taken up again behind it."""
    apart()
    _make_room(state)
    state[FORMATTING + state[FORMATTING_COUNT]] = MARKER
    state[FORMATTING_COUNT] += 1


@small_kernel
def clear_to_marker(state):
    """Forget formatting elements up to and including the last marker."""
    apart()
    while state[FORMATTING_COUNT] > 0:
        state[FORMATTING_COUNT] -= 1
        if state[FORMATTING + state[FORMATTING_COUNT]] == MARKER:
            break


@small_kernel
def add_formatting(nodes, state, node):
    """Remember a formatting element; of equal ones since the last marker three are kept ("Noah's Ark clause")."""
    apart()
    equal = 0
    earliest = NONE
    for place in range(state[FORMATTING_COUNT] - 1, -1, -1):
        other = state[FORMATTING + place]
        state[STEPS] += 1
        if other == MARKER:
            break
        if (
            nodes[other, IDENTITY] == nodes[node, IDENTITY]
            and nodes[other, ATTRIBUTE_SET] == nodes[node, ATTRIBUTE_SET]
        ):
            equal += 1
            earliest = place
    if equal >= 3:
        remove_formatting(state, earliest)
    _make_room(state)
    state[FORMATTING + state[FORMATTING_COUNT]] = node
    state[FORMATTING_COUNT] += 1


@small_kernel
def _make_room(state):
    apart()
    if state[FORMATTING_COUNT] >= MAX_FORMATTING:
        remove_formatting(state, 0)


@small_kernel
def remove_formatting(state, place):
    """Forget the formatting element at a place of the list."""
    apart()
    state[STEPS] += state[FORMATTING_COUNT] - place
    for at in range(place, state[FORMATTING_COUNT] - 1):
        state[FORMATTING + at] = state[FORMATTING + at + 1]
    state[FORMATTING_COUNT] -= 1


@small_kernel
def _place_in_list(state, node):
    apart()
    for place in range(state[FORMATTING_COUNT] - 1, -1, -1):
        state[STEPS] += 1
        if state[FORMATTING + place] == node:
            return place
    return -1


@small_kernel
def last_formatting(nodes, state, name):
    """The place of the last formatting element of this identity since the last marker; -1 if there is none."""
    apart()
    for place in range(state[FORMATTING_COUNT] - 1, -1, -1):
        node = state[FORMATTING + place]
        state[STEPS] += 1
        if node == MARKER:
            break
        if nodes[node, IDENTITY] == name:
            return place
    return -1


@small_kernel
def reconstruct(nodes, state):
    """Open again what was not closed by an end tag of its own."""
    apart()
    count = state[FORMATTING_COUNT]
    if count == 0:
        return
    last = state[FORMATTING + count - 1]
    if last == MARKER or last == current(state) or place_in_stack(state, last) >= 0:
        return
    place = count - 1
    while place > 0:
        before = state[FORMATTING + place - 1]
        if before == MARKER or place_in_stack(state, before) >= 0:
            break
        place -= 1
    while place < count and state[STOPPED] == 0:
        clone = _clone(nodes, state, state[FORMATTING + place])
        target = current(state) if state[DEPTH] < MAX_DEPTH else state[STACK + state[DEPTH] - 2]
        parent, after = insertion_place(nodes, state, target)
        attach(nodes, clone, parent, after)
        push(state, clone)
        state[FORMATTING + place] = clone
        place += 1


@small_kernel
def _clone(nodes, state, node):
    """An element with the same name and attributes that hangs nowhere."""
    apart()
    clone = new_node(
        nodes, state, nodes[node, KIND], nodes[node, IDENTITY], nodes[node, START], nodes[node, END]
    )
    nodes[clone, ATTRIBUTE_SET] = nodes[node, ATTRIBUTE_SET]
    return clone


@small_kernel
def adopt(nodes, state, name):
    """The adoption agency algorithm for an end tag of this identity; False if it is to be like any other."""
    apart()
    node = current(state)
    if nodes[node, IDENTITY] == name and _place_in_list(state, node) < 0:
        pop(state)
        return True
    for _ in range(8):
        listed = last_formatting(nodes, state, name)
        if listed < 0:
            return False
        formatting = state[FORMATTING + listed]
        place = place_in_stack(state, formatting)
        if place < 0:
            remove_formatting(state, listed)
            return True
        if not node_in_scope(nodes, state, formatting):
            return True
        furthest_place = place + 1
        while furthest_place < state[DEPTH]:
            state[STEPS] += 1
            if rules_of(nodes, state[STACK + furthest_place]) & SPECIAL:
                break
            furthest_place += 1
        if furthest_place >= state[DEPTH]:
            state[DEPTH] = max(1, place)
            remove_formatting(state, listed)
            return True
        _split(nodes, state, formatting, place, furthest_place)
        if state[STOPPED]:
            return True
    return True


@small_kernel
def _split(nodes, state, formatting, place, furthest_place):
    """Split a formatting element around the furthest block in it (steps 10 to 20 of the algorithm)."""
    apart()
    furthest = state[STACK + furthest_place]
    bookmark = NONE  # the element behind which the new one goes into the list; NONE: where the old one is
    last = furthest
    inner = 0
    at = furthest_place
    while True:
        at -= 1
        node = state[STACK + at]
        if node == formatting:
            break
        inner += 1
        listed = _place_in_list(state, node)
        if inner > 3 and listed >= 0:
            remove_formatting(state, listed)
            listed = -1
        if listed < 0:
            remove_from_stack(state, at)
            furthest_place -= 1
            continue
        clone = _clone(nodes, state, node)
        state[FORMATTING + listed] = clone
        state[STACK + at] = clone
        if last == furthest:
            bookmark = clone
        detach(nodes, last)
        attach(nodes, last, clone, NONE)
        last = clone
    detach(nodes, last)
    parent, after = insertion_place(nodes, state, state[STACK + place - 1])
    attach(nodes, last, parent, after)
    clone = _clone(nodes, state, formatting)
    _move_children(nodes, state, furthest, clone)
    attach(nodes, clone, furthest, NONE)
    if bookmark == NONE:
        state[FORMATTING + _place_in_list(state, formatting)] = clone
    else:
        remove_formatting(state, _place_in_list(state, formatting))
        behind = _place_in_list(state, bookmark) + 1
        for shifted in range(state[FORMATTING_COUNT], behind, -1):
            state[FORMATTING + shifted] = state[FORMATTING + shifted - 1]
        state[FORMATTING + behind] = clone
        state[FORMATTING_COUNT] += 1
    remove_from_stack(state, place)
    # What was at furthest_place has moved one down; the clone goes right behind it.
    for shifted in range(state[DEPTH], furthest_place, -1):
        state[STACK + shifted] = state[STACK + shifted - 1]
    state[STACK + furthest_place] = clone
    state[DEPTH] += 1


@inlined
def _move_children(nodes, state, source, target):
    child = nodes[source, FIRST]
    while child != NONE:
        after = nodes[child, NEXT]
        state[STEPS] += 1
        detach(nodes, child)
        attach(nodes, child, target, NONE)
        child = after


@small_kernel
def close_other(nodes, state, name):
    """Any other end tag in the body: close the element of this identity, unless a special one was opened after it."""
    apart()
    for place in range(state[DEPTH] - 1, 0, -1):
        node = state[STACK + place]
        state[STEPS] += 1
        if nodes[node, IDENTITY] == name:
            imply_end_tags(nodes, state, name)
            state[DEPTH] = place
            return
        if rules_of(nodes, node) & SPECIAL:
            return
