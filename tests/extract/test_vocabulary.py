"""Exact look-up of hashes, and groups of equal keys, against dictionaries."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from textmill.extract.grouping import numbered
from textmill.extract.vocabulary import rows_of, vocabulary_slots

HASHES = st.lists(st.integers(0, 2**32 - 1) | st.integers(0, 40), max_size=60)


@given(HASHES, HASHES)
def test_rows(known: list[int], wanted: list[int]) -> None:
    keys = np.unique(np.array(known, np.uint32))
    places = {key: place for place, key in enumerate(keys.tolist())}
    found = rows_of(keys, vocabulary_slots(keys), np.array(wanted + known, np.uint32))
    assert found.tolist() == [places.get(key, -1) for key in wanted + known]


@given(st.lists(st.integers(0, 2**64 - 1) | st.integers(0, 9), max_size=60))
def test_numbers(keys: list[int]) -> None:
    numbers: dict[int, int] = {}
    expected = [numbers.setdefault(key, len(numbers)) for key in keys]
    assert numbered(np.array(keys, np.uint64)).tolist() == expected
