"""An adapter and its model as one model, in a Hugging Face folder like any other."""

from __future__ import annotations

import shutil
from pathlib import Path

import torch

from textmill.errors import UserError
from textmill.train.adapter_trainee import merge_adapter
from textmill.train.output import belongs_to_tokenizer

NOTES = ("adapter_config.json", "training_args.json", "training_summary.json", "trainer_state.json")


def write_merged(
    adapter: Path, folder: Path, *, base: str | Path | None = None, dtype: torch.dtype = torch.float32
) -> Path:
    """Merge an adapter and write the model with the tokenizer that lies beside the adapter.

    Args:
        adapter: folder with adapter_config.json, adapter_model.safetensors and the tokenizer's files.
        folder: created; must be empty or absent.
        base: see :func:`textmill.train.adapter_trainee.merge_adapter`.
        dtype: of the weights written.

    Returns:
        ``folder``.

    Raises:
        UserError: no adapter, no base, or the folder holds something.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(
            "the output folder is not empty", expected="an empty or new folder", where=str(folder)
        )
    model = merge_adapter(adapter, base=base, dtype=dtype)
    model.config.use_cache = True
    model.save_pretrained(folder)
    for file in sorted(adapter.iterdir()):
        if belongs_to_tokenizer(file.name) and file.name not in NOTES:
            shutil.copyfile(file, folder / file.name)
    return folder
