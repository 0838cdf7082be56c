"""Reads installed documentation: docstrings out of source, READMEs out of metadata, licences as they are."""

from __future__ import annotations

import ast
import gc
import json
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_string
from email.policy import compat32
from pathlib import Path

from textmill.documents import Document, Failure
from textmill.steps.source import Split

_Scope = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


class InstalledReader:
    """Reader of the source ``python_docs``."""

    def read(self, split: Split) -> Iterator[Document | Failure]:
        """One document per module with docstrings, per README and per licence."""
        for locator, path, package, version in split.work["items"]:
            kind, _, name = locator.partition("/")
            metadata = json.dumps({"kind": kind, "package": package, "version": version})
            try:
                data = Path(path).read_bytes()
                if kind == "module":
                    text = module_text(data, name)
                elif kind == "readme":
                    text = readme_text(data)
                else:
                    text = data.decode()
                text.encode()
            except SyntaxError as error:
                # Before Python 3.12 a NUL byte and an unknown encoding come this way too.
                yield Failure(locator, f"no Python source: {error.msg} (line {error.lineno})")
            except UnicodeDecodeError as error:
                yield Failure(locator, f"no valid {error.encoding} at byte {error.start}: {error.reason}")
            except UnicodeEncodeError:
                yield Failure(locator, "a docstring holds a lone surrogate")
            except (ValueError, RecursionError, MemoryError) as error:
                yield Failure(locator, f"cannot be parsed: {error or type(error).__name__}")
            except OSError as error:
                yield Failure(locator, f"cannot be read: {error}")
            else:
                if text:
                    yield Document(locator, text, metadata=metadata)


def module_text(source: bytes, name: str) -> str:
    """The docstrings of a module, each under its qualified name; empty when there are none.

    Args:
        source: contents of a ``.py`` file, in the encoding that it declares (PEP 263).
        name: dotted name of the module.

    Raises:
        SyntaxError: the source does not parse; ValueError, RecursionError, MemoryError: nor does Python try.
    """
    # Half of all modules end here. A docstring in single quotes alone in its module is missed, on purpose:
    # it has one line.
    if b'"""' not in source and b"'''" not in source:
        return ""
    with warnings.catch_warnings(), _no_collector():
        warnings.simplefilter("ignore")  # invalid escapes in other people's strings
        tree = ast.parse(source)
    parts = [f"# {heading}\n\n{text}" for heading, text in _docstrings(tree, name) if text]
    return "\n\n".join(parts)


def readme_text(metadata: bytes) -> str:
    """The body of a core metadata file, which is the project's README (PEP 566); else its old header."""
    head, _, body = metadata.replace(b"\r\n", b"\n").partition(b"\n\n")
    text = body.decode()
    if not text.strip():
        # Before metadata 2.1 it was a folded header.
        text = message_from_string(head.decode() + "\n", policy=compat32).get("Description") or ""
        text = text.replace("\n       |", "\n").replace("\n        ", "\n")
    return "" if text.strip() in ("", "UNKNOWN") else text


def _docstrings(scope: _Scope, name: str) -> Iterator[tuple[str, str]]:
    """Qualified names and docstrings in the order of the source, of what a reader of the module can reach."""
    yield name, ast.get_docstring(scope) or ""
    if isinstance(scope, ast.Module | ast.ClassDef):
        for inner in _definitions(scope.body):
            # The module's name stands over its first heading; below it, names as one writes them.
            yield from _docstrings(
                inner, inner.name if isinstance(scope, ast.Module) else f"{name}.{inner.name}"
            )


def _definitions(body: list[ast.stmt]) -> Iterator[ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef]:
    """Classes and functions of a block, also those under if, try and with; none inside a function."""
    for statement in body:
        if isinstance(statement, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield statement
        elif isinstance(statement, ast.If | ast.Try | ast.With):
            for field in ("body", "handlers", "orelse", "finalbody"):
                for part in getattr(statement, field, []):
                    if isinstance(part, ast.ExceptHandler):
                        yield from _definitions(part.body)
                    else:
                        yield from _definitions([part])


@contextmanager
def _no_collector() -> Iterator[None]:
    """Without the cycle collector, which walks the half-built tree again and again: a quarter faster."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
