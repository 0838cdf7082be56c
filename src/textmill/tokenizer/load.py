"""Opening a tokenizer for encoding, in whatever form it lies there."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from textmill.errors import UserError
from textmill.tokenizer.encode import Encoder, HuggingFaceEncoder
from textmill.tokenizer.folder import MERGES, TOKENIZER, own_notes, read_end_token, tokenizer_files
from textmill.tokenizer.patterns import PATTERNS

Form = Literal["huggingface", "sentencepiece", "tiktoken"]


@dataclass(frozen=True)
class FoundTokenizer:
    """A tokenizer as it lies on this machine.

    Attributes:
        files: its files by role.
        form: whose format the deciding file has.
        content: the ``tokenizer.json``: the file itself, or what is made of another form.
        model: the bytes of a SentencePiece model, whose own library encodes.
        eos_token: the end-of-text token, asked for or named by the files.
    """

    files: dict[str, Path]
    form: Form
    content: str
    model: bytes | None
    eos_token: str | None


def load_encoder(
    path: Path | str,
    eos_token: str | None = None,
    *,
    compiled: bool = False,
    pattern: str | None = None,
    needs_eos: bool = True,
) -> Encoder:
    """The encoder for the tokenizer at ``path``: see :func:`textmill.tokenizer.folder.tokenizer_files`.

    Args:
        path: where the tokenizer lies on this machine, or ``hf://owner/name``.
        eos_token: the end-of-text token, when the tokenizer's own files shall not decide.
        compiled: use the project's own kernels if they serve this tokenizer. Ids are the same; the first
            use on a machine takes some ten seconds to compile.
        pattern: how texts are cut, for a tiktoken rank file of an unknown name.
        needs_eos: refuse a tokenizer without an end-of-text token.

    Raises:
        UserError: there is no tokenizer, it cannot be read, or it has no end-of-text token.
    """
    found = find_tokenizer(path, eos_token, pattern=pattern)
    if found.eos_token is None and needs_eos:
        raise _no_end_token(found, path)
    try:
        if found.model is not None:
            from textmill.tokenizer.sentencepiece_encode import SentencePieceEncoder

            return SentencePieceEncoder(found.model, found.eos_token)
        library = HuggingFaceEncoder(found.content, found.eos_token)
        return _compiled(found.content, library) if compiled else library
    except ValueError as error:
        raise _unusable(found.files[TOKENIZER], str(error)) from None


def find_tokenizer(
    path: Path | str, eos_token: str | None = None, *, pattern: str | None = None
) -> FoundTokenizer:
    """Read the tokenizer at ``path`` without opening it.

    Raises:
        UserError: there is none, or it is damaged.
    """
    files = tokenizer_files(path)
    main = files[TOKENIZER]
    eos_token = eos_token or read_end_token(files)
    try:
        raw = main.read_bytes()
    except OSError as error:
        raise _unusable(main, str(error)) from None
    form = _form(raw)
    try:
        if form == "huggingface":
            text = raw.decode()
            if MERGES in files and main.name == "vocab.json":
                text = _of_old_files(text, files[MERGES])
            return FoundTokenizer(files, form, text, None, eos_token)
        if form == "sentencepiece":
            return _sentencepiece(files, raw, eos_token)
        return _tiktoken(files, raw, eos_token, pattern)
    except ValueError as error:
        raise _unusable(main, str(error)) from None


def why_not_compiled(found: FoundTokenizer) -> str | None:
    """Why the compiled kernels do not serve a tokenizer; None when they do.

    Raises:
        UserError: it cannot be read.
    """
    from textmill.tokenizer.fast.encoder import why_not

    if found.model is not None:
        return "it is a SentencePiece model"
    try:
        return why_not(json.loads(found.content), HuggingFaceEncoder(found.content, found.eos_token))
    except ValueError as error:
        raise _unusable(found.files[TOKENIZER], str(error)) from None


def _form(raw: bytes) -> Form:
    start = raw[:4096].lstrip(b"\xef\xbb\xbf \t\r\n")
    if start[:1] in (b"{", b"["):
        return "huggingface"
    words = start.split(b"\n", 1)[0].split()
    if len(words) == 2 and words[1].isdigit() and words[0].isascii():
        return "tiktoken"
    return "sentencepiece"


def _sentencepiece(files: dict[str, Path], raw: bytes, eos_token: str | None) -> FoundTokenizer:
    from textmill.tokenizer.sentencepiece_encode import SentencePieceEncoder
    from textmill.tokenizer.sentencepiece_model import tokenizer_json

    try:
        if not raw:
            raise ValueError("it is empty")
        content = tokenizer_json(raw)
    except ValueError as error:
        if files[TOKENIZER].suffix in (".json", ".tiktoken"):
            form = "JSON" if files[TOKENIZER].suffix == ".json" else "tiktoken rank file"
            raise ValueError(f"it is no {form}, and no SentencePiece model either") from None
        raise error from None
    own = SentencePieceEncoder(raw).eos_token or None
    return FoundTokenizer(files, "sentencepiece", content, raw, eos_token or own)


def _tiktoken(
    files: dict[str, Path], raw: bytes, eos_token: str | None, pattern: str | None
) -> FoundTokenizer:
    from textmill.tokenizer.tiktoken_file import published, read_ranks

    main = files[TOKENIZER]
    ranks = read_ranks(raw)
    known, special = published(main.name, ranks)
    notes = own_notes(files)
    if isinstance(notes.get("special_tokens"), dict):
        known, special = notes.get("pattern"), notes["special_tokens"]
    pattern = pattern or known
    if pattern not in PATTERNS:
        raise UserError(
            "a tiktoken rank file does not say how texts are cut",
            expected=f"one of {', '.join(PATTERNS)}",
            found=f"a file of {len(ranks):,} ranks under a name that says nothing",
            where=str(main),
            hint="name it: tokenizer: {use: ..., pattern: cl100k}, or --pattern cl100k",
        )
    if eos_token is not None and eos_token not in special:
        # The file lists ordinary tokens only: the end token gets the first free id.
        special = {**special, eos_token: 1 + max([*ranks.values(), *special.values()])}
    eos_token = eos_token or next(iter(special), None)
    return FoundTokenizer(
        files, "tiktoken", _ranks_as_json(raw, pattern, tuple(special.items())), None, eos_token
    )


@lru_cache(maxsize=2)
def _ranks_as_json(raw: bytes, pattern: str, special: tuple[tuple[str, int], ...]) -> str:
    from textmill.tokenizer.tiktoken_file import read_ranks, tokenizer_of_ranks

    return tokenizer_of_ranks(read_ranks(raw), pattern, dict(special))


def _of_old_files(vocabulary: str, merges: Path) -> str:
    """A ``tokenizer.json`` of GPT-2's two files.

    Raises:
        ValueError: they hold another kind of tokenizer.
    """
    from textmill.tokenizer.fast.encoder import byte_alphabet
    from textmill.tokenizer.folder import read_object

    words = json.loads(vocabulary)
    if any(character not in words for character in byte_alphabet()):
        raise ValueError(
            "vocab.json is no vocabulary of bytes as GPT-2's; save it as tokenizer.json with transformers"
        )
    pairs = [
        line.split(" ") for line in merges.read_text("utf-8").splitlines() if not line.startswith("#version")
    ]
    named: list[Any] = []
    beside = merges.parent / "special_tokens_map.json"
    if beside.is_file():
        for value in read_object(beside).values():
            named += value if isinstance(value, list) else [value]
    spelled = {value["content"] if isinstance(value, dict) else value for value in named} | {"<|endoftext|>"}
    special = sorted((words[token], token) for token in spelled if token in words)
    added = [
        {"id": number, "content": token, "single_word": False, "lstrip": False, "rstrip": False,
         "normalized": False, "special": True}
        for number, token in special
    ]  # fmt: skip
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    model = {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None,
             "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False, "ignore_merges": False,
             "vocab": words, "merges": [pair for pair in pairs if len(pair) == 2]}  # fmt: skip
    return json.dumps(
        {"version": "1.0", "truncation": None, "padding": None, "added_tokens": added, "normalizer": None,
         "pre_tokenizer": byte_level, "post_processor": None, "decoder": byte_level, "model": model},
        ensure_ascii=False,
    )  # fmt: skip


def _compiled(content: str, library: HuggingFaceEncoder) -> Encoder:
    from textmill.tokenizer.fast.check import CheckedEncoder
    from textmill.tokenizer.fast.encoder import FastEncoder, why_not

    if why_not(json.loads(content), library) is not None:
        return library
    return CheckedEncoder(FastEncoder(content, library.eos_token or None), library)


def _no_end_token(found: FoundTokenizer, path: Path | str) -> UserError:
    if found.form == "sentencepiece":
        expected, said = "an end symbol in the model, such as </s>", "a SentencePiece model without one"
    elif found.form == "tiktoken":
        expected, said = "a published file, whose special tokens are known", "ranks of ordinary tokens only"
    else:
        expected = "eos_token in tokenizer_config.json or special_tokens_map.json"
        added = [token["content"] for token in json.loads(found.content).get("added_tokens", ())]
        said = f"special tokens {', '.join(added[:8])}" if added else "no special tokens at all"
    return UserError(
        "the tokenizer does not say which token ends a text",
        expected=expected,
        found=said,
        where=str(path),
        hint="name it in the recipe: tokenizer: {use: ..., eos_token: '</s>'}, or with --eos-token",
    )


def _unusable(path: Path, reason: str) -> UserError:
    return UserError(
        "the tokenizer cannot be used",
        expected="a tokenizer.json, a SentencePiece tokenizer.model or a tiktoken rank file",
        found=reason,
        where=str(path),
        hint="check the path and fetch the file anew, or name another eos_token under tokenizer:",
    )
