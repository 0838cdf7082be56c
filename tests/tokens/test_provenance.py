from pathlib import Path

import pytest
from tests.tokens.mill import document_paths, mill

from textmill.documents import read_batches
from textmill.errors import UserError
from textmill.tokenizer.load import load_encoder
from textmill.tokens import shard_writer
from textmill.tokens.dataset import TokenSet
from textmill.tokens.provenance import Passage, documents_of_sample
from textmill.tokens.split import SplitRule


def by_hand(root: Path, split: str, sample: int, seq_len: int) -> list[Passage]:
    """The same answer by walking through all documents."""
    encoder = load_encoder(root / "tokenizer")
    rule = SplitRule(0, 0.2, 0.1)
    start, stop = sample * seq_len, (sample + 1) * seq_len
    position = 0
    passages = []
    for path in document_paths(root):
        for batch in read_batches(path):
            for identifier, text in zip(batch.ids, batch.texts, strict=True):
                if rule.of(identifier) != split:
                    continue
                length = len(encoder.encode_batch([text])[0]) + 1
                inside = [i for i in range(length) if start <= position + i < stop]
                if inside:
                    passages.append(
                        Passage(
                            id=identifier.hex(),
                            offset=position,
                            length=length,
                            first_token=inside[0],
                            last_token=inside[-1],
                        )
                    )
                position += length
    return passages


@pytest.mark.parametrize("rows", [1, 3, 16_384])
def test_the_documents_of_every_sample(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows: int) -> None:
    monkeypatch.setattr(shard_writer, "DOCUMENTS_PER_ROW_GROUP", rows)
    root = tmp_path / "run"
    mill(root)
    for split, seq_len in (("validation", 17), ("test", 200), ("train", 1500)):
        tokens = TokenSet(root / "tokens", split, seq_len)
        samples = [0, 1, len(tokens) // 2, len(tokens) - 1]
        assert len(tokens) > 3
        for sample in samples:
            found = documents_of_sample(root / "tokens", split, sample, seq_len)
            assert found == by_hand(root, split, sample, seq_len)
            assert sum(p["last_token"] - p["first_token"] + 1 for p in found) == seq_len


def test_the_passages_spell_the_sample(tmp_path: Path) -> None:
    root = tmp_path / "run"
    mill(root)
    encoder = load_encoder(root / "tokenizer")
    texts = {
        identifier.hex(): text
        for path in document_paths(root)
        for batch in read_batches(path)
        for identifier, text in zip(batch.ids, batch.texts, strict=True)
    }
    tokens = TokenSet(root / "tokens", "train")
    for sample in range(0, len(tokens), 10):
        spelled: list[int] = []
        for passage in documents_of_sample(root / "tokens", "train", sample):
            document = [*encoder.encode_batch([texts[passage["id"]]])[0].tolist(), encoder.eos_id]
            assert len(document) == passage["length"]
            spelled += document[passage["first_token"] : passage["last_token"] + 1]
        assert spelled == tokens[sample].tolist()


def test_no_such_sample(tmp_path: Path) -> None:
    root = tmp_path / "run"
    mill(root)
    for sample in (-1, 10**9):
        with pytest.raises(UserError, match="no sample"):
            documents_of_sample(root / "tokens", "train", sample)
