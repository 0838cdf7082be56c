"""Where a build of numbered shards stands, on disk after each shard: what makes it go on after a kill."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, dataclass, field
from pathlib import Path

from textmill.errors import UserError
from textmill.tokens.document_tables import table_path
from textmill.tokens.numbered_shards import shard_name, shard_numbers
from textmill.tokens.shard_filler import FilledShard
from textmill.tokens.shard_manifest import NAME as MANIFEST

BUILDING = ".building"
FAILURES = "failures.jsonl"
_STATE = "state.json"


@dataclass
class BuildState:
    """The state of one build.

    Attributes:
        folder: ``.building/``, which holds the state and the pieces that shards are filled from.
        key: names everything that the shards depend on.
        piece: the piece in which the next shard begins.
        token: the token of that piece with which it begins.
        threshold: hash below which documents belong to a test shard, once it is known.
        shards: those that are finished.
        finished: whether nothing is left to do.
    """

    folder: Path
    key: str
    piece: int = 0
    token: int = 0
    threshold: int | None = None
    shards: list[FilledShard] = field(default_factory=list)
    finished: bool = False

    @classmethod
    def read(cls, output: Path, key: str) -> BuildState:
        """The state of the build in ``output``; a new one where nothing was built yet.

        Raises:
            UserError: what lies there was built from something else.
        """
        folder = output / BUILDING
        path = folder / _STATE
        value = json.loads(path.read_text("utf-8")) if path.is_file() else None
        foreign = bool(shard_numbers(output)) or (output / MANIFEST).is_file()
        if value["key"] != key if value else foreign:
            raise UserError(
                "This folder holds the shards of another build.",
                expected="an empty folder, or one that the same command began with the same input",
                found=f"{len(shard_numbers(output))} shards",
                where=str(output),
                hint="name another folder, or add --restart to delete these shards and begin anew",
            )
        folder.mkdir(exist_ok=True)
        if not value:
            return cls(folder, key)
        value["shards"] = [FilledShard(**shard) for shard in value["shards"]]
        return cls(folder, finished=(output / MANIFEST).is_file(), **value)

    def write(self) -> None:
        """Write it; the file appears whole or not at all."""
        value = asdict(self)
        del value["folder"], value["finished"]
        partial = self.folder / f"{_STATE}.partial"
        partial.write_text(json.dumps(value, indent=1) + "\n", "utf-8")
        partial.replace(self.folder / _STATE)


def remove_build(folder: Path) -> None:
    """Delete the shards of an earlier build, and nothing else."""
    for number in shard_numbers(folder):
        path = folder / shard_name(number)
        path.unlink()
        table_path(path).unlink(missing_ok=True)
    for name in (MANIFEST, FAILURES):
        (folder / name).unlink(missing_ok=True)
    for path in folder.glob("train_*.partial"):
        path.unlink()
    shutil.rmtree(folder / BUILDING, ignore_errors=True)
