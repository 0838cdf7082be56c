from hashlib import blake2b

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from textmill.tokens.sample_ids import EMPTY_ID, sample_id, sample_ids

# Computed with the original's own code on tokens = arange(8 * 2048) % 32000, seq_len 2048.
TOKENS = (np.arange(8 * 2048) % 32000).astype(np.uint16)


def test_golden_ids_of_the_original() -> None:
    assert sample_ids(TOKENS, 2048, "upstream").tolist() == [
        0xDB657FD93B060086,
        0x83F31238F87A962D,
        0x0574E102A4603BA0,
        0xCD9A856A988F6587,
        *[EMPTY_ID] * 4,
    ]
    assert blake2b(b"", digest_size=8).digest() == EMPTY_ID.to_bytes(8, "little")


def test_golden_ids_as_they_should_be() -> None:
    assert sample_ids(TOKENS, 2048).tolist()[:2] == [0x6FD19DE0269022A3, 0x31FC08A3D83C0D4B]
    assert len(set(sample_ids(TOKENS, 2048).tolist())) == 8
    assert sample_ids(TOKENS.astype(np.uint32), 2048)[0] == 0x86FFA466DE714F34


def test_with_32_bit_tokens_the_original_is_right() -> None:
    wide = TOKENS.astype(np.uint32)
    assert sample_ids(wide, 2048, "upstream").tolist() == sample_ids(wide, 2048).tolist()


@given(count=st.integers(0, 60), seq_len=st.integers(1, 9), wide=st.booleans())
def test_ids_are_those_of_the_files_bytes(count: int, seq_len: int, wide: bool) -> None:
    tokens = np.arange(count, dtype=np.uint32 if wide else np.uint16)
    raw = tokens.tobytes()
    size = seq_len * tokens.itemsize
    correct = [raw[i * size : (i + 1) * size] for i in range(count // seq_len)]
    upstream = [raw[i * seq_len * 4 : (i + 1) * seq_len * 4] for i in range(count // seq_len)]
    for mode, parts in (("correct", correct), ("upstream", upstream)):
        expected = [int.from_bytes(blake2b(part, digest_size=8).digest(), "little") for part in parts]
        assert sample_ids(tokens, seq_len, mode).tolist() == expected  # type: ignore[arg-type]


def test_byte_order_of_the_array_does_not_matter() -> None:
    assert sample_id(TOKENS[:64].astype(">u2")) == sample_id(TOKENS[:64])


def test_other_arrays_are_refused() -> None:
    for tokens in (np.zeros(4, np.int64), np.zeros((2, 2), np.uint16), np.zeros(4, np.float32)):
        with pytest.raises(ValueError, match="expected 1-D uint16 or uint32"):
            sample_ids(tokens, 2)
