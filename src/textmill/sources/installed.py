"""What is installed beside this interpreter: modules with their source, READMEs, licences."""

from __future__ import annotations

import hashlib
import os
import re
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PathDistribution
from pathlib import Path

from textmill.errors import UserError
from textmill.steps.source import Split

# Test suites are left out: of the source on a typical machine they are a sixth, of the docstrings a fiftieth,
# and those describe fixtures. Vendored copies (pip/_vendor, setuptools/_vendor) stay in: they are the exact
# duplicates that a corpus has to be freed of.
_TEST_FOLDERS = {"test", "tests", "idle_test"}
_SITE_FOLDERS = {"site-packages", "dist-packages"}
_LICENCE = re.compile(r"licen[cs]e|copying|copyright|notice", re.IGNORECASE)


@dataclass(frozen=True)
class Item:
    """One future document.

    Attributes:
        locator: ``module/…``, ``readme/…`` or ``licence/…``.
        path: its file.
        size: the file's bytes.
        changed: the file's modification time in nanoseconds.
        package: distribution that it belongs to; ``python`` for the standard library.
        version: that distribution's version.
    """

    locator: str
    path: str
    size: int
    changed: int
    package: str
    version: str


def plan_installed(max_source_bytes: int, split_bytes: int) -> list[Split]:
    """Splits over modules, READMEs and licences, sorted by locator, of ``split_bytes`` bytes of files.

    Parsing is what costs, so splits are measured in bytes of source, not of the text inside.

    Raises:
        UserError: the standard library's source is not installed.
    """
    paths = sysconfig.get_paths()
    standard = list(_modules(paths["stdlib"], {}, "python"))
    if not standard:
        raise UserError(
            "the source of Python's standard library is not installed",
            where=paths["stdlib"],
            hint="install it, or use another source",
        )
    packages: list[Item] = []
    items: dict[str, Item] = {}
    for folder in dict.fromkeys((paths["purelib"], paths["platlib"])):
        distributions = list(_distributions(folder))
        owners = {top: entry for entry in distributions for top in _top_levels(entry)}
        packages.extend(_modules(folder, {top: (d.name, d.version) for top, d in owners.items()}, ""))
        for entry in distributions:
            for item in _papers(entry):
                items.setdefault(item.locator, item)
    budget = max_source_bytes - sum(item.size for item in standard)
    chosen = _sample(packages, budget)
    for item in (*standard, *chosen):
        items.setdefault(item.locator, item)
    return list(_cut(sorted(items.values(), key=lambda item: item.locator.encode()), split_bytes))


def _sample(modules: list[Item], budget: int) -> list[Item]:
    """Modules in the order of their names' hashes while they fit into ``budget`` bytes."""
    chosen = []
    for item in sorted(modules, key=lambda item: hashlib.sha256(item.locator.encode()).digest()):
        budget -= item.size
        if budget < 0:
            break
        chosen.append(item)
    return chosen


def _cut(items: list[Item], split_bytes: int) -> Iterator[Split]:
    bundle: list[Item] = []
    for item in items:
        if bundle and sum(each.size for each in bundle) + item.size > split_bytes:
            yield _split(bundle)
            bundle = []
        bundle.append(item)
    if bundle:
        yield _split(bundle)


def _split(items: list[Item]) -> Split:
    work = [[item.locator, item.path, item.package, item.version] for item in items]
    stamp = repr([(item.locator, item.size, item.changed, item.version) for item in items])
    return Split(
        {"items": work}, hashlib.sha256(stamp.encode()).hexdigest(), sum(item.size for item in items)
    )


def _modules(root: str, owners: dict[str, tuple[str, str]], default: str) -> Iterator[Item]:
    """Modules below a folder of the import path; a package goes before a module of the same name."""
    python = sysconfig.get_python_version()
    found: dict[str, Item] = {}
    for folder, folders, names in os.walk(root):
        folders[:] = [
            name
            for name in folders
            if name.isidentifier() and name not in _TEST_FOLDERS | _SITE_FOLDERS | {"__pycache__"}
        ]
        parts = list(Path(folder).relative_to(root).parts)
        for name in names:
            if not name.endswith(".py"):
                continue
            stem = name.removesuffix(".py")
            dotted = ".".join(parts if stem == "__init__" and parts else [*parts, stem])
            package, version = owners.get((parts or [stem])[0], (default, python if default else ""))
            path = Path(folder, name)
            try:
                status = path.stat()
                locator = f"module/{dotted}"
                locator.encode()
            except (OSError, UnicodeEncodeError):
                continue  # a dangling link, or a name that is no text: no module that could be imported
            if locator not in found or stem == "__init__":
                found[locator] = Item(
                    locator, str(path), status.st_size, status.st_mtime_ns, package, version
                )
    yield from found.values()


@dataclass(frozen=True)
class _Distribution:
    folder: Path
    name: str
    version: str


def _distributions(site: str) -> Iterator[_Distribution]:
    for folder in sorted(Path(site).glob("*.dist-info")):
        metadata = PathDistribution(folder).metadata
        name = metadata["Name"] if metadata else None
        if name:
            canonical = re.sub(r"[-_.]+", "-", name).lower()
            yield _Distribution(folder, canonical, metadata["Version"] or "")


def _top_levels(entry: _Distribution) -> set[str]:
    """Names that a distribution puts beside its metadata: packages, and modules without ``.py``."""
    try:
        record = (entry.folder / "RECORD").read_text("utf-8", "replace")
    except OSError:
        return set()
    tops = {line.split(",", 1)[0].split("/", 1)[0] for line in record.splitlines()}
    return {top.removesuffix(".py") for top in tops if not top.endswith(".dist-info")}


def _papers(entry: _Distribution) -> Iterator[Item]:
    """A distribution's README and licences."""

    def item(locator: str, path: Path) -> Item:
        status = path.stat()
        return Item(locator, str(path), status.st_size, status.st_mtime_ns, entry.name, entry.version)

    if (metadata := entry.folder / "METADATA").is_file():
        yield item(f"readme/{entry.name}", metadata)
    taken = set()
    for path in sorted(entry.folder.rglob("*")):
        relative = path.relative_to(entry.folder).as_posix()
        if not path.is_file() or not (_LICENCE.search(path.name) or relative.startswith("licenses/")):
            continue
        short = relative.removeprefix("licenses/")
        # Some packages lay the same file in both places.
        locator = f"licence/{entry.name}/{relative if short in taken else short}"
        taken.add(short)
        yield item(locator, path)
