import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.tokens.mill import mill

from textmill.errors import UserError
from textmill.tokens import dataset
from textmill.tokens.dataset import TokenSet
from textmill.tokens.index import TokenIndex
from textmill.tokens.sample_ids import sample_ids


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("dataset") / "run"
    mill(root, shards=9)
    return root / "tokens"


def concatenated(folder: Path, split: str) -> np.ndarray:
    files = TokenIndex.read(folder).files[split]
    return np.concatenate([np.load(folder / file.path) for file in files])


@pytest.mark.parametrize("seq_len", [1, 7, 64, 5000])
@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_samples_are_windows_of_the_shards_end_to_end(folder: Path, split: str, seq_len: int) -> None:
    expected = concatenated(folder, split)
    tokens = TokenSet(folder, split, seq_len)
    assert tokens.tokens == len(expected)
    assert len(tokens) == len(expected) // seq_len
    for i, sample in enumerate(tokens):
        assert sample.tolist() == expected[i * seq_len : (i + 1) * seq_len].tolist()
        assert sample.shape == (seq_len,)
        assert not sample.flags.writeable
    assert len(list(tokens)) == len(tokens)


@settings(deadline=None)
@given(data=st.data())
def test_any_range_can_be_read(folder: Path, data: st.DataObject) -> None:
    expected = concatenated(folder, "validation")
    start = data.draw(st.integers(0, len(expected)))
    stop = data.draw(st.integers(start, len(expected)))
    assert TokenSet(folder, "validation").read(start, stop).tolist() == expected[start:stop].tolist()


def test_what_lies_outside_is_an_index_error(folder: Path) -> None:
    tokens = TokenSet(folder, "train")
    assert tokens[-1].tolist() == tokens[len(tokens) - 1].tolist()
    for sample in (len(tokens), -len(tokens) - 1):
        with pytest.raises(IndexError):
            tokens[sample]
    with pytest.raises(IndexError):
        tokens.read(5, tokens.tokens + 1)


def test_sample_ids_are_those_of_the_whole(folder: Path) -> None:
    tokens = TokenSet(folder, "train", 100)
    expected = sample_ids(concatenated(folder, "train"), 100)
    assert [tokens.sample_id(i) for i in range(len(tokens))] == expected.tolist()


def test_few_shards_are_open_at_a_time(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dataset, "OPEN_SHARDS", 2)
    tokens = TokenSet(folder, "train", 500)
    expected = concatenated(folder, "train")
    for i in [*range(len(tokens)), 0, 3, 1]:
        assert tokens[i].tolist() == expected[i * 500 : (i + 1) * 500].tolist()
        assert len(tokens._open) <= 2


def test_a_pickled_set_carries_no_tokens(folder: Path) -> None:
    tokens = TokenSet(folder, "train")
    tokens[0]
    pickled = pickle.dumps(tokens)
    assert len(pickled) < 20_000
    assert pickle.loads(pickled)[3].tolist() == tokens[3].tolist()
    tokens[1]


def test_as_a_torch_data_set(folder: Path) -> None:
    import torch
    from torch.utils.data import DataLoader

    tokens = TokenSet(folder, "train", 64)
    torch_set = tokens.as_torch()
    assert len(torch_set) == len(tokens)
    assert torch_set[2].dtype == torch.int64
    for workers in (0, 2):
        loader = DataLoader(
            torch_set, batch_size=8, num_workers=workers, multiprocessing_context="spawn" if workers else None
        )
        batch = next(iter(loader))
        assert batch.shape == (8, 64)
        assert batch.tolist() == [tokens[i].tolist() for i in range(8)]


def test_the_data_set_needs_no_torch(folder: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from textmill.tokens.dataset import TokenSet;"
        f"TokenSet(Path({str(folder)!r}))[0]; print('torch' in sys.modules, 'pyarrow' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False False"


def test_mistakes_are_told(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no tokens here"):
        TokenSet(tmp_path, "train")
    with pytest.raises(UserError, match="no split dev"):
        TokenSet(folder, "dev")
    for damage in ("{", "[]", '{"format": "textmill-tokens"}', '{"format": 1, "version": 1}'):
        (tmp_path / "index.json").write_text(damage)
        with pytest.raises(UserError):
            TokenSet(tmp_path, "train")


@pytest.mark.parametrize("damage", ["missing", "truncated", "dtype", "shorter", "empty"])
def test_a_damaged_shard_is_told(tmp_path: Path, damage: str) -> None:
    root = tmp_path / "run"
    mill(root)
    path = root / "tokens" / TokenIndex.read(root / "tokens").files["train"][0].path
    content = np.load(path)
    if damage == "missing":
        path.unlink()
    elif damage == "truncated":
        path.write_bytes(path.read_bytes()[:-10])
    elif damage == "dtype":
        np.save(path, content.astype(np.int32))
    elif damage == "shorter":
        np.save(path, content[:-1])
    else:
        path.write_bytes(b"")
    with pytest.raises(UserError, match="a token shard") as error:
        TokenSet(root / "tokens", "train")[0]
    assert str(path) in str(error.value)
