"""Opening the tokenizer of a run for encoding."""

from __future__ import annotations

import json
from pathlib import Path

from textmill.errors import UserError
from textmill.tokenizer.encode import Encoder, HuggingFaceEncoder
from textmill.tokenizer.folder import TOKENIZER, read_end_token, tokenizer_files


def load_encoder(path: Path, eos_token: str | None = None, *, compiled: bool = False) -> Encoder:
    """The encoder for the tokenizer at ``path``: a folder, or a ``tokenizer.json`` in its folder.

    Args:
        path: where the tokenizer lies on this machine.
        eos_token: the end-of-text token, when the tokenizer's own files shall not decide.
        compiled: use the project's own kernels if they serve this tokenizer. Ids are the same; the first
            use on a machine takes some ten seconds to compile.

    Raises:
        UserError: there is no tokenizer, it cannot be read, or it has no end-of-text token.
    """
    files = tokenizer_files(path)
    eos_token = eos_token or read_end_token(files)
    if eos_token is None:
        raise UserError(
            "the tokenizer does not say which token ends a text",
            expected="eos_token in tokenizer_config.json or special_tokens_map.json",
            where=str(path),
            hint="name it in the recipe: tokenizer: {use: ..., eos_token: '</s>'}",
        )
    try:
        content = files[TOKENIZER].read_text("utf-8")
        library = HuggingFaceEncoder(content, eos_token)
        return _compiled(content, library) if compiled else library
    except ValueError as error:
        raise UserError(
            "the tokenizer cannot be used",
            found=str(error),
            where=str(files[TOKENIZER]),
            hint="check the path, or name another eos_token under tokenizer:",
        ) from None


def _compiled(content: str, library: HuggingFaceEncoder) -> Encoder:
    from textmill.tokenizer.fast.check import CheckedEncoder
    from textmill.tokenizer.fast.encoder import FastEncoder, why_not

    if why_not(json.loads(content), library) is not None:
        return library
    return CheckedEncoder(FastEncoder(content, library.eos_token), library)
