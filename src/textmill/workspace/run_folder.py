"""The run folder as the rest of the mill sees it."""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path

from textmill.errors import UserError
from textmill.workspace.commits import Commit
from textmill.workspace.lock import RunLock
from textmill.workspace.manifest import Manifest, PassRecord
from textmill.workspace.storage import Storage, is_leftover, parse_url, user_errors

MANIFEST_FILE = "manifest.json"
RECIPE_FILE = "recipe.yaml"
_SCRATCH = ".scratch"


class Workspace:
    """A run folder, local or behind an fsspec URL.

    Use :meth:`create` to run into it and :meth:`open` to read it.
    """

    def __init__(self, url: str | Path) -> None:
        self.url = parse_url(url)
        self.storage = Storage(self.url)
        self._remote_scratch: Path | None = None

    @classmethod
    def create(cls, url: str | Path) -> Workspace:
        """The run folder at ``url``, made if need be.

        Raises:
            UserError: it cannot be made or written.
        """
        workspace = cls(url)
        if workspace.storage.is_local:
            with user_errors(workspace.url, making=True):
                Path(workspace.storage.root).mkdir(parents=True, exist_ok=True)
        return workspace

    @classmethod
    def open(cls, url: str | Path) -> Workspace:
        """An existing run folder.

        Raises:
            UserError: there is none, with the runs that are near.
        """
        workspace = cls(url)
        if workspace.storage.exists(MANIFEST_FILE) or workspace.storage.exists("commits"):
            return workspace
        near = sorted(
            str(path.parent) for pattern in ("*/", "runs/*/") for path in Path().glob(pattern + MANIFEST_FILE)
        )
        inside = f"{workspace.url.rstrip('/')}/run"
        if cls(inside).storage.exists(MANIFEST_FILE):
            near = [inside]  # as curate and dedup leave it
        raise UserError(
            "no run is here",
            where=workspace.url,
            expected=f"a folder with a {MANIFEST_FILE}",
            hint="runs nearby: " + ", ".join(near) if near else "make one: textmill run recipe.yaml",
        )

    def lock(self) -> RunLock:
        """The run's lock, to be held while anything is written."""
        return RunLock(self.storage)

    # --- files ---------------------------------------------------------------------------------------------

    def exists(self, path: str) -> bool:
        """Whether ``path`` (relative to the run folder) is there."""
        return self.storage.exists(path)

    def read_text(self, path: str) -> str:
        """A text file of the run folder."""
        return self.storage.read_text(path)

    def local(self, path: str) -> Path:
        """A local copy of a file or folder; the thing itself when the run folder is local."""
        return self.storage.local(path)

    def publish(self, file: Path, path: str) -> str:
        """Move a finished local file into the run folder; returns its path there."""
        return self.storage.publish(file, path).path

    def scratch(self) -> Path:
        """A local folder for files in the making, on the run folder's own disk where it is local."""
        if self.storage.is_local:
            folder = Path(self.storage.root) / _SCRATCH
            with user_errors(str(folder)):
                folder.mkdir(parents=True, exist_ok=True)
            return folder
        if self._remote_scratch is None:
            self._remote_scratch = Path(tempfile.mkdtemp(prefix="textmill-"))
        return self._remote_scratch

    def sweep(self) -> None:
        """Remove what interrupted writes left behind. Only the holder of the lock may."""
        if not self.storage.is_local:
            return
        self.clear_scratch()
        for path in self.storage.files(""):
            if is_leftover(path):
                self.storage.remove(path)

    def clear_scratch(self) -> None:
        """Remove scratch files. Only the holder of the lock may: they are another run's otherwise."""
        if self.storage.is_local:
            shutil.rmtree(Path(self.storage.root) / _SCRATCH, ignore_errors=True)

    def close(self) -> None:
        """Remove what this process holds for itself: downloads, and scratch outside the run folder."""
        if self._remote_scratch is not None:
            shutil.rmtree(self._remote_scratch, ignore_errors=True)
            self._remote_scratch = None
        self.storage.close()

    # --- manifest and commits ------------------------------------------------------------------------------

    @property
    def manifest(self) -> Manifest:
        """The manifest as it stands now (empty while the first pass runs)."""
        try:
            contents = self.storage.read_bytes(MANIFEST_FILE)
        except FileNotFoundError:
            return Manifest(run=self.url.rpartition("/")[2])
        return Manifest.from_bytes(contents, self.storage.full(MANIFEST_FILE))

    def write_manifest(self, manifest: Manifest) -> None:
        """Replace the manifest."""
        self.storage.write_bytes(MANIFEST_FILE, manifest.to_bytes())

    def commit(self, pass_name: str, commit: Commit) -> None:
        """Make the outputs of one item visible. Only the coordinator calls this."""
        contents = json.dumps(commit.to_json(), ensure_ascii=False).encode()
        self.storage.write_bytes(_commit_path(pass_name, commit.item), contents)

    def pending_commits(self, pass_name: str) -> dict[str, Commit]:
        """Commits of a pass that has not ended, by item."""
        commits = {}
        for path in self.storage.files(f"commits/{pass_name}"):
            if path.endswith(".json"):
                commit = Commit.from_json(json.loads(self.storage.read_bytes(path)))
                commits[commit.item] = commit
        return commits

    def finish_pass(self, manifest: Manifest, record: PassRecord) -> Manifest:
        """Compact the commits of a pass into the manifest."""
        manifest = manifest.with_pass(record)
        self.write_manifest(manifest)
        self.storage.remove(f"commits/{record.name}")
        return manifest

    def paths(self, pass_name: str, kind: str) -> list[str]:
        """Committed files of one kind in a finished pass."""
        record = self.manifest.find(pass_name)
        return [file.path for file in record.files(kind)] if record else []

    def final_documents(self) -> PassRecord | None:
        """The last pass that hands on documents."""
        passes = self.manifest.document_passes()
        return passes[-1] if passes else None


def _commit_path(pass_name: str, item: str) -> str:
    return f"commits/{pass_name}/{item}.json"
