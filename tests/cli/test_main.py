"""Exit codes, errors on one screen without a traceback, and a quick start-up."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from textmill.cli import main
from textmill.cli.arguments import with_dashes


def fails(capsys: pytest.CaptureFixture[str], *argv: str) -> str:
    """Standard error of a command that must exit with 2 and one screen."""
    code = main(list(argv))
    out, err = capsys.readouterr()
    assert code == 2, err
    assert out == ""
    assert "Traceback" not in err
    assert len(err.splitlines()) <= 24
    return err


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


RECIPE = "name: small\nsources:\n  - files: {paths: texts}\ncurate: [normalize, exact_dedup]\n"


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "a.txt").write_text("One text.")
    path = tmp_path / "small.yaml"
    path.write_text(RECIPE)
    return path


def test_without_a_command_it_shows_all(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    overview = capsys.readouterr().out
    for command in ("quickstart", "init", "run", "plan", "status", "why", "trace", "verify", "doctor"):
        assert f"\n  {command} " in overview


def test_help_of_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    main(["--help"])
    overview = capsys.readouterr().out
    commands = [line.split()[0] for line in overview.splitlines() if line.startswith("  ")]
    assert len(commands) >= 13
    for command in commands:
        assert main([command, "--help"]) == 0
        assert f"usage: textmill {command}" in capsys.readouterr().out
        assert main(["help", command]) == 0
        capsys.readouterr()


def test_subcommands_without_a_word_show_their_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tokenizer"]) == 0
    assert "train" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["rnu"], "did you mean: textmill run?"),
        (["my.yaml"], "textmill run my.yaml"),
        (["run"], "RECIPE"),
        (["run", "r.yaml", "--wrokers", "2"], "did you mean --workers?"),
        (["run", "r.yaml", "--workers"], "expected one argument"),
        (["trace", "--sample", "x"], "invalid int value: 'x'"),
        (["trace"], "--sample --step is required"),
        (["trace", "--sample", "1", "--step", "2"], "not allowed with"),
        (["why"], "QUERY"),
        (["tokenizer", "trian"], "trian"),
        (["tokenizer", "train", "x"], "--out"),
    ],
)
def test_mistaken_command_lines(capsys: pytest.CaptureFixture[str], argv: list[str], words: str) -> None:
    assert words in fails(capsys, *argv)


def test_dashes_and_underscores_are_equal(capsys: pytest.CaptureFixture[str]) -> None:
    assert with_dashes(["--max_new_tokens=3", "--top_k", "5", "a_b", "--", "--x_y"]) == [
        "--max-new-tokens=3", "--top-k", "5", "a_b", "--", "--x_y",
    ]  # fmt: skip
    assert "No run is here" in fails(capsys, "generate", "x", "--max_new_tokens", "3")


def test_values_keep_their_underscores(capsys: pytest.CaptureFixture[str], recipe: Path) -> None:
    assert "exact_dudep.normalize" in fails(capsys, "plan", str(recipe), "--set=exact_dudep.normalize=none")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("name: x\nsources: [{files: texts}]\ncurate: [normalise]\n", ["r.yaml:3:10", "did you mean 'normalize'?"]),
        ("name: x\nsources: [{files: texts}]\ncurate: [gopher_quality: {min_words: many}]\n",
         ["r.yaml:3:38", "a whole number, 0 or more", "text 'many'"]),
        ("name: x\nsources: [{files: texts}]\ncurate: [language: {min_score: 7}]\n",
         ["r.yaml:3:32", "from 0 to 1", "the number 7"]),
        ("name: x\nsources: [{files: texts}]\ntrain: {preset: tiny}\n", ["r.yaml:3:1", "a section tokens"]),
        ("name: x\nsources: [{files: {path: texts}}]\n", ["r.yaml:2:20", "did you mean 'paths'?"]),
        ("name: x\n\tsources: 3\n", ["r.yaml:2:1", "indent with spaces"]),
        ("", ["r.yaml", "empty"]),
    ],
)  # fmt: skip
@pytest.mark.parametrize("command", ["run", "plan"])
def test_broken_recipes(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, command: str, text: str, words: list[str]
) -> None:
    (tmp_path / "r.yaml").write_text(text)
    err = fails(capsys, command, "r.yaml")
    for word in words:
        assert word in err
    assert not (tmp_path / "runs").exists(), "nothing is written for a broken recipe"


def test_no_such_recipe(capsys: pytest.CaptureFixture[str], recipe: Path) -> None:
    assert "did you mean small.yaml?" in fails(capsys, "run", "smal.yaml")


def test_missing_input_leaves_no_trace(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "r.yaml").write_text(RECIPE)
    assert "texts" in fails(capsys, "run", "r.yaml")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["r.yaml"]


@pytest.mark.parametrize(
    ("option", "place"),
    [
        (["--workers", "-2"], "--workers -2"),
        (["--workers", "many"], "--workers many"),
        (["--seed", "x"], "--seed x"),
        (["--engine", "slurm"], "--engine slurm"),
        (["--set", "normalize.unicode=XX"], "--set normalize.unicode=XX"),
        (["--set", "normalize"], "--set normalize"),
    ],
)
def test_options_take_the_blame(
    capsys: pytest.CaptureFixture[str], recipe: Path, option: list[str], place: str
) -> None:
    assert f"where:    {place}" in fails(capsys, "plan", str(recipe), *option)


def test_an_ambiguous_override_names_both(capsys: pytest.CaptureFixture[str], recipe: Path) -> None:
    recipe.write_text(RECIPE.replace("[normalize,", "[normalize, normalize: {id: again},"))
    err = fails(capsys, "plan", str(recipe), "--set", "normalize.unicode=NFKC")
    assert "curate.0.unicode or curate.1.unicode" in err


def test_plan(capsys: pytest.CaptureFixture[str], recipe: Path) -> None:
    assert main(["plan", str(recipe), "--workers", "3"]) == 0
    out = capsys.readouterr().out
    assert "0-ingest" in out
    assert "3 workers" in out


def test_schema_is_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema"]) == 0
    assert json.loads(capsys.readouterr().out)["title"] == "textmill recipe"


def test_init(capsys: pytest.CaptureFixture[str], recipe: Path) -> None:
    assert main(["init", "texts", "--out", "new.yaml"]) == 0
    assert "textmill run new.yaml" in capsys.readouterr().out
    assert main(["plan", "new.yaml"]) == 0
    capsys.readouterr()
    assert "not overwritten" in fails(capsys, "init", "texts", "--out", "new.yaml")
    assert "no such folder" in fails(capsys, "init", "nowhere")


def test_doctor(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor"]) == 0
    out = capsys.readouterr().out
    for word in ("Python", "cores", "memory", "GPU", "pyarrow", "kernel cache"):
        assert word in out


def test_no_run_anywhere(capsys: pytest.CaptureFixture[str]) -> None:
    for argv in (
        ["status"],
        ["why", "x"],
        ["verify"],
        ["report"],
        ["trace", "--step", "1"],
        ["generate", "x"],
    ):
        assert "No run is here" in fails(capsys, *argv)
    assert "nowhere" in fails(capsys, "status", "nowhere")


class Stop:
    """A command that ends as told."""

    def __init__(self, error: BaseException) -> None:
        self.error = error

    def __call__(self, argv: list[str]) -> int:
        raise self.error


def test_ctrl_c(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("textmill.cli._dispatch", Stop(KeyboardInterrupt()))
    assert main(["run", "r.yaml"]) == 130
    assert "stopped; the same command continues" in capsys.readouterr().err


def test_a_full_disk(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("textmill.cli._dispatch", Stop(OSError(28, "No space left on device", "/data/x")))
    err = fails(capsys, "run", "r.yaml")
    assert "The disk is full." in err
    assert "/data/x" in err


@pytest.mark.parametrize("error", [RuntimeError("a defect"), OSError(5, "Input/output error")])
def test_a_defect_keeps_its_traceback(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    monkeypatch.setattr("textmill.cli._dispatch", Stop(error))
    assert main(["run", "r.yaml"]) == 1
    err = capsys.readouterr().err
    assert "Traceback" in err
    assert "textmill doctor" in err


def command(*argv: str, **options: object) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.run(  # type: ignore[call-overload,no-any-return]
        [sys.executable, "-m", "textmill.cli", *argv],
        capture_output=True,
        text=True,
        env=environment,
        **options,
    )


def test_in_a_process_of_its_own(recipe: Path) -> None:
    done = command("run", "smal.yaml")
    assert (done.returncode, done.stdout) == (2, "")
    assert "Traceback" not in done.stderr
    assert "\x1b" not in done.stderr, "no colours where there is no terminal"


def test_a_closed_pipe_is_quiet() -> None:
    script = f"{sys.executable} -m textmill.cli schema | head -c 10"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(script, shell=True, capture_output=True, text=True, env=environment)
    assert done.stderr == ""
    assert len(done.stdout) == 10


def test_start_up_imports_nothing_heavy() -> None:
    heavy = "{'numpy', 'pydantic', 'pyarrow', 'torch', 'numba', 'duckdb', 'rich', 'ruamel'}"
    script = f"import sys, textmill.cli; textmill.cli.main(['--help']); print({heavy} & set(sys.modules))"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=environment)
    assert done.stdout.splitlines()[-1] == "set()"


def test_a_recipe_loads_without_torch_or_numba(recipe: Path) -> None:
    heavy = "{'pyarrow', 'torch', 'numba', 'duckdb', 'tokenizers', 'fasttext'}"
    script = "import sys; from textmill.recipe import load_recipe; load_recipe('small.yaml'); "
    script += f"print({heavy} & set(sys.modules))"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=environment)
    assert done.stdout.strip() == "set()", done.stderr
