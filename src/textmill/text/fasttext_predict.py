"""The best label of many lines by a supervised model of fastText, with its own arithmetic.

    line ─► words (white space) ─► the word's row, rows of its n-grams ─► mean ─► softmax (or tree) ─► best label

The same rows are added in the same order in float32, so that labels are those of fastText and probabilities differ
by the rounding of `exp` at most. It is faster because the hash of an n-gram goes on from that of the n-gram before,
rows lie decoded in memory, and one bit tells that an n-gram has none.
"""

# Kernels have no annotations: Numba infers their types.
# mypy: allow-untyped-defs, no-check-untyped-defs

from __future__ import annotations

import math
import struct
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from textmill.text.compilation import borrowed, kernel
from textmill.text.fasttext_model import (
    FNV_START,
    HIERARCHICAL,
    LABEL,
    MAGIC,
    SOFTMAX,
    SUPERVISED,
    VERSIONS,
    WORD,
    FastTextModel,
    fnv_step,
    parse_model,
)
from textmill.text.inputs import checked

NO_LABEL = -1
LABEL_PREFIX = np.frombuffer(b"__label__", np.uint8)
WORD_FACTOR = np.uint64(116049371)  # joins the hashes of words into that of a run of words
LEAST = 1e-5  # added under every logarithm
TABLE_SIZE, TABLE_END = 512, 8  # of the sigmoid


def predict(
    model: FastTextModel, data: npt.NDArray[np.uint8], offsets: npt.NDArray[np.integer]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
    """The best label of every line, as a position in ``model.labels``, and its probability.

    Args:
        model: as `read_model` gives it.
        data: uint8[bytes], UTF-8.
        offsets: int[lines + 1]: line l is data[offsets[l]:offsets[l + 1]]; newlines in it end it.

    Returns:
        int64[lines] (NO_LABEL if the line holds nothing that the model knows) and float32[lines] (0 then).
        Probabilities come out at up to 1.00001, as in fastText.
    """
    data, offsets = checked(data, offsets)
    labels = np.full(offsets.size - 1, NO_LABEL, np.int64)
    scores = np.zeros(offsets.size - 1, np.float32)
    _predict(
        data,
        offsets,
        model.shortest,
        model.longest,
        np.uint32(model.bucket),
        model.word_ngrams,
        model.entries,
        model.entry_offsets,
        model.slots,
        model.words,
        (model.pruned, model.before, model.pruned_rows),
        model.all_pruned,
        model.rows,
        model.loss,
        model.outputs,
        model.output_norms,
        (model.tree.left, model.tree.right),
        _sigmoid_table(),
        LABEL_PREFIX,
        labels,
        scores,
    )
    return labels, scores


def warm_up() -> None:
    """Compile the kernels, by a model of one word and two labels."""
    one_word = b"a\0" + struct.pack("<qb", 1, WORD)
    two_labels = b"".join(label + b"\0" + struct.pack("<qb", 1, LABEL) for label in (b"x", b"y"))
    matrices = [struct.pack("<?2q", False, rows, 1) + np.ones(rows, "<f4").tobytes() for rows in (2, 2)]
    header = struct.pack("<2i", MAGIC, VERSIONS[-1])
    header += struct.pack("<12id", 1, 0, 0, 0, 0, 1, SOFTMAX, SUPERVISED, 1, 1, 2, 0, 0.0)
    header += struct.pack("<3i2q", 3, 1, 2, 1, -1)
    model = parse_model(np.frombuffer(header + one_word + two_labels + b"".join(matrices), np.uint8))
    predict(model, np.frombuffer(b"a b", np.uint8), np.array([0, 3]))


@lru_cache(maxsize=1)
def _sigmoid_table() -> npt.NDArray[np.float32]:
    """float32[513]: the sigmoid from -8 to 8, which losses of independent labels read instead of computing it."""
    places = np.arange(TABLE_SIZE + 1) * 2 * TABLE_END / TABLE_SIZE - TABLE_END
    return (1 / (1 + np.exp(-places.astype(np.float32)).astype(np.float64))).astype(np.float32)


@kernel
def _predict(
    data,
    offsets,
    shortest,
    longest,
    bucket,
    word_ngrams,
    entries,
    entry_offsets,
    slots,
    words,
    pruning,
    all_pruned,
    rows,
    loss,
    outputs,
    output_norms,
    tree,
    sigmoids,
    prefix,
    labels,
    scores,
):
    data, entries, entry_offsets, slots = (
        borrowed(data),
        borrowed(entries),
        borrowed(entry_offsets),
        borrowed(slots),
    )
    rows, outputs = borrowed(rows), borrowed(outputs)
    bits, before, pruned_rows = borrowed(pruning[0]), borrowed(pruning[1]), borrowed(pruning[2])
    hidden = np.empty(rows.shape[1], np.float32)
    values = np.empty(outputs.shape[0], np.float32)
    found = np.empty(1024, np.int64)  # rows of one line
    hashes = np.empty(256, np.int64)  # of its words
    for line in range(offsets.size - 1):
        at, end = offsets[line], offsets[line + 1]
        count = 0
        tokens = 0
        while True:
            while at < end and data[at] != 10 and _is_space(data[at]):
                at += 1
            if at >= end or data[at] == 10:
                # The end of a line is a word too, without n-grams.
                position = _end_of_line(entries, entry_offsets, slots)
                if NO_LABEL < position < words:
                    found = _with_room(found, count, 1)
                    found[count] = position
                    count += 1
                hashes = _with_room(hashes, tokens, 1)
                hashes[tokens] = _signed(_end_of_line_hash())
                tokens += 1
                break
            begin = at
            value = FNV_START
            while at < end and not _is_space(data[at]):
                value = fnv_step(value, data[at])
                at += 1
            position = _position(data, begin, at, value, entries, entry_offsets, slots)
            if position >= words or (position < 0 and _starts_with(data, begin, at, prefix)):
                continue  # labels in a text say nothing
            is_end = _is_end_of_line(data, begin, at)
            if position >= 0:
                found = _with_room(found, count, 1)
                found[count] = position
                count += 1
            if longest > 0 and not all_pruned and not is_end:
                found = _with_room(found, count, (at - begin + 2) * min(longest, at - begin + 2))
                count = _add_ngrams(
                    data, begin, at, shortest, longest, bucket, words, bits, before, pruned_rows, found, count
                )
            hashes = _with_room(hashes, tokens, 1)
            hashes[tokens] = _signed(value)
            tokens += 1
            if is_end:
                break
        if word_ngrams > 1 and not all_pruned:
            found = _with_room(found, count, tokens * min(word_ngrams - 1, tokens))
            count = _add_word_ngrams(
                hashes, tokens, word_ngrams, bucket, words, bits, before, pruned_rows, found, count
            )
        if count == 0:
            continue
        _mean(rows, found, count, hidden)
        if loss == HIERARCHICAL:
            labels[line], scores[line] = _down_the_tree(tree[0], tree[1], outputs, output_norms, hidden)
        else:
            labels[line], scores[line] = _best(outputs, output_norms, hidden, values, loss, sigmoids)


@kernel
def _is_space(byte):
    return byte == 32 or byte == 0 or 9 <= byte <= 13


@kernel
def _signed(value):
    return np.int64(np.int32(value))


@kernel
def _end_of_line_hash():
    value = FNV_START
    for byte in (60, 47, 115, 62):
        value = fnv_step(value, np.uint8(byte))
    return value


@kernel
def _end_of_line(entries, entry_offsets, slots):
    """Position of `</s>` in the dictionary, or -1."""
    word = np.array([60, 47, 115, 62], np.uint8)
    return _position(word, 0, 4, _end_of_line_hash(), entries, entry_offsets, slots)


@kernel
def _is_end_of_line(data, begin, end):
    return (
        end - begin == 4
        and data[begin] == 60
        and data[begin + 1] == 47
        and data[begin + 2] == 115
        and data[begin + 3] == 62
    )


@kernel
def _starts_with(data, begin, end, prefix):
    same = end - begin >= prefix.size
    for place in range(min(prefix.size, end - begin)):
        same &= data[begin + place] == prefix[place]
    return same


@kernel
def _position(data, begin, end, value, entries, entry_offsets, slots):
    """Where the dictionary has data[begin:end], or -1."""
    mask = slots.size - 1
    slot = np.int64(value) & mask
    while slots[slot] >= 0:
        entry = slots[slot]
        start = entry_offsets[entry]
        if entry_offsets[entry + 1] - start == end - begin:
            same = True
            for place in range(end - begin):
                if entries[start + place] != data[begin + place]:
                    same = False
                    break
            if same:
                return np.int64(entry)
        slot = (slot + 1) & mask
    return np.int64(-1)


@kernel
def _with_room(array, used, more):
    if used + more <= array.size:
        return array
    larger = np.empty(2 * (used + more), array.dtype)
    larger[:used] = array[:used]
    return larger


@kernel
def _add_ngrams(data, begin, end, shortest, longest, bucket, words, bits, before, pruned_rows, found, count):
    """Rows of the n-grams of `<word>`, from left to right, the shorter ones first."""
    first = begin - 1  # where `<` stands; `>` stands at `end`
    at = first
    while at <= end:
        value = FNV_START
        place = at
        length = 0
        while place <= end and length < longest:
            byte = np.uint8(60) if place == first else (np.uint8(62) if place == end else data[place])
            value = fnv_step(value, byte)
            place += 1
            while place < end and data[place] & 0xC0 == 0x80:
                value = fnv_step(value, data[place])
                place += 1
            length += 1
            if length >= shortest and not (length == 1 and (at == first or place > end)):
                count = _add_row(np.int64(value % bucket), words, bits, before, pruned_rows, found, count)
        at += 1
        while at < end and data[at] & 0xC0 == 0x80:
            at += 1
    return count


@kernel
def _add_word_ngrams(hashes, tokens, longest, bucket, words, bits, before, pruned_rows, found, count):
    for first in range(tokens):
        value = np.uint64(hashes[first])
        for last in range(first + 1, min(tokens, first + longest)):
            value = value * WORD_FACTOR + np.uint64(hashes[last])
            count = _add_row(
                np.int64(value % np.uint64(bucket)), words, bits, before, pruned_rows, found, count
            )
    return count


@kernel
def _add_row(place, words, bits, before, pruned_rows, found, count):
    """Note the row of a hash, if it kept one."""
    if place > 2147483647:
        return count  # fastText's 32 bits are negative there
    if bits.size == 0:
        found[count] = words + place
        return count + 1
    word = bits[place >> 6]
    bit = np.uint64(1) << np.uint64(place & 63)
    if word & bit:
        found[count] = words + pruned_rows[before[place >> 6] + _ones(word & (bit - np.uint64(1)))]
        return count + 1
    return count


@kernel
def _ones(word):
    """How many bits are set (Hacker's Delight, 2nd edition, section 5-1)."""
    word = word - ((word >> np.uint64(1)) & np.uint64(0x5555555555555555))
    word = (word & np.uint64(0x3333333333333333)) + ((word >> np.uint64(2)) & np.uint64(0x3333333333333333))
    word = (word + (word >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    return np.int64((word * np.uint64(0x0101010101010101)) >> np.uint64(56))


@kernel
def _mean(rows, found, count, hidden):
    hidden[:] = 0
    for place in range(count):
        row = found[place]
        for column in range(hidden.size):
            hidden[column] += rows[row, column]
    factor = np.float32(1.0 / count)
    for column in range(hidden.size):
        hidden[column] *= factor


@kernel
def _product(outputs, norms, row, hidden):
    total = np.float32(0)
    for column in range(hidden.size):
        total += outputs[row, column] * hidden[column]
    return total * norms[row]


@kernel
def _log(value):
    return np.float32(math.log(np.float64(value) + LEAST))


@kernel
def _down_the_tree(left, right, outputs, norms, hidden):
    """The best leaf, depth first; a branch that is worse than the best leaf so far is left out."""
    leaves = outputs.shape[0]
    stack = np.empty(left.size + 1, np.int64)
    sums = np.empty(left.size + 1, np.float32)
    stack[0], sums[0] = left.size - 1, 0
    waiting = 1
    best = np.int64(NO_LABEL)
    best_score = np.float32(0)
    while waiting:
        waiting -= 1
        node, score = stack[waiting], sums[waiting]
        if score < _log(np.float32(0)) or (best >= 0 and score < best_score):
            continue
        if left[node] < 0:
            best, best_score = node, score
            continue
        turn = _product(outputs, norms, node - leaves, hidden)
        turn = np.float32(1.0 / np.float64(np.float32(1) + np.float32(math.exp(-turn))))
        stack[waiting], sums[waiting] = right[node], score + _log(turn)
        stack[waiting + 1], sums[waiting + 1] = left[node], score + _log(np.float32(1.0 - np.float64(turn)))
        waiting += 2
    return best, np.float32(math.exp(best_score)) if best >= 0 else np.float32(0)


@kernel
def _best(outputs, norms, hidden, values, loss, sigmoids):
    """The best of all labels; of equal ones the last."""
    for label in range(values.size):
        values[label] = _product(outputs, norms, label, hidden)
    if loss == SOFTMAX:
        most = values[0]
        for label in range(values.size):
            most = max(most, values[label])
        total = np.float32(0)
        for label in range(values.size):
            values[label] = np.float32(math.exp(values[label] - most))
            total += values[label]
        for label in range(values.size):
            values[label] /= total
    else:
        for label in range(values.size):
            values[label] = _sigmoid(values[label], sigmoids)
    best = np.int64(NO_LABEL)
    best_score = np.float32(0)
    for label in range(values.size):
        score = _log(values[label])
        if best < 0 or score >= best_score:
            best, best_score = np.int64(label), score
    return best, np.float32(math.exp(best_score))


@kernel
def _sigmoid(value, sigmoids):
    if value < -TABLE_END:
        return np.float32(0)
    if value > TABLE_END:
        return np.float32(1)
    return sigmoids[
        np.int64((value + np.float32(TABLE_END)) * np.float32(TABLE_SIZE) / np.float32(2 * TABLE_END))
    ]
