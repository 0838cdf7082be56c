"""The compiled encoder under supervision: compared with the library on the corpus's own first texts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from textmill.tokenizer.encode import Encoder, EncodingError, Ids, Offsets

CHECKED_BYTES = 256 * 2**10


class CheckedEncoder:
    """Encodes by ``fast``, and by ``library`` too until :data:`CHECKED_BYTES` of text agree.

    One difference, and it uses the library from then on: ids are right either way.

    Attributes:
        fell_back: what differed; None as long as nothing did.
    """

    def __init__(self, fast: Encoder, library: Encoder) -> None:
        self.vocab_size = library.vocab_size
        self.eos_id = library.eos_id
        self.eos_token = library.eos_token
        self.lossless = library.lossless
        self.fell_back: str | None = None
        self._fast = fast
        self._library = library
        self._unchecked = CHECKED_BYTES

    def encode_batch(self, texts: Sequence[str]) -> tuple[Ids, Offsets]:
        """See :meth:`textmill.tokenizer.encode.Encoder.encode_batch`."""
        if self.fell_back is not None:
            return self._library.encode_batch(texts)
        ids, offsets = self._fast.encode_batch(texts)
        checked = 0
        while checked < len(texts) and self._unchecked > 0:
            text = texts[checked]
            found = ids[offsets[checked] : offsets[checked + 1]]
            self._compare(found, partial(self._library.encode_batch, [text]))
            self._unchecked -= max(1, len(text))
            checked += 1
        return (ids, offsets) if self.fell_back is None else self._library.encode_batch(texts)

    def encode_utf8(self, data: npt.NDArray[np.uint8], offsets: Offsets) -> tuple[Ids, Offsets]:
        """See :meth:`textmill.tokenizer.encode.Encoder.encode_utf8`."""
        if self.fell_back is not None:
            return self._library.encode_utf8(data, offsets)
        ids, borders = self._fast.encode_utf8(data, offsets)
        checked = 0
        while checked < len(offsets) - 1 and self._unchecked > 0:
            found = ids[borders[checked] : borders[checked + 1]]
            self._compare(found, partial(self._library.encode_utf8, data, offsets[checked : checked + 2]))
            self._unchecked -= max(1, int(offsets[checked + 1] - offsets[checked]))
            checked += 1
        return (ids, borders) if self.fell_back is None else self._library.encode_utf8(data, offsets)

    def decode(self, ids: Sequence[int] | npt.NDArray[Any]) -> str:
        """See :meth:`textmill.tokenizer.encode.Encoder.decode`."""
        return self._library.decode(ids)

    def _compare(self, found: Ids, encode: Callable[[], tuple[Ids, Offsets]]) -> None:
        try:
            expected, _ = encode()
        except EncodingError:
            # The library may give up on a text (its engine limits backtracking) that the kernels manage.
            return
        if self.fell_back is None and not np.array_equal(found, expected):
            common = min(len(found), len(expected))
            place = int(np.argmin(np.append(found[:common] == expected[:common], False)))
            self.fell_back = f"token {place} of a text is not the one that the library gives"
