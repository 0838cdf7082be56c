"""Settings classes of the user's own, named in a recipe by import path.

``mypackage.rules:NoTables`` names a class of a module, ``rules.py:NoTables`` one of a file. A class found here
is known by that reference from then on: the recipe's dump writes it back and worker processes find it again.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import inspect
import os
import re
import sys
import traceback
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

from textmill.errors import UserError
from textmill.steps.settings import Settings, StepSettings, module_source
from textmill.steps.source import SourceSettings

Kind = TypeVar("Kind", bound="StepSettings | SourceSettings")

REFERENCE_PATTERN = r"^[^:]([^:]|:(?=.*:))*:[A-Za-z_]\w*$"
"""``module:Class`` or ``path/file.py:Class``; a path may hold further colons."""

_ID = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")


@dataclass(frozen=True)
class Reference:
    """Where a class was found.

    Attributes:
        path: as a recipe writes it; the path of a file is absolute.
        folder: modules are looked for here too, after everything else.
    """

    path: str
    folder: str


_found: dict[type, Reference] = {}


def reference_of(cls: type) -> Reference | None:
    """The reference by which a class was imported; None for classes that came in another way."""
    return _found.get(cls)


def import_class(path: str, kind: type[Kind], folder: Path) -> type[Kind]:
    """The settings class that ``path`` names.

    A class that gives itself no ``name`` is called after itself: ``NoTables`` becomes ``no_tables``.

    Args:
        path: ``module:Class``, or ``file.py:Class`` with a path relative to ``folder``.
        kind: what it must be: a step or a source.
        folder: of the recipe.

    Raises:
        UserError: there is no such module, file or class, importing it raised, or it is no ``kind``.
    """
    module_name, _, class_name = path.rpartition(":")
    if not module_name or not class_name.isidentifier():
        raise UserError(
            f"{path!r} is no import path.",
            expected="package.module:Class or path/file.py:Class",
            found=path,
        )
    if module_name.endswith(".py"):
        file = Path(os.path.normpath(Path(folder, Path(module_name).expanduser()).absolute()))
        module = _module_of_file(file)
        reference = Reference(f"{file}:{class_name}", str(folder))
    else:
        module = _module_by_name(module_name, folder)
        _check_no_other(module, module_name, class_name, folder)
        reference = Reference(path, str(folder))
    cls = _class_in(module, class_name, kind)
    _give_name(cls)
    _found[cls] = reference
    return cls


def code_digest(cls: type) -> str:
    """SHA-256 of the source of a user's class: what a worker imports must be what was planned."""
    return hashlib.sha256(module_source(cls).encode()).hexdigest()


def _module_of_file(file: Path) -> ModuleType:
    try:
        source = file.read_bytes()
    except OSError as error:
        raise UserError(
            f"The file {file.name} of a step of your own cannot be read.",
            expected="a Python file; a relative path is relative to the recipe",
            found=error.strerror,
            where=str(file),
            hint=_near(file),
        ) from None
    # Named after path and contents: files of one name do not meet, and an edited file is a new module.
    digest = hashlib.sha256(os.fsencode(file) + b"\0" + source).hexdigest()[:16]
    name = f"_textmill_{digest}_{re.sub(r'[^A-Za-z0-9_]', '_', file.stem)}"
    if name in sys.modules:
        return sys.modules[name]
    _look_in(file.parent)
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    # pydantic resolves annotations through sys.modules, so the module must be there while it runs.
    sys.modules[name] = module
    try:
        exec(compile(source, str(file), "exec", dont_inherit=True), vars(module))
    except BaseException as error:
        del sys.modules[name]
        raise _raised(error, file) from error
    return module


def _module_by_name(name: str, folder: Path) -> ModuleType:
    _look_in(Path.cwd())
    _look_in(folder)
    importlib.invalidate_caches()
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        # Only when the module itself is missing, not something that it imports.
        if error.name is not None and (name == error.name or name.startswith(error.name + ".")):
            beside = Path(folder, *name.split(".")).with_suffix(".py")
            raise UserError(
                f"There is no module {error.name!r}.",
                expected="package.module:Class, or path/file.py:Class for a file",
                found=name,
                where=f"looked in {folder}, {Path.cwd()} and where Python finds packages",
                hint=f"{beside} exists: does it import?"
                if beside.is_file()
                else "install it, or put it beside the recipe",
            ) from None
        raise _raised(error, _origin(name)) from error
    except BaseException as error:
        raise _raised(error, _origin(name)) from error


def _check_no_other(module: ModuleType, name: str, class_name: str, folder: Path) -> None:
    """A module beside the recipe is what its author means; one that hides it must not be taken in silence."""
    base = Path(folder, *name.split("."))
    for file in (base.with_suffix(".py"), base / "__init__.py"):
        taken = getattr(module, "__file__", None)
        if file.is_file() and taken is not None and file.resolve() != Path(taken).resolve():
            raise UserError(
                f"There are two modules called {name!r}.",
                expected="the one beside the recipe",
                found=f"{taken}, which Python finds first",
                where=str(file),
                hint=f"name the file: {file.relative_to(folder)}:{class_name}",
            )


def _class_in(module: ModuleType, name: str, kind: type[Kind]) -> type[Kind]:
    where = str(getattr(module, "__file__", None) or module.__name__)
    cls: Any = getattr(module, name, None)
    word = "source" if issubclass(kind, SourceSettings) else "step"
    if cls is None:
        names = [
            key for key, value in vars(module).items()
            if isinstance(value, type) and issubclass(value, kind) and value.__module__ == module.__name__
        ]  # fmt: skip
        raise UserError(
            f"The module has no class {name!r}.",
            expected="one of: " + ", ".join(names) if names else f"a class that is a {word}",
            found=name,
            where=where,
        )
    bases = "SourceSettings" if word == "source" else "Filter, Transform or GlobalStep"
    if not (isinstance(cls, type) and issubclass(cls, kind)) or cls in _abstract():
        what = f"the class {name}" if isinstance(cls, type) else f"an object of type {type(cls).__name__}"
        a_function = inspect.isroutine(cls) and word == "step"
        raise UserError(
            f"{name} is no {word}.",
            expected=f"a class that inherits from {bases} of textmill.steps",
            found=what,
            where=where,
            hint=f"for a function write: custom: {{function: ...:{name}}}" if a_function else None,
        )
    return cls


def _abstract() -> tuple[type, ...]:
    from textmill.steps.filter import Filter
    from textmill.steps.global_step import GlobalStep
    from textmill.steps.transform import Transform

    return (StepSettings, SourceSettings, Filter, Transform, GlobalStep)


def _give_name(cls: type[Settings]) -> None:
    """A name of its own, unless it has one; an inherited one belongs to the parent."""
    if "name" not in vars(cls) or not cls.name:
        words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", cls.__name__)
        cls.name = words.lower().strip("_") or "step"
    if not _ID.fullmatch(cls.name):
        raise UserError(
            f"A step cannot be called {cls.name!r}.",
            expected="letters, digits, dashes and underscores, beginning with a letter",
            found=f"name = {cls.name!r}",
            where=f"class {cls.__name__} in {getattr(sys.modules.get(cls.__module__), '__file__', cls.__module__)}",
        )


def _raised(error: BaseException, file: Path | None) -> BaseException:
    """What a module raised while it was imported, in one screen: the reason, and the line in the user's code."""
    if isinstance(error, UserError | KeyboardInterrupt):
        return error
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if file is not None and frame.filename == str(file)]
    if isinstance(error, SyntaxError):
        place, line = f"{error.filename}:{error.lineno}", (error.text or "").strip()
    elif own:
        place, line = f"{own[-1].filename}:{own[-1].lineno}", own[-1].line or ""
    else:
        place, line = str(file or ""), ""
    return UserError(
        f"Importing {file.name if file else 'the module'} raised {type(error).__name__}: {str(error)[:300]}",
        where=place,
        found=line or None,
        hint="mend that line; nothing has been run or written",
    )


def _origin(name: str) -> Path | None:
    try:
        spec = importlib.util.find_spec(name)
    except Exception:
        return None
    return Path(spec.origin) if spec is not None and spec.origin else None


def _near(file: Path) -> str | None:
    others = sorted(path.name for path in file.parent.glob("*.py"))
    return f"Python files there: {', '.join(others[:6])}" if others else None


def _look_in(folder: Path) -> None:
    """Make modules of ``folder`` importable, behind everything else: none can take an installed one's place."""
    if str(folder) not in sys.path:
        sys.path.append(str(folder))
