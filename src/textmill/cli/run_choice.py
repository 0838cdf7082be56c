"""Which run a command means: the one named, or the newest below ``runs/``."""

from __future__ import annotations

from pathlib import Path

from textmill.errors import UserError

_MANIFEST = "manifest.json"


def chosen_run(named: str | None) -> str:
    """The folder or URL of the run.

    Raises:
        UserError: no run was named and there is none below ``runs/``.
    """
    if named:
        return named
    manifests = sorted(Path("runs").glob(f"*/{_MANIFEST}"), key=lambda path: (path.stat().st_mtime_ns, path))
    if not manifests:
        raise UserError(
            "No run is here.",
            expected="a run folder, named or below runs/",
            where=str(Path("runs").absolute()),
            hint="make one: textmill quickstart; or name one",
        )
    return str(manifests[-1].parent)


def is_run(word: str) -> bool:
    """Whether a word names a run rather than something to look for in it."""
    if "://" in word and not word.startswith(("http://", "https://")):
        return True
    return Path(word, _MANIFEST).is_file()
