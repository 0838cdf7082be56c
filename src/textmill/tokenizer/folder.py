"""The folder that holds a tokenizer, in the files that transformers' ``AutoTokenizer`` reads.

* ``tokenizer.json``: the whole tokenizer, in the format of the tokenizers library;
* ``tokenizer_config.json``: which class loads it, and which token ends a text;
* ``special_tokens_map.json``: the roles of special tokens.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from textmill.errors import UserError

TOKENIZER = "tokenizer.json"
CONFIG = "tokenizer_config.json"
SPECIAL_TOKENS = "special_tokens_map.json"
CHAT_TEMPLATE = "chat_template.jinja"


def tokenizer_files(path: Path) -> dict[str, Path]:
    """The files of the tokenizer at ``path`` (its folder, or its ``tokenizer.json``), by their role.

    Raises:
        UserError: nothing there that can be read.
    """
    path = path.expanduser()
    folder = path if path.is_dir() else path.parent
    main = folder / TOKENIZER if path.is_dir() else path
    if not main.is_file():
        hint = "give a Hugging Face folder, or train one: tokenizer: {train: {vocab_size: 32_000}}"
        if path.is_dir() and (path / "tokenizer.model").is_file():
            hint = (
                "a SentencePiece tokenizer.model: convert it (AutoTokenizer.from_pretrained, save_pretrained)"
            )
        elif not path.exists():
            hint = f"nothing is downloaded for use:; {hint}"
        raise UserError(
            "there is no tokenizer to use",
            expected=f"a folder with {TOKENIZER}, or such a file",
            found="no such file" if not path.exists() else "no tokenizer.json in it",
            where=str(path),
            hint=hint,
        )
    others = {name: folder / name for name in (CONFIG, SPECIAL_TOKENS, CHAT_TEMPLATE)}
    return {TOKENIZER: main} | {name: file for name, file in others.items() if file.is_file()}


def read_end_token(files: dict[str, Path]) -> str | None:
    """The end-of-text token that a tokenizer's own files name, if they do.

    Raises:
        UserError: one of the files is no JSON object.
    """
    for name in (CONFIG, SPECIAL_TOKENS):
        if name in files:
            value = read_object(files[name]).get("eos_token")
            if isinstance(value, dict):
                value = value.get("content")
            if isinstance(value, str) and value:
                return value
    return None


def write_config(folder: Path, eos_token: str, special_tokens: list[str], base: dict[str, Any]) -> None:
    """Write ``tokenizer_config.json`` and ``special_tokens_map.json`` beside a ``tokenizer.json``.

    Args:
        folder: where to.
        eos_token: the end-of-text token.
        special_tokens: special tokens without a role.
        base: a configuration to keep, apart from the end-of-text token; empty for a new tokenizer.
    """
    config = base or {
        "tokenizer_class": "PreTrainedTokenizerFast",
        # Otherwise decoding drops the space in "a ." and no longer gives back the text.
        "clean_up_tokenization_spaces": False,
    }
    roles: dict[str, Any] = {"eos_token": eos_token}
    if special_tokens:
        roles["additional_special_tokens"] = special_tokens
    write_object(folder / CONFIG, config | roles)
    write_object(folder / SPECIAL_TOKENS, roles)


def read_object(path: Path) -> dict[str, Any]:
    """A JSON object from a file.

    Raises:
        UserError: it is none.
    """
    try:
        value = json.loads(path.read_text("utf-8"))
    except ValueError as error:
        raise UserError(
            "a file of the tokenizer is no JSON", found=str(error), where=str(path), hint="fetch it anew"
        ) from None
    if not isinstance(value, dict):
        raise UserError(
            "a file of the tokenizer is no JSON object",
            expected="{...}",
            found=type(value).__name__,
            where=str(path),
        )
    return value


def write_object(path: Path, value: dict[str, Any]) -> None:
    """Write a JSON object, readable, with its keys in the order given."""
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", "utf-8")
