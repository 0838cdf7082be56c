"""Where compiled kernels are kept, and that importing never depends on a writable home or package."""

from __future__ import annotations

import multiprocessing
import os
import re
import shutil
import stat
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import textmill
from textmill import text
from textmill.curate import Language
from textmill.text import (
    classes,
    dictionary,
    english,
    english_chunks,
    fasttext_model,
    fasttext_predict,
    hashing,
    kernel_cache,
    lines,
    ngrams,
    statistics,
    stop_words,
    warm_up,
    words,
)

PACKAGE = Path(textmill.__file__).parent
CODE = """
import textmill.text as text
from textmill.text.kernel_cache import cache_folder
text.hash_bytes(b'x')
print(cache_folder())
"""


def test_takes_the_first_usable_folder() -> None:
    folders = [Path("/one"), Path("/two"), Path("/three")]
    asked: list[Path] = []

    def probe(folder: Path) -> bool:
        asked.append(folder)
        return folder.name == "two"

    chosen = kernel_cache.choose_cache_folder(folders, probe, lambda: Path("/private"))
    assert chosen == (Path("/two"), False)
    assert asked == folders[:2]


def test_makes_a_private_folder_if_none_is_usable() -> None:
    chosen = kernel_cache.choose_cache_folder([Path("/one")], lambda _: False, lambda: Path("/private"))
    assert chosen == (Path("/private"), True)


def test_candidates_are_package_then_user_then_temporary(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/someone")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    package, user, temporary = kernel_cache.candidate_folders(Path("/package"))
    assert package == Path("/package/__pycache__/kernels")
    assert user == Path("/home/someone/.cache/textmill/kernels")
    assert temporary.name == "kernels"
    monkeypatch.setenv("XDG_CACHE_HOME", "/caches")
    assert kernel_cache.candidate_folders(Path("/package"))[1] == Path("/caches/textmill/kernels")


def digest(root: Path, module: str) -> str:
    return digest_of(root.joinpath(*module.split(".")).with_suffix(".py"), module)


def digest_of(file: Path, module: str) -> str:
    """As a new process would see it."""
    for cached in (
        kernel_cache.source_digest,
        kernel_cache._imported,
        kernel_cache._source,
        kernel_cache._is_file,
    ):
        cached.cache_clear()
    return kernel_cache.source_digest(file, module)


def test_the_digest_follows_what_a_module_imports_and_nothing_else(tmp_path: Path) -> None:
    """Every way to write an import, one within a function too, and over three modules."""
    files = {
        "mill/__init__.py": "",
        "mill/a.py": "import numpy, mill.b as b\nfrom mill.c import x as y\n",
        "mill/b.py": "def f():\n    from mill.room import (\n        d,  # a comment, here\n        g,\n    )\n",
        "mill/c.py": "x = 1",
        "mill/room/__init__.py": "from mill.room.e import g",
        "mill/room/d.py": "from mill import a\n",
        "mill/room/e.py": "g = 1",
        "mill/room/other.py": "",
        "mill/other.py": "from mill import a\n",
        "numpy.py": "",
    }
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content)
    first = digest(tmp_path, "mill.a")
    assert digest(tmp_path, "mill.a") == first
    for name, content in files.items():
        (tmp_path / name).write_text(content + "\n# changed")
        reached = name.removeprefix("mill/") in (
            "a.py",
            "b.py",
            "c.py",
            "room/__init__.py",
            "room/d.py",
            "room/e.py",
        )
        assert (digest(tmp_path, "mill.a") != first) == reached, name
        (tmp_path / name).write_text(content)
    (tmp_path / "mill/b.py").rename(tmp_path / "mill/z.py")
    assert digest(tmp_path, "mill.a") != first


@pytest.mark.parametrize("module", ["rules", "package.of.rules"])
def test_a_module_that_lies_elsewhere_stands_for_itself(tmp_path: Path, module: str) -> None:
    rules, other = tmp_path / "rules.py", tmp_path / "other.py"
    rules.write_text("import other\n")
    other.write_text("")
    first = digest_of(rules, module)
    other.write_text("changed")
    assert digest_of(rules, module) == first
    rules.write_text("import other\nchanged")
    assert digest_of(rules, module) != first


def test_every_kernel_that_is_kept_lies_in_its_modules_folder() -> None:
    folder = kernel_cache.folder_of(Path(words.__file__), words.__name__)
    assert re.fullmatch(r"text\.words-[0-9a-f]{12}", folder.name)
    text.segment_words(np.frombuffer(b"one two", np.uint8), np.array([0, 7]))
    assert list(folder.rglob("*.nbc"))


def enter_and_leave(folder: Path) -> None:
    """A compilation that writes when it begins and ends; a process of its own."""

    def compiles(signature: object) -> object:
        with (folder / "log").open("a") as log:
            print("in", file=log, flush=True)
            time.sleep(0.02)
            print("out", file=log, flush=True)
        return signature

    once = kernel_cache.compile_once(compiles, folder / "kernel.lock")
    assert [once(number) for number in range(5)] == list(range(5))


def test_processes_compile_one_after_another(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=enter_and_leave, args=(tmp_path,)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
        assert process.exitcode == 0
    assert (tmp_path / "log").read_text() == "in\nout\n" * 15


def test_a_kernel_may_call_itself_while_it_is_compiled(tmp_path: Path) -> None:
    def compiles(depth: int) -> int:
        return once(depth - 1) + 1 if depth else 0

    once = kernel_cache.compile_once(compiles, tmp_path / "kernel.lock")
    assert once(5) == once(5) == 5


def test_without_a_place_for_a_lock_it_compiles(tmp_path: Path) -> None:
    assert kernel_cache.compile_once(str, tmp_path / "none" / "kernel.lock")(7) == "7"


def test_refuses_a_folder_that_others_can_write(tmp_path: Path) -> None:
    folder = tmp_path / "shared"
    folder.mkdir()
    assert kernel_cache.is_usable(folder)
    folder.chmod(0o777)
    assert not kernel_cache.is_usable(folder)


def test_refuses_what_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert not kernel_cache.is_usable(tmp_path / "file" / "folder")
    assert not kernel_cache.is_usable(Path("/proc/nonexistent/folder"))


def run_with(
    package_root: Path, temporary: Path, prefix: tuple[str, ...] = (), code: str = CODE, **variables: str
) -> str:
    environment = {
        name: value
        for name, value in os.environ.items()
        if name not in ("NUMBA_CACHE_DIR", "XDG_CACHE_HOME", "PYTHONPATH")
    }
    environment |= {"HOME": "/proc/nonexistent", "TMPDIR": str(temporary), "PYTHONPATH": str(package_root)}
    environment |= {"PYTHONDONTWRITEBYTECODE": "1"} | variables
    result = subprocess.run(
        [*prefix, sys.executable, "-c", code],
        env=environment,
        capture_output=True,
        text=True,
        cwd=temporary,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


def copy_of_the_package(root: Path) -> Path:
    target = root / "textmill"
    target.mkdir(parents=True)
    for name in ("__init__.py", "errors.py"):
        shutil.copy(PACKAGE / name, target)
    shutil.copytree(PACKAGE / "text", target / "text", ignore=shutil.ignore_patterns("__pycache__"))
    return root


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "getuid"), reason="permissions of POSIX")
def test_works_from_a_read_only_package_without_a_home(tmp_path: Path) -> None:
    """Compiles everything twice: into the temporary folder, then from it.

    Permission bits do not bind root, so as root the child gives up the capability to override them.
    """
    prefix: tuple[str, ...] = ()
    if os.getuid() == 0:
        setpriv = shutil.which("setpriv")
        if setpriv is None:
            pytest.skip("root ignores permissions, and setpriv is not installed")
        prefix = (setpriv, "--bounding-set", "-dac_override", "--inh-caps", "-dac_override")
    root = copy_of_the_package(tmp_path / "package")
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    folders = [path for path in (root, *root.rglob("*")) if path.is_dir()]
    for folder in folders:
        folder.chmod(0o555)
    try:
        probe = [*prefix, sys.executable, "-c", f"open({str(root / 'textmill' / 'text' / 'x')!r}, 'w')"]
        if subprocess.run(probe, capture_output=True).returncode == 0:
            pytest.skip("the folder cannot be made read-only for this user")
        cache = Path(run_with(root, temporary, prefix))
        assert cache.is_relative_to(temporary)
        assert stat.S_IMODE(cache.stat().st_mode) == 0o700
        compiled = sorted(cache.rglob("*.nbc"))
        assert compiled
        made = [path.stat().st_mtime_ns for path in compiled]
        assert run_with(root, temporary, prefix) == str(cache)
        assert sorted(cache.rglob("*.nbc")) == compiled
        assert [path.stat().st_mtime_ns for path in compiled] == made
    finally:
        for folder in folders:
            folder.chmod(0o755)


@pytest.mark.slow
def test_a_folder_that_the_user_names_is_used(tmp_path: Path) -> None:
    chosen = tmp_path / "chosen"
    assert run_with(PACKAGE.parent, tmp_path, NUMBA_CACHE_DIR=str(chosen)) == str(chosen)
    assert sorted(chosen.rglob("*.nbc"))


@pytest.mark.slow
def test_warm_up_covers_every_call_on_read_only_and_writable_arrays() -> None:
    """After `warm_up` an ordinary call compiles nothing, whatever sort of arrays it is given."""

    kernels = {
        (module.__name__, name): value
        for module in (
            *(classes, hashing, lines, ngrams, statistics, words, english, english_chunks),
            *(dictionary, stop_words, fasttext_model, fasttext_predict),
        )
        for name, value in vars(module).items()
        if hasattr(value, "py_func")
    }
    warm_up()
    model = Language().files()[0]
    table = stop_words.stop_word_table([["a"]])
    before = {key: len(value.signatures) for key, value in kernels.items()}
    content = "a – b\n\na – b".encode()
    for data in (np.frombuffer(content, np.uint8), np.frombuffer(bytearray(content), np.uint8)):
        for kind in (np.int32, np.int64):
            offsets = np.array([0, len(content)], kind)
            tokens, rows, parts = (
                text.segment_words(data, offsets),
                text.split_lines(data, offsets),
                text.split_paragraphs(data, offsets),
            )
            text.quality_statistics(data, offsets, tokens, rows, ["a", "b"])
            text.repetition_statistics(data, offsets, tokens, rows, parts)
            text.hash_spans(data, tokens.starts, tokens.ends)
            english.english_tokens(data, offsets)
            dictionary.mostly_unspaced(data, offsets)
            if dictionary.has_dictionaries():
                dictionary.dictionary_words(
                    np.frombuffer("中文。".encode(), np.uint8), np.array([0, 9], kind)
                )
            stop_words.count_stop_words(data, tokens, table, np.zeros(1, kind))
            fasttext_predict.predict(fasttext_model.read_model(Path(model)), data, offsets)
    assert {key: len(value.signatures) for key, value in kernels.items()} == before


def old(folder: Path, days: float) -> Path:
    folder.mkdir(parents=True)
    (folder / "index").write_text("kernels")
    then = time.time() - days * 86400
    os.utime(folder, (then, then))
    return folder


def test_kernels_of_other_versions_go_when_nobody_uses_them(tmp_path: Path) -> None:
    own = tmp_path / "kernels"
    fresh, unused = old(own / "text.words-111111111111", 29), old(own / "text.words-222222222222", 31)
    others = [old(own / name, 99) for name in ("kernels", "words-2222222222221", "test_words", "x")]
    left_over = old(own / "removed-text.words-333333333333-0123456789abcdef", 0)
    (own / "words-444444444444").symlink_to(others[-1])
    assert kernel_cache.remove_old_caches(own) == [unused]
    assert all(path.is_dir() for path in (own, fresh, *others, own / "words-444444444444"))
    assert not unused.exists()
    assert not left_over.exists()
    assert kernel_cache.remove_old_caches(own) == []


def test_a_folder_that_the_user_names_is_not_cleaned(tmp_path: Path) -> None:
    unused = old(tmp_path / "mine" / "words-222222222222", 99)
    assert kernel_cache.remove_old_caches(tmp_path / "mine") == []
    assert unused.exists()
    assert kernel_cache.remove_old_caches(tmp_path / "none" / "kernels") == []


def test_several_processes_may_clean_at_once(tmp_path: Path) -> None:
    own = tmp_path / "kernels"
    unused = [old(own / f"words-{number:012x}", 31) for number in range(1, 60)]
    with ThreadPoolExecutor(8) as pool:
        removed = [path for paths in pool.map(kernel_cache.remove_old_caches, [own] * 16) for path in paths]
    assert sorted(removed) == unused
    assert list(own.iterdir()) == []


def test_importing_marks_the_folder_as_used(tmp_path: Path) -> None:
    """In a package of its own: a folder that looks old is one that others may remove."""
    root = copy_of_the_package(tmp_path / "package")
    cache = Path(run_with(root, tmp_path))
    (folder,) = cache.glob("text.hashing-*")
    then = time.time() - 40 * 86400
    os.utime(folder, (then, then))
    assert run_with(root, tmp_path, code="import textmill.text.hashing") == ""
    assert folder.stat().st_mtime > then + 86400
