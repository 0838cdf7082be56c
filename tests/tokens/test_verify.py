"""Every promise is broken once, and the right check finds it."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.tokens.mill import VOCABULARY, document_paths, mill

from textmill.tokenizer.load import load_encoder
from textmill.tokens.shard_writer import sha256_of
from textmill.tokens.verify import verify_tokens


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    # Brackets in a path must not be taken for a pattern.
    root = tmp_path_factory.mktemp("verify") / "run [1]"
    mill(root, families=60)
    return root


@pytest.fixture
def root(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "run"))


def checks(root: Path) -> set[str]:
    encoder = load_encoder(root / "tokenizer")
    found = verify_tokens(
        root / "tokens", documents=document_paths(root), encoder=encoder, sample_documents=1000
    )
    assert all(finding.message and finding.where and str(finding) for finding in found)
    return {finding.check for finding in found}


def edit_index(root: Path, edit: Callable[[Any], None]) -> None:
    path = root / "tokens" / "index.json"
    value = json.loads(path.read_text())
    edit(value)
    path.write_text(json.dumps(value))


def edit_shard(
    root: Path,
    edit_tokens: Callable[[np.ndarray], np.ndarray] = lambda tokens: tokens,
    edit_rows: Callable[[list[dict[str, Any]]], list[dict[str, Any]]] = lambda rows: rows,
    *,
    split: str = "train",
) -> None:
    """Change the first shard of a split, and its checksums with it: only the contents are wrong then."""

    def edit(value: Any) -> None:
        file = value["splits"][split]["files"][0]
        tokens, documents = root / "tokens" / file["path"], root / "tokens" / file["documents_path"]
        np.save(tokens, edit_tokens(np.load(tokens)))
        table = pq.read_table(documents)
        rows = edit_rows(table.to_pylist())
        pq.write_table(pa.Table.from_pylist(rows, schema=table.schema), documents)
        file |= {"sha256": sha256_of(tokens), "documents_sha256": sha256_of(documents)}

    edit_index(root, edit)


def set_token(position: int, value: int) -> Callable[[np.ndarray], np.ndarray]:
    def edit(tokens: np.ndarray) -> np.ndarray:
        tokens[position] = value
        return tokens

    return edit


def test_an_untouched_folder_passes(made: Path) -> None:
    assert checks(made) == set()


def test_it_passes_without_documents_too(made: Path, tmp_path: Path) -> None:
    assert verify_tokens(made / "tokens", scratch=tmp_path) == []


def test_a_changed_byte(root: Path) -> None:
    path = next((root / "tokens" / "train").glob("*.npy"))
    content = bytearray(path.read_bytes())
    content[-20] ^= 1
    path.write_bytes(content)
    assert "files" in checks(root)


@pytest.mark.parametrize("pattern", ["train/*.npy", "validation/*.parquet", "index.json"])
def test_a_missing_file(root: Path, pattern: str) -> None:
    next((root / "tokens").glob(pattern)).unlink()
    assert checks(root) == {"files"}


@pytest.mark.parametrize("pattern", ["train/*.npy", "validation/*.parquet"])
def test_a_truncated_file(root: Path, pattern: str) -> None:
    path = next((root / "tokens").glob(pattern))
    path.write_bytes(path.read_bytes()[:-7])
    assert checks(root) == {"files"}


def test_a_shard_of_another_dtype(root: Path) -> None:
    edit_shard(root, lambda tokens: tokens.astype(np.uint32))
    assert checks(root) == {"files"}


def test_an_id_outside_the_vocabulary(root: Path) -> None:
    edit_shard(root, set_token(1, VOCABULARY))
    assert checks(root) == {"ids", "text"}


def test_a_document_that_does_not_end_in_eos(root: Path) -> None:
    end = []
    edit_shard(root, edit_rows=lambda rows: end.append(rows[0]["length"] - 1) or rows)
    edit_shard(root, set_token(end[0], 5))
    assert checks(root) == {"borders"}


def test_an_eos_inside_a_document(root: Path) -> None:
    edit_shard(root, set_token(0, VOCABULARY - 1))
    assert checks(root) == {"borders", "text"}


def test_borders_moved_by_one(root: Path) -> None:
    def move(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        rows[0]["length"] -= 1
        rows[1]["offset"] -= 1
        rows[1]["length"] += 1
        return rows

    edit_shard(root, edit_rows=move)
    assert "borders" in checks(root)


def test_a_gap_between_documents(root: Path) -> None:
    def leave_out(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return rows[:2] + rows[3:]

    edit_shard(root, edit_rows=leave_out)
    assert {"borders", "counts", "documents"} <= checks(root)


def test_offsets_beyond_the_shard(root: Path) -> None:
    def beyond(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        rows[-1]["length"] += 10
        return rows

    edit_shard(root, edit_rows=beyond)
    assert {"borders", "counts"} <= checks(root)


def test_bytes_that_do_not_add_up(root: Path) -> None:
    def more(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        rows[3]["bytes"] += 1
        return rows

    edit_shard(root, edit_rows=more)
    assert checks(root) == {"counts"}


def test_a_document_that_nobody_accounts_for(root: Path) -> None:
    edit_index(root, lambda index: index.update(documents=index["documents"] + 1))
    assert checks(root) == {"counts"}


def test_a_shard_listed_in_two_splits(root: Path) -> None:
    def double(value: Any) -> None:
        value["splits"]["test"]["files"].append(value["splits"]["train"]["files"][0])

    edit_index(root, double)
    assert {"splits", "counts"} <= checks(root)


def test_a_document_twice_in_one_split(root: Path) -> None:
    def same(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        rows[1]["id"] = rows[0]["id"]
        return rows

    edit_shard(root, edit_rows=same)
    assert {"splits", "documents"} <= checks(root)


def test_a_foreign_document(root: Path) -> None:
    def foreign(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        rows[1]["id"] = b"\xff" * 16
        return rows

    edit_shard(root, edit_rows=foreign)
    assert checks(root) == {"documents", "text"}


def test_a_family_in_two_splits(root: Path) -> None:
    """Two shards of documents whose roots are exchanged: each document is whole, the families are not."""
    path = document_paths(root)[0]
    table = pq.read_table(path)
    roots = table.column("root").to_pylist()
    roots = roots[1:] + roots[:1]
    position = table.schema.get_field_index("root")
    pq.write_table(
        table.set_column(position, table.schema.field("root"), pa.array(roots, pa.binary(16))), path
    )
    assert checks(root) == {"splits"}


def test_another_text_than_the_tokens(root: Path) -> None:
    path = document_paths(root)[1]
    table = pq.read_table(path)
    texts = table.column("text").to_pylist()
    texts[4] = texts[4] + "!"
    position = table.schema.get_field_index("text")
    pq.write_table(
        table.set_column(position, table.schema.field("text"), pa.array(texts, pa.large_string())), path
    )
    assert checks(root) == {"text"}


def test_another_tokenizer(root: Path) -> None:
    path = root / "tokenizer" / "tokenizer.json"
    parsed = json.loads(path.read_text())
    last = parsed["model"]["merges"].pop()
    del parsed["model"]["vocab"]["".join(last)]
    parsed["added_tokens"][0]["id"] -= 1
    path.write_text(json.dumps(parsed))
    assert checks(root) == {"text"}
