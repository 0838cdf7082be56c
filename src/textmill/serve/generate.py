"""Continuing a text with the model in a Hugging Face folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from textmill.errors import UserError
from textmill.model.extra import require_torch

if TYPE_CHECKING:
    from tokenizers import Tokenizer

    from textmill.model.llama import Llama


def generate(
    model_folder: Path | str,
    prompt: str,
    *,
    max_new_tokens: int = 256,
    temperature: float = 0.8,
    top_k: int = 50,
    top_p: float = 0.95,
    seed: int | None = None,
    device: str = "auto",
) -> Iterator[str]:
    """Continue ``prompt``; the prompt itself is not repeated.

    Args:
        model_folder: holds config.json, model.safetensors and tokenizer.json.
        prompt: any text; an empty one asks for the beginning of a document.
        max_new_tokens: most tokens to draw.
        temperature: 0 always takes the most probable token.
        top_k: draw among this many most probable tokens; 0: among all.
        top_p: draw among the most probable tokens that reach this probability together; 1: among all.
        seed: the same seed gives the same text on the same machine; None another one every time.
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.

    Yields:
        Pieces of text as they come, each of whole characters. Ends at the end-of-document token.

    Raises:
        UserError: torch is missing, the folder holds no plain Llama or no tokenizer, or a number is out of range.
    """
    yield from Generator(model_folder, device=device).stream(
        prompt, max_new_tokens=max_new_tokens, temperature=temperature, top_k=top_k, top_p=top_p, seed=seed
    )


class Generator:
    """A model and its tokenizer, loaded once for many texts.

    Args:
        model_folder: holds config.json, model.safetensors and tokenizer.json.
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.

    Raises:
        UserError: torch is missing, or the folder holds no plain Llama or no tokenizer.
    """

    def __init__(self, model_folder: Path | str, *, device: str = "auto") -> None:
        require_torch()
        from textmill.model.device import pick_device
        from textmill.model.hf import load_folder

        folder = Path(model_folder)
        if (folder / "adapter_config.json").is_file():
            raise UserError(
                "this folder holds adapters, not a model",
                where=str(folder),
                expected="a model with its own weights",
                hint=f"merge them first: textmill export --merge {folder} --out MERGED",
            )
        self.model: Llama = load_folder(folder, device=pick_device(device))
        self.tokenizer = load_tokenizer(folder)

    def stream(
        self,
        prompt: str,
        *,
        max_new_tokens: int = 256,
        temperature: float = 0.8,
        top_k: int = 50,
        top_p: float = 0.95,
        seed: int | None = None,
    ) -> Iterator[str]:
        """Continue ``prompt``; see :func:`generate`."""
        from textmill.model.sampling import sample_tokens

        config = self.model.config
        tokens = list(self.tokenizer.encode(prompt, add_special_tokens=False).ids)
        if config.bos_token_id is not None:
            tokens.insert(0, config.bos_token_id)  # every document of the training began after one
        drawn = sample_tokens(
            self.model,
            tokens,
            max_new_tokens=max_new_tokens,
            temperature=temperature,
            top_k=top_k,
            top_p=top_p,
            seed=seed,
            stop=() if config.eos_token_id is None else (config.eos_token_id,),
        )
        yield from whole_characters(self.tokenizer, drawn)


def whole_characters(tokenizer: Tokenizer, tokens: Iterator[int]) -> Iterator[str]:
    """Text of a stream of tokens, in pieces of whole characters.

    A byte-level token may hold part of a character; its piece waits for the rest. If the stream ends in the middle
    of a character, that half is left out.
    """
    from tokenizers.decoders import DecodeStream

    stream = DecodeStream(skip_special_tokens=True)
    for token in tokens:
        piece = stream.step(tokenizer, token)
        if piece:
            yield piece


def load_tokenizer(folder: Path) -> Tokenizer:
    """Read ``tokenizer.json`` of a folder.

    Raises:
        UserError: it is missing or broken.
    """
    from tokenizers import Tokenizer

    path = folder / "tokenizer.json"
    if not path.is_file():
        raise UserError(
            "the model has no tokenizer",
            where=str(path),
            expected="tokenizer.json beside the weights",
            found="nothing",
            hint="copy the tokenizer's files into the model's folder",
        )
    try:
        return Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises plain Exception
        raise UserError("the tokenizer cannot be read", where=str(path), found=str(error)) from None
