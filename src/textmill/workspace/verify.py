"""Is everything still there, and does every number add up?"""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from textmill.errors import ConservationError
from textmill.workspace.commits import FileRecord, check_chain
from textmill.workspace.run_folder import Workspace

_BLOCK = 1 << 20


def verify(workspace: Workspace, tell: Callable[[int, int], None] = lambda done, total: None) -> list[str]:
    """Check SHA-256 and size of every committed file, and conservation of every step and across passes.

    Args:
        workspace: the run.
        tell: called with bytes done and bytes in all.

    Returns:
        What is wrong, a line each; empty when all is well.
    """
    manifest = workspace.manifest
    findings = []
    files = [record for one in manifest.passes for record in one.all_files()]
    total = sum(record.bytes for record in files)
    done = 0
    for record in files:
        finding = _check_file(workspace, record)
        if finding:
            findings.append(finding)
        done += record.bytes
        tell(done, total)
    handed_on: int | None = None
    for one in manifest.document_passes():
        for commit in one.commits:
            try:
                check_chain(commit.steps, f"{one.name}, item {commit.item}")
            except ConservationError as error:
                findings.append(str(error))
            rows = sum(record.rows or 0 for record in commit.outputs.get("documents", []))
            if commit.steps and commit.steps[-1].kept != rows:
                findings.append(
                    f"{one.name}, item {commit.item}: its last step handed on {commit.steps[-1].kept:,} "
                    f"documents, its files hold {rows:,}"
                )
        steps = one.steps()
        if steps and handed_on is not None and steps[0].taken != handed_on:
            findings.append(
                f"{one.name}: took in {steps[0].taken:,} documents, "
                f"but the pass before handed on {handed_on:,}"
            )
        handed_on = sum(record.rows or 0 for record in one.files("documents"))
    return findings


def _check_file(workspace: Workspace, record: FileRecord) -> str | None:
    try:
        digest = hashlib.sha256()
        size = 0
        with workspace.storage.open(record.path) as stream:
            while block := stream.read(_BLOCK):
                digest.update(block)
                size += len(block)
    except FileNotFoundError:
        return f"{record.path}: missing"
    if size != record.bytes:
        return f"{record.path}: {size:,} bytes, {record.bytes:,} were committed"
    if digest.hexdigest() != record.sha256:
        found = digest.hexdigest()
        return f"{record.path}: contents changed (SHA-256 {found[:16]}…, committed {record.sha256[:16]}…)"
    return None
