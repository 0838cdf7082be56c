"""Where a model is: a folder on this machine, or a name on the Hugging Face Hub."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from textmill.errors import UserError

NAME = re.compile(r"hf:/{1,2}(?P<name>[\w.-]+/[\w.-]+)(?:@(?P<revision>[\w./-]+))?")
_FILES = ("*.json", "*.safetensors", "*.model", "*.txt", "*.jinja", "*.tiktoken")


def model_folder(start: str | Path) -> Path:
    """The local folder of a model: a path as it is, or ``hf://owner/name`` (``@revision`` may follow).

    What the machine's cache holds is used as it is; only a name that is not there is fetched.

    Raises:
        UserError: there is no model.
    """
    name = NAME.fullmatch(str(start))
    if name is not None:
        return _from_hub(name["name"], name["revision"])
    folder = Path(start).expanduser()
    if not (folder / "config.json").is_file():
        raise UserError(
            "there is no model to start from",
            where=str(folder),
            expected="a Hugging Face folder with config.json and safetensors, or hf://owner/name",
            found="no config.json" if folder.is_dir() else "no such folder",
        )
    return folder


def _from_hub(name: str, revision: str | None) -> Path:
    from huggingface_hub import snapshot_download

    options: dict[str, Any] = {"revision": revision, "allow_patterns": list(_FILES)}
    try:
        folder = Path(snapshot_download(name, local_files_only=True, **options))
        if (folder / "config.json").is_file() and any(folder.glob("*.safetensors")):
            return folder
    except Exception:
        pass
    try:
        return Path(snapshot_download(name, **options))
    except Exception as error:
        raise UserError(
            "the model cannot be fetched from the Hugging Face Hub",
            expected="a repository that exists and may be read, in the cache of this machine or over the network",
            found=f"{type(error).__name__}: {(str(error).strip().splitlines() or [''])[0]}",
            where=f"hf://{name}" + (f"@{revision}" if revision else ""),
            hint="check the name; for a gated one set HF_TOKEN; or give a folder on this machine",
        ) from None
