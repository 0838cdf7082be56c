"""Continuations of held-out beginnings: what the model says when it is left alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from tokenizers import Tokenizer

from textmill.evaluate.perplexity import TokenStream
from textmill.evaluate.settings import SampleSettings
from textmill.model.llama import Llama
from textmill.model.sampling import sample_tokens

_SEARCH_TOKENS = 1 << 20


def continue_beginnings(
    model: Llama, tokenizer: Tokenizer, held_out: TokenStream, settings: SampleSettings, seed: int
) -> list[dict[str, Any]]:
    """Continue the beginnings of the first held-out documents that are long enough.

    Args:
        model: the model.
        tokenizer: turns tokens into text.
        held_out: the split.
        settings: how many, how long, how drawn.
        seed: of the draws; document i is drawn with ``seed + i``.

    Returns:
        Per document: ``prompt``, ``continuation``, ``original`` (how the document goes on), and the settings.
    """
    samples = []
    documents = beginnings(held_out, settings.count, settings.prompt_tokens, settings.max_new_tokens)
    for ordinal, document in enumerate(documents):
        cut = whole_words(tokenizer, document, settings.prompt_tokens)
        prompt, original = document[:cut], document[cut:]
        drawn = sample_tokens(
            model,
            [held_out.eos_id, *prompt],  # every document of the training began after an EOS
            max_new_tokens=settings.max_new_tokens,
            temperature=settings.temperature,
            top_k=settings.top_k,
            top_p=settings.top_p,
            seed=seed + ordinal,
            stop=(held_out.eos_id,),
        )
        samples.append(
            {
                "prompt": tokenizer.decode(prompt),
                "continuation": tokenizer.decode(list(drawn)),
                "original": tokenizer.decode(original),
                "temperature": settings.temperature,
                "top_k": settings.top_k,
                "top_p": settings.top_p,
                "seed": seed + ordinal,
            }
        )
    return samples


def whole_words(tokenizer: Tokenizer, document: Sequence[int], most: int) -> int:
    """The number of tokens, at most ``most``, after which a word of ``document`` begins.

    ``most`` itself where none begins in the second half of it, as in scripts written without spaces.
    """
    for cut in range(most, most // 2, -1):
        # Decoded behind another token, since decoders take a space away from the first.
        before, both = (tokenizer.decode(list(document[cut - 1 : end])) for end in (cut, cut + 1))
        if both[len(before) :][:1].isspace():
            return cut
    return most


def beginnings(held_out: TokenStream, count: int, prompt_tokens: int, more: int) -> list[list[int]]:
    """Up to ``prompt_tokens + more`` tokens of the first ``count`` documents of at least twice ``prompt_tokens``.

    Only the first million tokens of the split are searched.
    """
    stream = held_out.read(0, min(held_out.tokens, _SEARCH_TOKENS))
    ends = np.flatnonzero(stream == held_out.eos_id)
    found: list[list[int]] = []
    start = 0
    for end in ends.tolist():
        if len(found) == count:
            break
        if end - start >= 2 * prompt_tokens:
            found.append(stream[start : min(end, start + prompt_tokens + more)].tolist())
        start = end + 1
    return found
