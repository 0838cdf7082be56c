"""Drawing tokens from a model, one after the other, with a key-value cache."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from textmill.errors import UserError
from textmill.model.llama import KeyValueCache, Llama


@torch.no_grad()
def sample_tokens(
    model: Llama,
    prompt: Sequence[int],
    *,
    max_new_tokens: int = 256,
    temperature: float = 0.8,
    top_k: int = 50,
    top_p: float = 0.95,
    seed: int | None = None,
    stop: Sequence[int] = (),
) -> Iterator[int]:
    """Continue a sequence of tokens.

    When the context is full, the older half of it is forgotten and the rest read again, so a continuation may be
    longer than the model's context.

    Args:
        model: the model, on any device.
        prompt: at least one token.
        max_new_tokens: most tokens to draw.
        temperature: logits are divided by it; 0 always takes the most probable token.
        top_k: draw among this many most probable tokens; 0: among all.
        top_p: draw among the most probable tokens that reach this probability together
            (https://arxiv.org/abs/1904.09751); 1: among all.
        seed: of the draws; None takes another one every time.
        stop: tokens that end the continuation; they are not given out.

    Yields:
        Token ids.

    Raises:
        UserError: an empty prompt, or a number out of range.
    """
    _check(prompt, model.config.vocab_size, temperature, top_k, top_p)
    model.eval()
    parameter = next(model.parameters())
    device, context = parameter.device, model.config.max_position_embeddings
    generator = torch.Generator()
    if seed is None:
        generator.seed()
    else:
        generator.manual_seed(seed)
    seen = list(prompt)[-context:]
    cache = KeyValueCache(model.config, 1, context, device, parameter.dtype)
    unread = seen
    for _ in range(max_new_tokens):
        if cache.length + len(unread) > context:
            cache.length = 0
            unread = seen[-(context // 2) :]
        hidden = model.hidden(torch.tensor([unread], device=device), cache)
        logits = model.lm_head(hidden[:, -1]).float().cpu().squeeze(0)
        token = draw(logits, generator, temperature=temperature, top_k=top_k, top_p=top_p)
        if token in stop:
            return
        yield token
        seen = [*seen, token][-context:]
        unread = [token]


def draw(logits: Tensor, generator: torch.Generator, *, temperature: float, top_k: int, top_p: float) -> int:
    """Draw one token from logits of shape (vocab_size,); top-k is applied before top-p, as transformers does."""
    if temperature == 0:
        return int(logits.argmax())
    count = min(top_k, len(logits)) if top_k else len(logits)
    values, tokens = torch.topk(logits / temperature, count)
    probabilities = torch.softmax(values, -1)
    before = probabilities.cumsum(-1) - probabilities  # probability of all better tokens
    probabilities[before >= top_p] = 0.0
    return int(tokens[torch.multinomial(probabilities, 1, generator=generator)])


def _check(prompt: Sequence[int], vocab_size: int, temperature: float, top_k: int, top_p: float) -> None:
    for name, value, fine, expected in (
        ("prompt", f"{len(prompt)} tokens", len(prompt) > 0, "at least one token"),
        ("temperature", temperature, temperature >= 0, "0 or more"),
        ("top_k", top_k, top_k >= 0, "0 or more"),
        ("top_p", top_p, 0 < top_p <= 1, "above 0, at most 1"),
    ):
        if not fine:
            raise UserError(f"{name} is out of range", expected=expected, found=str(value))
    if max(prompt) >= vocab_size or min(prompt) < 0:
        raise UserError(
            "the prompt holds tokens that the model does not know",
            expected=f"token ids from 0 to {vocab_size - 1}",
            found=f"{min(prompt)} to {max(prompt)}",
            hint="use the tokenizer that the model was trained with",
        )
