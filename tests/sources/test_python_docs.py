"""The source ``python_docs``: docstrings, READMEs and licences of what is installed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from textmill.documents import Document, Failure
from textmill.errors import UserError
from textmill.sources import PythonDocs, installed
from textmill.sources.docstrings import module_text, readme_text
from textmill.steps import StepContext


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small Python installation."""
    files = {
        "lib/json/__init__.py": '"""JSON."""\n',
        "lib/json/decoder.py": '"""Decodes."""\n\nclass Decoder:\n    """A decoder."""\n',
        "lib/this.py": "s = 1\n",
        "lib/broken.py": '"""Fine."""\nprint "no"\n',
        "lib/latin.py": '# -*- coding: latin-1 -*-\n"""Caf\xe9."""\n',
        "lib/wrong.py": '"""Caf\xe9."""\n',
        "lib/half.py": '"""Half \\ud800."""\n',
        "lib/test/test_x.py": '"""Tests X."""\n',
        "lib/site-packages/inside/__init__.py": '"""Not the standard library\'s."""\n',
        "site/pkg/__init__.py": '"""A package."""\n',
        "site/pkg/tests/__init__.py": '"""Tests."""\n',
        "site/pkg/_vendor/json/__init__.py": '"""JSON."""\n',
        "site/single.py": '"""One file."""\n',
        "site/my_pkg-1.2.dist-info/METADATA": "Metadata-Version: 2.1\nName: My_Pkg\nVersion: 1.2\n\n# R\xe9adme\n",
        "site/my_pkg-1.2.dist-info/RECORD": "pkg/__init__.py,,\nmy_pkg-1.2.dist-info/METADATA,,\n",
        "site/my_pkg-1.2.dist-info/LICENSE": "Do what you want.\n",
        "site/my_pkg-1.2.dist-info/licenses/LICENSE": "Do what you want.\n",
        "site/my_pkg-1.2.dist-info/licenses/third/COPYING.txt": "Copy.\n",
        "site/my_pkg-1.2.dist-info/top_level.txt": "pkg\n",
        "site/old-0.dist-info/METADATA": "Name: old\nVersion: 0\nDescription: Old ẁay.\n        Second line.\n",
    }
    for name, content in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode("latin-1" if name.endswith(("latin.py", "wrong.py")) else "utf-8"))
    paths = {"stdlib": f"{tmp_path}/lib", "purelib": f"{tmp_path}/site", "platlib": f"{tmp_path}/site"}
    monkeypatch.setattr(installed.sysconfig, "get_paths", lambda: paths)
    return tmp_path


def records(split_bytes: int = 2**20, **settings: int) -> dict[str, Document | Failure]:
    source = PythonDocs(**settings)
    reader = source.open(StepContext())
    found = [record for split in source.plan(split_bytes) for record in reader.read(split)]
    assert [record.locator for record in found] == sorted({record.locator for record in found})
    return {record.locator: record for record in found}


def test_what_is_read_and_what_is_not(machine: Path) -> None:
    found = records()
    assert {name: record.text for name, record in found.items() if isinstance(record, Document)} == {
        "licence/my-pkg/LICENSE": "Do what you want.\n",
        "licence/my-pkg/licenses/LICENSE": "Do what you want.\n",
        "licence/my-pkg/third/COPYING.txt": "Copy.\n",
        "module/json": "# json\n\nJSON.",
        "module/json.decoder": "# json.decoder\n\nDecodes.\n\n# Decoder\n\nA decoder.",
        "module/latin": "# latin\n\nCafé.",
        "module/pkg": "# pkg\n\nA package.",
        "module/pkg._vendor.json": "# pkg._vendor.json\n\nJSON.",
        "module/single": "# single\n\nOne file.",
        "readme/my-pkg": "# Réadme\n",
        "readme/old": "Old ẁay.\nSecond line.",
    }
    reasons = {name: record.reason for name, record in found.items() if isinstance(record, Failure)}
    assert set(reasons) == {"module/broken", "module/half", "module/wrong"}
    assert "(line 2)" in reasons["module/broken"]
    assert "surrogate" in reasons["module/half"]
    package = found["module/pkg._vendor.json"]
    assert isinstance(package, Document)
    assert json.loads(package.metadata or "") == {"kind": "module", "package": "my-pkg", "version": "1.2"}
    standard = found["module/json"]
    assert isinstance(standard, Document)
    assert json.loads(standard.metadata or "")["package"] == "python"


def test_splits_change_nothing(machine: Path) -> None:
    assert records(split_bytes=1) == records(split_bytes=40) == records()


def test_the_budget_takes_a_stable_sample_of_packages(machine: Path) -> None:
    for number in range(100):
        (machine / f"site/m{number}.py").write_text(f'"""Module {number}."""\n' + "#" * 1000)
    standard = sum(
        path.stat().st_size for path in (machine / "lib").glob("**/*.py") if "test" not in path.parts
    )
    part = set(records(max_source_bytes=standard + 30_000))
    more = set(records(max_source_bytes=standard + 60_000))
    assert part < more < set(records())
    assert 20 <= sum(name.startswith("module/m") for name in part) <= 32
    assert {"module/json", "readme/my-pkg", "licence/my-pkg/LICENSE"} <= set(records(max_source_bytes=0))
    assert "module/single" not in records(max_source_bytes=0)


def test_no_standard_library_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        installed.sysconfig,
        "get_paths",
        lambda: dict.fromkeys(("stdlib", "purelib", "platlib"), str(tmp_path)),
    )
    with pytest.raises(UserError, match="standard library is not installed"):
        PythonDocs().plan(1000)


def test_module_text_names_what_a_reader_can_reach() -> None:
    source = b'''"""Top."""
import os
if os.name == "nt":
    def only_there():
        """There."""
else:
    try:
        async def here():
            """Here."""
            def hidden():
                """Hidden."""
    except ValueError:
        class Fallback:
            """Instead."""
class A:
    "One line.\\n\\n      Indented by two more.\\n    Not."
    class B:
        def method(self): r"""Raw \\d."""
    def bare(self): pass
'''
    assert module_text(source, "pkg.mod") == (
        "# pkg.mod\n\nTop.\n\n# only_there\n\nThere.\n\n# here\n\nHere.\n\n# Fallback\n\nInstead.\n\n"
        "# A\n\nOne line.\n\n  Indented by two more.\nNot.\n\n# A.B.method\n\nRaw \\d."
    )


@pytest.mark.parametrize(
    "source", [b"", b"x = 1\n", b'x = """no docstring"""\n', b'def f(): return """no"""\n']
)
def test_no_docstring_no_text(source: bytes) -> None:
    assert module_text(source, "m") == ""


def test_docstrings_equal_what_import_shows() -> None:
    """Against the interpreter itself: every ``__doc__`` of a plain module is in the text."""
    import inspect
    import textwrap as module

    text = module_text(Path(module.__file__).read_bytes(), "textwrap")
    documented = [module, module.TextWrapper, module.wrap, module.dedent, module.TextWrapper.fill]
    assert all(inspect.getdoc(each) in text for each in documented)


def test_readme_text() -> None:
    assert readme_text(b"Name: x\n\nBody\n\nMore: not a header\n") == "Body\n\nMore: not a header\n"
    assert readme_text(b"Name: x\nDescription: UNKNOWN\n") == ""
    with pytest.raises(UnicodeDecodeError):
        readme_text(b"Name: x\n\nCaf\xe9\n")


def test_the_real_installation_gives_text() -> None:
    source = PythonDocs(max_source_bytes=0)
    splits = source.plan(4 * 2**20)
    assert sum(split.bytes for split in splits) > 5_000_000
    names = [item[0] for split in splits for item in split.work["items"]]
    assert {"module/json.decoder", "module/argparse", "readme/pydantic", "readme/numpy"} <= set(names)
    documents = list(source.open(StepContext()).read(splits[0]))
    assert len(documents) > 50
    assert source.plan(4 * 2**20) == splits


def test_settings_import_nothing_heavy() -> None:
    heavy = "numba torch pyarrow duckdb tokenizers fsspec fasttext ftfy"
    code = (
        "import sys, textmill.sources, textmill.curate\n"
        f"print([name for name in {heavy.split()!r} if name in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
