"""The run folder: everything a run made, and how it came to be.

::

    worker ─► immutable object (name ends in its SHA-256) ─► coordinator writes the commit record
                                                                   │
              manifest.json ◄── compacted when a pass ends ◄───────┘
                    │
                    ├─► status   what each step kept, dropped and failed
                    ├─► verify   SHA-256 of every file, conservation of every step
                    ├─► ledger   events and scores as DuckDB relations
                    ├─► failures why documents failed, step by step
                    └─► why      one document's whole story

Readers see committed objects only. No object is ever renamed once it has been published and none is written
twice with other contents, so the protocol is the same on a local disk and on an object store (any fsspec URL).
"""

from textmill.workspace.commits import Commit, FileRecord, StepCount
from textmill.workspace.failures import Failed, failures
from textmill.workspace.ledger import connect
from textmill.workspace.manifest import Manifest, PassRecord
from textmill.workspace.run_folder import Workspace
from textmill.workspace.status import status
from textmill.workspace.verify import verify
from textmill.workspace.why import tally, why

__all__ = [
    "Commit",
    "Failed",
    "FileRecord",
    "Manifest",
    "PassRecord",
    "StepCount",
    "Workspace",
    "connect",
    "failures",
    "status",
    "tally",
    "verify",
    "why",
]
