"""textmill from Python.

::

    import textmill

    run = textmill.run("cyber.yaml", overrides=["run.workers=8"])
    run.documents                     # DuckDB relation of what was kept; .arrow(), .df(), .fetchall()
    run.ledger("events")              # what happened to which document, and why
    run.why("https://example.org/a")  # one document's story
    run.tokens("train")               # a PyTorch data set
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from textmill.errors import UserError

if TYPE_CHECKING:
    import duckdb
    import torch.utils.data

    from textmill.recipe import Recipe
    from textmill.steps.progress import Progress
    from textmill.workspace import Workspace


def run(
    recipe: str | Path | Recipe,
    folder: str | Path | None = None,
    *,
    overrides: Sequence[str] = (),
    progress: Progress | None = None,
) -> Run:
    """Carry out a recipe; what a former call finished is not done again.

    Args:
        recipe: path of a recipe, its text, or a loaded :class:`textmill.recipe.Recipe`.
        folder: run folder, a path or fsspec URL; ``runs/<name>`` if left out.
        overrides: changes such as ``"near_dedup.threshold=0.85"``.
        progress: told what happens; silent if left out.

    Raises:
        UserError: with what was expected, what was found, where, and what to do.
    """
    from textmill.pipeline import run_recipe
    from textmill.recipe import Recipe, load_recipe

    loaded = recipe if isinstance(recipe, Recipe) else load_recipe(recipe, overrides=list(overrides))
    workspace = run_recipe(loaded, None if folder is None else str(folder), progress=progress)
    return Run(workspace)


class Run:
    """A run folder, to be read.

    Args:
        folder: path or URL of the run folder, or an open workspace.
    """

    def __init__(self, folder: str | Path | Workspace) -> None:
        from textmill.workspace import Workspace

        self.workspace = folder if isinstance(folder, Workspace) else Workspace.open(folder)

    @cached_property
    def _connection(self) -> duckdb.DuckDBPyConnection:
        from textmill.workspace import connect

        return connect(self.workspace)

    @property
    def documents(self) -> duckdb.DuckDBPyRelation:
        """The documents that were kept, as a DuckDB relation (columns of ``DOCUMENT_SCHEMA``)."""
        return self.ledger("documents")

    def ledger(self, view: str = "events") -> duckdb.DuckDBPyRelation:
        """A view of the ledger as a DuckDB relation: events, verdicts, scores_<n>, rejected, documents, ingested.

        Raises:
            UserError: there is no such view.
        """
        views = {
            name
            for (name,) in self._connection.execute("SELECT view_name FROM duckdb_views()").fetchall()
            if not name.startswith(("duckdb_", "pragma_", "sqlite_")) and not name.endswith("_empty")
        } | {
            name for (name,) in self._connection.execute("SELECT table_name FROM duckdb_tables()").fetchall()
        }
        try:
            return self._connection.table(view)
        except Exception as error:
            raise UserError(
                "the ledger has no such view", expected=", ".join(sorted(views)), found=view
            ) from error

    def query(self, sql: str) -> duckdb.DuckDBPyRelation:
        """Any SQL over the views."""
        return self._connection.sql(sql)

    def status(self) -> dict[str, Any]:
        """What each step kept, dropped and failed, and what the stages measured."""
        from textmill.workspace import status

        return status(self.workspace)

    def stats(self, by: Literal["language", "source"] | None = None) -> dict[str, Any]:
        """How the scores lie: see :func:`textmill.scores.score_statistics`."""
        from textmill.scores import score_statistics

        return score_statistics(self.workspace, by)

    def what_if(self, *overrides: str) -> dict[str, Any]:
        """What other thresholds would keep: see :func:`textmill.scores.what_if`."""
        from textmill.scores import what_if

        return what_if(self.workspace, overrides)

    def why(self, query: str) -> list[dict[str, Any]]:
        """The stories of the documents that an id, URL, path or snippet may mean."""
        from textmill.workspace import why

        return why(self.workspace, query)

    def tokens(self, split: str = "train") -> torch.utils.data.Dataset[Any]:
        """The tokens of a split as a PyTorch data set of samples of the recipe's ``seq_len``.

        Raises:
            UserError: the run has no tokens, or no such split.
        """
        from textmill.provenance import token_folder
        from textmill.tokens.dataset import TokenSet

        folder, seq_len = token_folder(self.workspace)
        return TokenSet(folder, split, seq_len).as_torch()

    def trace(self, sample: int | None = None, step: int | None = None) -> list[dict[str, Any]]:
        """The documents behind a training sample or a training step.

        Args:
            sample: number of a sample of the train split.
            step: number of an optimiser step, counted from 1 as the metrics do.

        Returns:
            One dictionary per document and sample: sample, id, source, locator, url, offset (where the document
            starts among the split's tokens), length (its tokens), first_token, last_token (the part that the
            sample holds, counted from the document's start, both included), text (the document's beginning).

        Raises:
            UserError: neither or both are given, out of range, or the run has no tokens.
        """
        from textmill.provenance import trace

        return trace(self.workspace, sample=sample, step=step)

    def verify(self) -> list[str]:
        """Everything that is wrong with the run, a line each: files, conservation, tokens. Empty means well."""
        from textmill.workspace import verify

        return verify(self.workspace) + self._verify_tokens()

    def _verify_tokens(self) -> list[str]:
        final = self.workspace.final_documents()
        if final is None or self.workspace.manifest.find("tokens") is None:
            return []
        from textmill.tokenizer.load import load_encoder
        from textmill.tokens.verify import verify_tokens

        documents = [self.workspace.local(file.path) for file in final.files("documents")]
        events = [
            self.workspace.local(file.path)
            for one in self.workspace.manifest.document_passes()
            for file in one.files("events")
        ]
        encoder = load_encoder(self.workspace.local("tokenizer"))
        folder = self.workspace.local("tokens")
        findings = verify_tokens(folder, documents=documents, events=events, encoder=encoder)
        return [str(finding) for finding in findings]

    def report(self) -> str:
        """Write the report card; returns its path in the run folder."""
        from textmill.report import write_report

        return str(write_report(self.workspace))
