"""The folder that holds a tokenizer, in the files that transformers' ``AutoTokenizer`` reads.

* ``tokenizer.json``: the whole tokenizer, in the format of the tokenizers library;
* ``tokenizer.model``: a SentencePiece model, beside a ``tokenizer.json`` made from it;
* ``tokenizer.tiktoken``: the same entries as tiktoken's rank file, where that can express them;
* ``tokenizer_config.json``: which class loads it, which token ends a text, the chat template;
* ``special_tokens_map.json``: the roles of special tokens.

Taken over from elsewhere, a tokenizer may also be a bare ``tokenizer.model`` (SentencePiece's, or LLaMA-3's rank
file of that name), a ``.tiktoken`` file, GPT-2's ``vocab.json`` with ``merges.txt``, or a name on the Hugging
Face Hub (``hf://owner/name``).
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from textmill.errors import UserError

TOKENIZER = "tokenizer.json"
SENTENCEPIECE = "tokenizer.model"
TIKTOKEN = "tokenizer.tiktoken"
CONFIG = "tokenizer_config.json"
SPECIAL_TOKENS = "special_tokens_map.json"
CHAT_TEMPLATE = "chat_template.jinja"
MERGES = "merges.txt"
_COMPANIONS = (CONFIG, SPECIAL_TOKENS, CHAT_TEMPLATE, MERGES, SENTENCEPIECE, TIKTOKEN)
# In order of preference.
_MAIN = (TOKENIZER, SENTENCEPIECE, "sentencepiece.bpe.model", "spiece.model", "vocab.json")

OWN = "textmill"
"""Key in ``tokenizer_config.json`` under which a trained folder says which of its files decides ids."""

HUB = re.compile(r"hf:/{1,2}(?P<name>[\w.-]+/[\w.-]+)(?:@(?P<revision>[\w./-]+))?")


def tokenizer_files(path: Path | str) -> dict[str, Path]:
    """The files of the tokenizer at ``path``, by their role.

    ``tokenizer.json`` (:data:`TOKENIZER`) is the role of the file that decides ids, whatever its name and form
    are; the others stand under their own names.

    Args:
        path: a folder, a tokenizer's file, or ``hf://owner/name`` (``@revision`` may follow).

    Raises:
        UserError: nothing there that can be read.
    """
    name = HUB.fullmatch(str(path))
    if name is not None:
        from textmill.tokenizer.hub import from_hub

        path = from_hub(name["name"], name["revision"])
    path = Path(path).expanduser()
    folder = path if path.is_dir() else path.parent
    main = _main(path) if path.is_dir() else path
    if main is None or not main.is_file():
        exists = path.exists()
        raise UserError(
            "there is no tokenizer to use",
            expected=f"a folder with {TOKENIZER} or {SENTENCEPIECE}, one of these files, or a .tiktoken file",
            found=_found(path) if exists else "no such file",
            where=str(path),
            hint=_hint(path, exists),
        )
    others = {name: folder / name for name in _COMPANIONS if (folder / name) != main}
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


def own_notes(files: dict[str, Path]) -> dict[str, Any]:
    """What the mill wrote about a folder of its own; empty for others."""
    notes = read_object(files[CONFIG]).get(OWN) if CONFIG in files else None
    return notes if isinstance(notes, dict) else {}


def write_config(
    folder: Path,
    eos_token: str,
    special_tokens: list[str],
    base: dict[str, Any],
    *,
    chat_template: str | None = None,
    notes: dict[str, Any] | None = None,
    roles: dict[str, str] | None = None,
) -> None:
    """Write ``tokenizer_config.json`` and ``special_tokens_map.json`` beside a ``tokenizer.json``.

    Args:
        folder: where to.
        eos_token: the end-of-text token.
        special_tokens: special tokens without a role.
        base: a configuration to keep, apart from the end-of-text token; empty for a new tokenizer.
        chat_template: how a conversation becomes text, for ``apply_chat_template``.
        notes: what :func:`own_notes` gives back.
        roles: further roles, such as ``bos_token``.
    """
    config = base or {
        "tokenizer_class": "PreTrainedTokenizerFast",
        # Otherwise decoding drops the space in "a ." and no longer gives back the text.
        "clean_up_tokenization_spaces": False,
    }
    named: dict[str, Any] = {"eos_token": eos_token, **(roles or {})}
    if special_tokens:
        named["additional_special_tokens"] = special_tokens
    extra: dict[str, Any] = {} if chat_template is None else {"chat_template": chat_template}
    if notes:
        extra[OWN] = notes
    write_object(folder / CONFIG, config | named | extra)
    write_object(folder / SPECIAL_TOKENS, named)


def read_object(path: Path) -> dict[str, Any]:
    """The JSON object in a file.

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


def _main(folder: Path) -> Path | None:
    config = folder / CONFIG
    notes = own_notes({CONFIG: config}) if config.is_file() else {}
    for name in (notes.get("ids"), *_MAIN):
        if isinstance(name, str) and (folder / name).is_file():
            return folder / name
    others = sorted([*folder.glob("*.tiktoken"), *folder.glob("*.model")])
    return others[0] if len(others) == 1 else None


def _found(path: Path) -> str:
    if not path.is_dir():
        return "something that is no file"
    names = sorted(file.name for file in path.iterdir())
    return (
        "only " + ", ".join(names[:5]) + (", ..." if len(names) > 5 else "") if names else "an empty folder"
    )


def _hint(path: Path, exists: bool) -> str:
    train = "or train one: tokenizer: {train: {vocab_size: 32_000}}"
    if path.is_dir() and (path / "tokenizer").is_dir() and _main(path / "tokenizer") is not None:
        return f"this is a run; its tokenizer is {path / 'tokenizer'}"
    if exists and path.is_dir() and (path / "vocab.txt").is_file():
        return "a vocabulary in the old form; load and save it once with transformers' AutoTokenizer"
    if not exists and re.fullmatch(r"[\w-][\w.-]*/[\w.-]+", "/".join(path.parts[-2:])):
        return f"a name on the Hugging Face Hub is written hf://{'/'.join(path.parts[-2:])}; {train}"
    return f"give a folder in Hugging Face's form, {train}"
