"""Documents that kill or hang a worker: found by isolation, written down, and an input from then on."""

from __future__ import annotations

import json

from textmill.pipeline.engine import Crash
from textmill.workspace import Workspace

QUARANTINE_FILE = "quarantine.json"


class Quarantine:
    """The documents of a run that no worker may touch with a certain step, with the reason.

    Attributes:
        entries: document id to (step, reason).
    """

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self.entries: dict[str, tuple[str, str]] = {}
        if workspace.exists(QUARANTINE_FILE):
            read = json.loads(workspace.read_text(QUARANTINE_FILE))
            self.entries = {document: (step, reason) for document, (step, reason) in read.items()}

    def add(self, pass_name: str, item: str, crash: Crash) -> None:
        """Lay a crash at the door of the document that was under way.

        Raises:
            RuntimeError: no document was under way, or this one was quarantined already.
        """
        document, step = crash.last.get("document"), crash.last.get("step")
        if document is None or step is None or document in self.entries:
            raise RuntimeError(
                f"the worker on {pass_name}, item {item} died ({crash.reason}), and not over a document"
            )
        self.entries[document] = (step, f"the worker died over this document: {crash.reason}")
        contents = json.dumps(self.entries, indent=1, sort_keys=True) + "\n"
        self._workspace.storage.write_bytes(QUARANTINE_FILE, contents.encode())
