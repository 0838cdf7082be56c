"""The pages of docs/ say what the program does: generated ones are current, and their code runs."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from textmill.cli import main
from textmill.recipe import Registry, default_registry, load_recipe

ROOT = Path(__file__).parent.parent.parent
DOCS = ROOT / "docs"


def code_blocks(page: str) -> dict[str, str]:
    """Code of a page by the file name in its first line."""
    text = (DOCS / page).read_text(encoding="utf-8")
    blocks = re.findall(r"```(?:python|yaml)\n# (\S+)\n(.*?)```", text, re.DOTALL)
    return dict(blocks)


def test_generated_pages_are_current() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "scripts" / "make_docs.py", "--check"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def test_the_example_of_the_reference_loads() -> None:
    text = (DOCS / "recipe.md").read_text(encoding="utf-8")
    example = re.search(r"```yaml\n(.*?)```", text, re.DOTALL)
    assert example
    assert load_recipe(example[1]).name == "notes"


def test_a_rule_of_ones_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, code in code_blocks("add-a-step.md").items():
        if "/" not in name:
            (tmp_path / name).write_text(code)
    (tmp_path / "texts.jsonl").write_text('{"text": "Words and words."}\n{"text": "31 words 4 12 77 8"}\n')
    monkeypatch.chdir(tmp_path)
    assert main(["run", "digits.yaml", "--workers", "1"]) == 0
    capsys.readouterr()
    assert main(["why", "texts.jsonl:2"]) == 0
    assert "DROPPED by digits, rule value: measured 0.4444, allowed at most 0.2" in capsys.readouterr().out
    assert main(["why", "texts.jsonl:1"]) == 0
    assert "KEPT" in capsys.readouterr().out


def test_a_step_of_the_mill() -> None:
    from textmill.documents import Batch
    from textmill.steps import StepContext

    (code,) = (
        code for name, code in code_blocks("add-a-step.md").items() if name.endswith("curate/digits.py")
    )
    assert len([line for line in code.splitlines() if line.strip()]) <= 20
    module = SimpleNamespace()
    exec(compile(code, "digits.py", "exec"), vars(module))
    known = default_registry()
    registry = Registry(known.sources, {**known.steps, "digits": module.Digits}, known.sections)
    recipe = load_recipe("name: x\nsources: [python_docs]\ncurate: [digits: 0.5]\n", registry=registry)
    (step,) = recipe.curate
    scores = step.open(StepContext()).scores(Batch.from_texts(["1234", "ab12", "", "٣x"]))  # type: ignore[attr-defined]
    (rule,) = step.rules()  # type: ignore[attr-defined]
    assert rule.keeps(scores["share"]).tolist() == [False, True, True, True]


@pytest.mark.parametrize("page", sorted(path.name for path in DOCS.glob("*.md")))
def test_links_between_pages_lead_somewhere(page: str) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", (DOCS / page).read_text(encoding="utf-8")):
        assert (DOCS / target).exists(), target
