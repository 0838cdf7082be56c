"""Splits that are given, and verified near-duplicates that stay together."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.stage_context import LocalStageContext, tree_digests
from tests.tokens.mill import document_paths, prepare, section

from textmill.documents import Batch, Document
from textmill.documents.shards import ShardWriter
from textmill.errors import UserError
from textmill.tokens.assignment import Given, assign_splits, read_assignment
from textmill.tokens.dataset import TokenSet
from textmill.tokens.index import TokenIndex
from textmill.tokens.split import SplitRule
from textmill.tokens.verify import verify_tokens
from textmill.workspace.ledger_tables import EVENT_SCHEMA

RULE = SplitRule(0, 0.3, 0.2)


def write_documents(folder: Path, documents: Sequence[tuple[bytes, bytes, str | None]]) -> list[Path]:
    """Documents of id, root and metadata in two shards."""
    paths = []
    for number, part in enumerate((documents[::2], documents[1::2])):
        batch = Batch.from_documents("test", [Document(str(i), "text") for i in range(len(part))])
        records = batch.records
        for name, place in (("id", 0), ("root", 1), ("metadata", 2)):
            column = records.schema.get_field_index(name)
            kind = records.schema.field(name)
            records = records.set_column(column, kind, pa.array([row[place] for row in part], kind.type))
        paths.append(folder / f"{number:06d}.parquet")
        with ShardWriter(paths[-1]) as writer:
            writer.write(Batch(records))
    return paths


def write_events(path: Path, pairs: Sequence[tuple[bytes, bytes]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [
        {"id": a, "source": "s", "locator": "l", "action": "matched", "step": "near_dedup", "rule": "similar",
         "matched_id": b, "similarity": 0.9}
        for a, b in pairs
    ] + [{"id": b"e" * 16, "source": "s", "locator": "l", "action": "edited", "step": "pii"}]  # fmt: skip
    pq.write_table(pa.Table.from_pylist(rows, EVENT_SCHEMA), path)
    return path


def key(number: int) -> bytes:
    return number.to_bytes(16, "big")


def splits_of(
    folder: Path,
    documents: Sequence[tuple[bytes, bytes, str | None]],
    pairs: Sequence[tuple[bytes, bytes]],
    given: Given | None = None,
) -> dict[bytes, str]:
    """The split of every document, by id."""
    paths = write_documents(folder, documents)
    events = [write_events(folder / "events" / "0.parquet", pairs)] if pairs else []
    for leftover in folder.glob("assignment.*"):
        leftover.unlink()
    found = assign_splits(paths, events, RULE, given or Given(), folder)
    result = {}
    for shard, path in enumerate(paths):
        own = read_assignment(found.path, shard) if found else {}
        for row in pq.read_table(path, columns=["id", "root"]).to_pylist():
            result[row["id"]] = own.get(row["root"]) or RULE.of(row["root"])
    return result


def oracle(
    documents: Sequence[tuple[bytes, bytes, str | None]], pairs: Sequence[tuple[bytes, bytes]]
) -> dict[bytes, str]:
    """Reachability by brute force; a cluster follows the smallest root that still has documents."""
    root_of = {identifier: root for identifier, root, _ in documents}
    alive = set(root_of.values())
    links = [(root_of.get(a, a), root_of.get(b, b)) for a, b in pairs]
    result = {}
    for identifier, root in root_of.items():
        reached = {root}
        while True:
            more = {y for a, b in links for x, y in ((a, b), (b, a)) if x in reached} - reached
            if not more:
                break
            reached |= more
        result[identifier] = RULE.of(min(reached & alive))
    return result


@settings(deadline=None, max_examples=40)
@given(data=st.data())
def test_clusters_are_what_brute_force_finds(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    numbers = st.integers(0, 25)
    roots = data.draw(st.dictionaries(numbers, numbers, min_size=2, max_size=20))
    documents = [(key(number), key(root), None) for number, root in roots.items()]
    pairs = [(key(a), key(b)) for a, b in data.draw(st.lists(st.tuples(numbers, numbers), max_size=20))]
    folder = tmp_path_factory.mktemp("clusters")
    assert splits_of(folder, documents, pairs) == oracle(documents, pairs)


def test_without_matches_every_family_follows_its_own_hash(tmp_path: Path) -> None:
    documents = [(key(i), key(i), None) for i in range(60)]
    assert assign_splits(write_documents(tmp_path, documents), [], RULE, Given(), tmp_path) is None
    # A copy that is gone changes nothing for the one that is left, however small its id.
    gone = [(key(1000 + i), key(i)) for i in range(60)] + [(key(i), key(2000 + i)) for i in range(60)]
    assert splits_of(tmp_path, documents, gone) == {key(i): RULE.of(key(i)) for i in range(60)}


def test_what_was_made_of_a_copy_follows_the_original(tmp_path: Path) -> None:
    # Document 7 was a copy of 3 and is gone; its paraphrases are left, and would betray 3.
    documents = [(key(3), key(3), None), *((key(100 + i), key(7), None) for i in range(4))]
    for other in range(7, 40):
        moved = [(a, key(other) if b == key(7) else b, c) for a, b, c in documents]
        assert len(set(splits_of(tmp_path, moved, [(key(other), key(3))]).values())) == 1


def test_a_metadata_field_decides(tmp_path: Path) -> None:
    said = ["train", "Validation", "dev", "test", None]
    documents = [
        (key(i), key(i), None if said[i % 5] is None else f'{{"my \\"split": "{said[i % 5]}"}}')
        for i in range(40)
    ]
    found = splits_of(tmp_path, documents, [], Given('my "split'))
    names = {"train": "train", "Validation": "validation", "dev": "validation", "test": "test"}
    assert found == {key(i): names[said[i % 5]] if said[i % 5] else RULE.of(key(i)) for i in range(40)}
    with pytest.raises(UserError, match="does not exist"):
        splits_of(
            tmp_path, [*documents, (key(90), key(90), '{"my \\"split": "half"}')], [], Given('my "split')
        )
    torn = [(key(1), key(0), '{"s": "train"}'), (key(2), key(0), '{"s": "test"}')]
    with pytest.raises(UserError, match="family is given to two"):
        splits_of(tmp_path, torn, [], Given("s"))
    apart = [(key(1), key(1), '{"s": "train"}'), (key(2), key(2), '{"s": "test"}')]
    with pytest.raises(UserError, match="Near-duplicates"):
        splits_of(tmp_path, apart, [(key(1), key(2))], Given("s"))


def test_files_of_ids_decide_for_families_and_clusters(tmp_path: Path) -> None:
    (tmp_path / "held").write_text(f"{key(5).hex()}\n\n{key(999).hex()}\n")
    documents = [
        (key(5), key(4), None),
        (key(6), key(4), None),
        (key(8), key(8), None),
        (key(9), key(9), None),
    ]
    given = Given(ids={"test": tmp_path / "held"})
    found = splits_of(tmp_path, documents, [(key(8), key(6))], given)
    assert found == {key(5): "test", key(6): "test", key(8): "test", key(9): RULE.of(key(9))}
    (tmp_path / "assignment.db").unlink()
    assigned = assign_splits(write_documents(tmp_path, documents), [], RULE, given, tmp_path)
    assert assigned is not None
    assert (assigned.given, assigned.clusters, assigned.unknown) == (1, 0, 1)
    (tmp_path / "held").write_text("5\n")
    with pytest.raises(UserError, match="no document id"):
        splits_of(tmp_path, documents, [], given)


def test_the_stage_keeps_pairs_together_and_goes_on_after_a_change(tmp_path: Path) -> None:
    root = tmp_path / "run"
    upstream = prepare(root)
    ids = [i for p in document_paths(root) for i in pq.read_table(p, columns=["id"])["id"].to_pylist()]
    section().run(LocalStageContext(root, upstream))
    before = tree_digests(root / "tokens")
    rule = SplitRule(0, 0.2, 0.1)
    one = next(i for i in ids if rule.of(i) == "train")
    other = next(i for i in ids if rule.of(i) == "validation")
    event = write_events(root / "passes" / "2-curate" / "events" / "0.parquet", [(one, other)])
    assert [
        f.check for f in verify_tokens(root / "tokens", documents=document_paths(root), events=[event])
    ] == ["splits"]
    context = LocalStageContext(root, upstream)
    section().run(context)
    assert verify_tokens(root / "tokens", documents=document_paths(root), events=[event]) == []
    assert 1 <= len(context.mapped) <= 2, "only the shards of the two are encoded again"
    assert any("stay together" in line for line in context.said)
    event.unlink()
    section().run(LocalStageContext(root, upstream))
    assert tree_digests(root / "tokens") == before


def test_the_stage_with_ids_and_with_a_split_that_no_fraction_asks_for(tmp_path: Path) -> None:
    root = tmp_path / "run"
    upstream = prepare(root)
    held = pq.read_table(document_paths(root)[0], columns=["id"])["id"].to_pylist()[:9]
    (tmp_path / "held.txt").write_text("".join(f"{i.hex()}\n" for i in held))
    settings = section(split={"validation": 0, "test_ids": str(tmp_path / "held.txt")})
    assert settings.files() == [str(tmp_path / "held.txt")]
    settings.run(LocalStageContext(root, upstream))
    assert TokenSet(root / "tokens", "test").documents == 9
    assert list(TokenIndex.read(root / "tokens").files) == ["train", "test"]
    with pytest.raises(UserError, match="does not exist"):
        section(split={"test_ids": str(tmp_path / "none.txt")}).files()
