"""Presets hold what their names say, counted in the module itself."""

from __future__ import annotations

import pytest
import torch

from textmill.errors import UserError
from textmill.model.llama import Llama
from textmill.model.presets import PRESETS, preset_config

# Least and most parameters that a name promises.
PROMISED = {
    "tiny": (1.0e6, 2.0e6),
    "125m": (115e6, 135e6),
    "350m": (325e6, 375e6),
    "1b": (1.0e9, 1.3e9),
    "8b": (7.9e9, 8.1e9),
}


def counted(name: str, vocab_size: int | None = None) -> int:
    with torch.device("meta"):
        model = Llama(preset_config(name, vocab_size=vocab_size))
    return sum(parameter.numel() for parameter in model.parameters())


def test_every_preset_is_promised() -> None:
    assert PROMISED.keys() == PRESETS.keys()


@pytest.mark.parametrize("name", PROMISED)
def test_a_preset_has_the_parameters_of_its_name(name: str) -> None:
    least, most = PROMISED[name]
    assert least <= counted(name) <= most
    assert counted(name) == preset_config(name).parameters()


@pytest.mark.parametrize("vocab_size", [32_000, 50_257, 65_536, 128_256])
def test_1b_is_a_billion_with_every_usual_vocabulary(vocab_size: int) -> None:
    assert 1.0e9 <= counted("1b", vocab_size) <= 1.3e9


@pytest.mark.parametrize(
    ("wrong", "near"), [("12m", "125m"), ("350", "350m"), ("1bn", "1b"), ("tini", "tiny")]
)
def test_an_unknown_preset_names_the_nearest(wrong: str, near: str) -> None:
    with pytest.raises(UserError) as error:
        preset_config(wrong)
    text = str(error.value)
    assert near in text.split("did you mean")[1]
    assert all(name in text for name in PRESETS)


def test_capitals_make_no_difference() -> None:
    assert preset_config("8B") == preset_config("8b")
