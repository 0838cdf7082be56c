"""What is exported is read by the tools that it is for, and what they write is imported."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from tests.tokens.readers import call
from tests.tokens.test_export import EOS, write
from tests.tokens.test_import import lengths_of, stream_of

from textmill.tokens.export import Format, export_tokens, open_stream
from textmill.tokens.import_tokens import ImportPlan, import_tokens

pytestmark = pytest.mark.slow


def exported(folder: Path, kind: Format, dtype: str = "uint16", top: int = 60_000) -> list[np.ndarray]:
    made = write(folder, dtype, top)
    export_tokens(open_stream(folder, eos_id=EOS), folder / "out", kind, seq_len=16)
    return made


@pytest.mark.parametrize(("dtype", "top"), [("uint16", 60_000), ("uint32", 200_000)])
def test_datatrove_reads_documents_and_windows(tmp_path: Path, dtype: str, top: int) -> None:
    made = exported(tmp_path, "ds", dtype, top)
    size = np.dtype(dtype).itemsize
    script = """
import json, sys, numpy as np
from datatrove.pipeline.tokens.merger import get_data_reader, load_doc_ends
from datatrove.utils.dataset import DatatroveFileDataset
path, size = sys.argv[1], int(sys.argv[2])
ends = load_doc_ends(open(path + ".index", "rb"))
data = get_data_reader(open(path, "rb"), ends, nb_bytes=size)
documents = [np.frombuffer(one, f"<u{size}").tolist() for one in data]
windows = DatatroveFileDataset(path, 15, token_size=size, return_positions=True)
rows = [windows[i] for i in range(len(windows))]
print(json.dumps([documents, [row["input_ids"].tolist() for row in rows], [row["positions"].tolist() for row in rows]]))
"""
    documents, windows, positions = json.loads(call(script, tmp_path / "out.ds", size))
    assert documents == [one.tolist() for one in made]
    flat = np.concatenate(made)
    assert windows == flat[: len(flat) // 16 * 16].reshape(-1, 16).tolist()
    place = np.concatenate([np.arange(len(one)) for one in made])
    found = np.array(positions)
    expected = place[: len(flat) // 16 * 16].reshape(-1, 16)
    starts = expected == 0
    assert (found[:, 1:][starts[:, 1:]] == 0).all(), "it finds the documents' beginnings"


def test_datatrove_writes_what_we_read(tmp_path: Path) -> None:
    documents = [[5, 6, EOS], [EOS], [70, 1, 2, 3, EOS]]
    script = """
import json, sys
from datatrove.io import get_datafolder
from datatrove.pipeline.tokens.tokenizer import TokenizedFile
file = TokenizedFile(get_datafolder(sys.argv[1]), "t.ds", upload_block_size=None, token_size=int(sys.argv[2]))
for one in json.loads(sys.argv[3]):
    file.write(one, None)
file.close()
"""
    for size in (2, 4):
        folder = tmp_path / str(size)
        folder.mkdir()
        call(script, folder, size, json.dumps(documents))
        import_tokens(ImportPlan(folder / "t.ds", "ds", folder / "o", eos_id=EOS))
        assert stream_of(folder / "o").tolist() == [token for one in documents for token in one]
        assert stream_of(folder / "o").dtype.itemsize == size
        assert lengths_of(folder / "o") == [3, 1, 5]


@pytest.mark.parametrize(("dtype", "top"), [("uint16", 60_000), ("uint32", 200_000)])
def test_megatron_reads_documents(tmp_path: Path, dtype: str, top: int) -> None:
    made = exported(tmp_path, "megatron", dtype, top)
    script = """
import json, sys
from megatron.core.datasets.indexed_dataset import IndexedDataset
data = IndexedDataset(sys.argv[1], mmap=True)
print(json.dumps([[data[i].tolist() for i in range(len(data))], data.document_indices.tolist()]))
"""
    documents, borders = json.loads(call(script, tmp_path / "out"))
    assert documents == [one.tolist() for one in made]
    assert borders == list(range(len(made) + 1))


def test_megatron_writes_what_we_read(tmp_path: Path) -> None:
    script = """
import sys, numpy, torch
from megatron.core.datasets.indexed_dataset import IndexedDatasetBuilder
for name, dtype in (("a", numpy.uint16), ("b", numpy.int32)):
    builder = IndexedDatasetBuilder(f"{sys.argv[1]}/{name}.bin", dtype=dtype)
    builder.add_document(torch.tensor([1, 2, 3, 4, 7]), [3, 2])
    builder.add_item(torch.tensor([5, 7])); builder.end_document()
    builder.finalize(f"{sys.argv[1]}/{name}.idx")
"""
    call(script, tmp_path)
    for name, dtype in (("a", "uint16"), ("b", "uint32")):
        import_tokens(ImportPlan(tmp_path / name, "megatron", tmp_path / f"o{name}", eos_id=7))
        assert stream_of(tmp_path / f"o{name}").tolist() == [1, 2, 3, 4, 7, 5, 7]
        assert stream_of(tmp_path / f"o{name}").dtype == dtype
        assert lengths_of(tmp_path / f"o{name}") == [5, 2]


def test_datasets_loads_the_folder(tmp_path: Path) -> None:
    made = exported(tmp_path, "hf")
    script = """
import json, sys
from datasets import load_dataset
data = load_dataset(sys.argv[1], cache_dir=sys.argv[2])
print(json.dumps([list(data), [list(row) for row in data["train"]["input_ids"]]]))
"""
    splits, rows = json.loads(call(script, tmp_path / "out", tmp_path / "cache"))
    flat = np.concatenate(made)
    assert splits == ["train"]
    assert rows == flat[: len(flat) // 16 * 16].reshape(-1, 16).tolist()


def test_datasets_writes_what_we_read(tmp_path: Path) -> None:
    script = """
import sys
from datasets import Dataset, Features, Sequence, Value
for kind in ("int64", "uint16"):
    features = Features({"input_ids": Sequence(Value(kind))})
    data = Dataset.from_dict({"input_ids": [[1, 2, 7], [3, 7], [4]]}, features=features)
    data.save_to_disk(f"{sys.argv[1]}/{kind}-disk", num_shards=2)
    data.to_parquet(f"{sys.argv[1]}/{kind}-parquet/a.parquet")
"""
    (tmp_path / "int64-parquet").mkdir()
    (tmp_path / "uint16-parquet").mkdir()
    call(script, tmp_path)
    for kind in ("int64-disk", "int64-parquet", "uint16-disk", "uint16-parquet"):
        import_tokens(ImportPlan(tmp_path / kind, "hf", tmp_path / f"o-{kind}", eos_id=7))
        assert stream_of(tmp_path / f"o-{kind}").tolist() == [1, 2, 7, 3, 7, 4]
        assert lengths_of(tmp_path / f"o-{kind}") == [3, 2, 1]


def test_numpy_reads_nanogpt_and_templar(tmp_path: Path) -> None:
    """By the lines that nanoGPT's and Templar's own loaders consist of."""
    made = exported(tmp_path, "templar")
    script = """
import hashlib, json, sys, numpy as np
folder = sys.argv[1]
tokens, ids, expected = [], [], []
for number in range(3):
    shard = np.load(f"{folder}/train_{number:06d}.npy", mmap_mode="r", allow_pickle=False)
    assert shard.dtype == np.uint32 and shard.ndim == 1
    tokens += shard.tolist()
    ids += np.fromfile(f"{folder}/sample_ids_{number:06d}.bin", dtype=np.uint64).tolist()
    for i in range(len(shard) // 16):
        digest = hashlib.blake2b(shard[i * 16:(i + 1) * 16].tobytes(), digest_size=8).digest()
        expected.append(int.from_bytes(digest, "little"))
assert ids == expected, "every sample has its id"
print(json.dumps(tokens))
"""
    assert json.loads(call(script, tmp_path / "out")) == np.concatenate(made).tolist()
    export_tokens(open_stream(tmp_path), tmp_path / "nano", "raw")
    script = """
import json, sys, numpy as np
print(json.dumps(np.memmap(sys.argv[1], dtype=np.uint16, mode="r").tolist()))
"""
    assert json.loads(call(script, tmp_path / "nano.bin")) == np.concatenate(made).tolist()
