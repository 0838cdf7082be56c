"""The source ``python_docs``: the documentation inside the installed Python, real text on every machine."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from textmill.steps.context import StepContext
from textmill.steps.settings import ByteSize
from textmill.steps.source import SourceReader, SourceSettings, Split


class PythonDocs(SourceSettings):
    """Docstrings of the standard library and of every installed package, their READMEs and licences.

    Docstrings are read from source by Python's own parser (``ast``); nothing is imported. One document per
    module, its docstrings in the order of the source under their qualified names; one per README, from the
    package's metadata; one per licence file, near-duplicates in plenty. Locators: ``module/json.decoder``,
    ``readme/numpy``, ``licence/numpy/LICENSE.txt``. Metadata: kind, package, version.

    The whole standard library, all READMEs and all licences are taken, and modules of packages up to
    ``max_source_bytes``, in an order that hashing their names gives: a fair sample of what is installed, to
    which a new package adds its share without disturbing the rest. Nothing is said about a module without
    docstrings; one that does not parse is a failure.
    """

    name: ClassVar[str] = "python_docs"
    shorthand: ClassVar[str | None] = "max_source_bytes"

    # 48 MB of source hold about 8 MB of docstrings; READMEs and licences add 2 MB. One core reads 2 to 8 MB/s.
    max_source_bytes: ByteSize = Field(
        default=48_000_000, ge=0, description="Source code to read, standard library included (bytes)."
    )

    def plan(self, split_bytes: int) -> list[Split]:
        """Choose the modules and cut them, READMEs and licences into splits of ``split_bytes`` of source.

        Raises:
            UserError: the standard library's source is not installed.
        """
        from textmill.sources.installed import plan_installed

        return plan_installed(self.max_source_bytes, split_bytes)

    def open(self, context: StepContext) -> SourceReader:
        """Return the reader."""
        from textmill.sources.docstrings import InstalledReader

        return InstalledReader()

    def candidate_locators(self, query: str) -> list[str]:
        """``json.decoder`` may mean a module or a package's README."""
        return [query, f"module/{query}", f"readme/{query}", f"licence/{query}"]
