"""The plain Llama: one file, read from top to bottom, with the parameter names of Hugging Face's.

Nothing here knows of devices, precision, parallelism or optimisers; those act on the module from outside.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.attention.flex_attention import BlockMask, flex_attention

from textmill.model.config import LlamaConfig

AttentionMask = Tensor | BlockMask | None
"""Which tokens may see which; see :func:`attend`."""


class Llama(nn.Module):
    """A decoder-only language model.

    Args:
        config: its shape.

    Weights are not initialised by construction alone (a model may be built on the ``meta`` device or be about
    to load a checkpoint): call :meth:`initialise`.
    """

    def __init__(self, config: LlamaConfig) -> None:
        super().__init__()
        self.config = config
        self.model = Decoder(config)
        self.lm_head = nn.Linear(config.hidden_size, config.vocab_size, bias=False)
        if config.tie_word_embeddings:
            self.lm_head.weight = self.model.embed_tokens.weight

    def forward(
        self, tokens: Tensor, cache: KeyValueCache | None = None, mask: AttentionMask = None
    ) -> Tensor:
        """Logits of the next token at every position.

        Args:
            tokens: token ids, int64, shape (batch, length).
            cache: keys and values of the tokens before; extended by the call.
            mask: which tokens may see which; every token all before it, if left out.

        Returns:
            Shape (batch, length, vocab_size).
        """
        logits: Tensor = self.lm_head(self.hidden(tokens, cache, mask))
        return logits

    def hidden(
        self, tokens: Tensor, cache: KeyValueCache | None = None, mask: AttentionMask = None
    ) -> Tensor:
        """The residual stream after the last norm, shape (batch, length, hidden_size)."""
        hidden: Tensor = self.model(tokens, cache, mask)
        return hidden

    @torch.no_grad()
    def initialise(self, generator: torch.Generator | None = None) -> None:
        """Put :meth:`fresh_weights` in and compute the rotary table."""
        for (_, parameter), (_, fresh) in zip(
            self.named_parameters(), self.fresh_weights(generator), strict=True
        ):
            parameter.copy_(fresh)
        self.model.fill_rotary()

    def fresh_weights(self, generator: torch.Generator | None = None) -> Iterator[tuple[str, Tensor]]:
        """Draw weights on the CPU, one by one, in the order of :meth:`named_parameters`.

        Matrices are normal with standard deviation ``initializer_range``; those that write into the residual
        stream (``o_proj``, ``down_proj``) start at zero, so that every block begins as the identity
        (https://arxiv.org/abs/2203.03466, appendix D.2, proposes zero for the output layer in the same spirit).
        Norms start at one.
        """
        for name, parameter in self.named_parameters():
            fresh = torch.empty(parameter.shape, dtype=torch.float32, device="cpu")
            if name.endswith(("o_proj.weight", "down_proj.weight")):
                yield name, fresh.zero_()
            elif parameter.ndim == 1:
                yield name, fresh.fill_(1.0)
            else:
                yield name, fresh.normal_(0.0, self.config.initializer_range, generator=generator)


class Decoder(nn.Module):
    """Embeddings, blocks, last norm."""

    cos: Tensor
    sin: Tensor

    def __init__(self, config: LlamaConfig) -> None:
        super().__init__()
        self.config = config
        self.embed_tokens = nn.Embedding(config.vocab_size, config.hidden_size)
        self.layers = nn.ModuleList(Block(config) for _ in range(config.num_hidden_layers))
        self.norm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        table = torch.empty(config.max_position_embeddings, config.head_dim)
        self.register_buffer("cos", table, persistent=False)
        self.register_buffer("sin", table.clone(), persistent=False)
        self.fill_rotary()

    def forward(self, tokens: Tensor, cache: KeyValueCache | None, mask: AttentionMask = None) -> Tensor:
        """Tokens (batch, length) to the normed residual stream (batch, length, hidden_size)."""
        start = cache.length if cache is not None else 0
        stop = start + tokens.shape[1]
        cos, sin = self.cos[start:stop], self.sin[start:stop]
        x = self.embed_tokens(tokens)
        for index, layer in enumerate(self.layers):
            x = layer(x, cos, sin, mask, cache, index)
        if cache is not None:
            cache.length = stop
        normed: Tensor = self.norm(x)
        return normed

    @torch.no_grad()
    def fill_rotary(self) -> None:
        """Compute the tables of cosines and sines, in float32 (after ``to_empty`` they hold anything)."""
        if self.cos.is_meta:
            return
        size, device = self.config.head_dim, self.cos.device
        exponents = torch.arange(0, size, 2, dtype=torch.float32, device=device) / size
        frequencies = 1.0 / (self.config.rope_theta**exponents)
        positions = torch.arange(self.config.max_position_embeddings, dtype=torch.float32, device=device)
        angles = torch.outer(positions, frequencies).repeat(1, 2)
        self.cos.copy_(angles.cos())
        self.sin.copy_(angles.sin())


class Block(nn.Module):
    """Attention, then MLP, each on a normed copy of the stream and added to it."""

    def __init__(self, config: LlamaConfig) -> None:
        super().__init__()
        self.self_attn = Attention(config)
        self.mlp = MLP(config)
        self.input_layernorm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.post_attention_layernorm = RMSNorm(config.hidden_size, config.rms_norm_eps)

    def forward(
        self,
        x: Tensor,
        cos: Tensor,
        sin: Tensor,
        mask: AttentionMask,
        cache: KeyValueCache | None,
        index: int,
    ) -> Tensor:
        """The stream after this block, shape (batch, length, hidden_size); ``index`` is its place in the cache."""
        x = x + self.self_attn(self.input_layernorm(x), cos, sin, mask, cache, index)
        output: Tensor = x + self.mlp(self.post_attention_layernorm(x))
        return output


class Attention(nn.Module):
    """Causal grouped-query attention with rotary positions."""

    def __init__(self, config: LlamaConfig) -> None:
        super().__init__()
        self.heads, self.kv_heads = config.num_attention_heads, config.num_key_value_heads
        self.head_dim = config.head_dim
        self.q_proj = nn.Linear(config.hidden_size, self.heads * self.head_dim, bias=False)
        self.k_proj = nn.Linear(config.hidden_size, self.kv_heads * self.head_dim, bias=False)
        self.v_proj = nn.Linear(config.hidden_size, self.kv_heads * self.head_dim, bias=False)
        self.o_proj = nn.Linear(self.heads * self.head_dim, config.hidden_size, bias=False)
        if config.qk_norm:
            self.q_norm = RMSNorm(self.head_dim, config.rms_norm_eps)
            self.k_norm = RMSNorm(self.head_dim, config.rms_norm_eps)
        self.qk_norm = config.qk_norm

    def forward(
        self,
        x: Tensor,
        cos: Tensor,
        sin: Tensor,
        mask: AttentionMask,
        cache: KeyValueCache | None,
        index: int,
    ) -> Tensor:
        """What attention adds to the stream, shape (batch, length, hidden_size)."""
        batch, length, _ = x.shape
        q = self.q_proj(x).view(batch, length, self.heads, self.head_dim).transpose(1, 2)
        k = self.k_proj(x).view(batch, length, self.kv_heads, self.head_dim).transpose(1, 2)
        v = self.v_proj(x).view(batch, length, self.kv_heads, self.head_dim).transpose(1, 2)
        if self.qk_norm:
            q, k = self.q_norm(q), self.k_norm(k)
        q, k = rotate(q, cos, sin), rotate(k, cos, sin)
        if cache is not None:
            k, v = cache.extend(index, k, v)
            mask = cache.mask(length)
        out = attend(q, k, v, mask)
        output: Tensor = self.o_proj(out.transpose(1, 2).reshape(batch, length, -1))
        return output


class MLP(nn.Module):
    """SwiGLU (https://arxiv.org/abs/2002.05202)."""

    def __init__(self, config: LlamaConfig) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(config.hidden_size, config.intermediate_size, bias=False)
        self.up_proj = nn.Linear(config.hidden_size, config.intermediate_size, bias=False)
        self.down_proj = nn.Linear(config.intermediate_size, config.hidden_size, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """What the MLP adds to the stream, shape (batch, length, hidden_size)."""
        output: Tensor = self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))
        return output


class RMSNorm(nn.Module):
    """Division by the root mean square, computed in float32, times a weight (https://arxiv.org/abs/1910.07467)."""

    def __init__(self, size: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        """Normed ``x``, of its shape and type."""
        return self.weight * F.rms_norm(x.float(), (x.shape[-1],), eps=self.eps).to(x.dtype)


def attend(q: Tensor, k: Tensor, v: Tensor, mask: AttentionMask) -> Tensor:
    """Attention of queries to keys and values, shape (batch, heads, length, head_dim).

    Args:
        q: shape (batch, heads, length, head_dim), in float16 or bfloat16 or float32 as ``v``.
        k: shape (batch, kv_heads, tokens, head_dim); ``kv_heads`` divides ``heads``.
        v: the same shape.
        mask: bool and broadcastable to (batch, heads, length, tokens), or the blocks of FlexAttention; None: plain
            causality, or a single query that sees everything.
    """
    grouped = q.shape[1] != k.shape[1]
    if isinstance(mask, BlockMask):
        out = _flex_attention(q.is_cuda)(q, k, v, block_mask=mask, enable_gqa=grouped)
        assert isinstance(out, Tensor)
        return out
    causal = mask is None and q.shape[2] > 1
    return F.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=causal, enable_gqa=grouped)


def _flex_attention(on_gpu: bool) -> Callable[..., Any]:
    """FlexAttention; uncompiled it would hold all scores, so outside of compiled blocks it is compiled by itself."""
    if on_gpu and not torch.compiler.is_compiling():
        return _compiled_flex_attention()
    plain: Callable[..., Any] = flex_attention
    return plain


@cache
def _compiled_flex_attention() -> Callable[..., Any]:
    compiled: Callable[..., Any] = torch.compile(flex_attention, dynamic=False)
    return compiled


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotary positions (https://arxiv.org/abs/2104.09864) in the half-split layout of Hugging Face's Llama.

    Args:
        x: queries or keys, shape (batch, heads, length, head_dim).
        cos: shape (length, head_dim), float32.
        sin: the same shape.
    """
    first, second = x.chunk(2, -1)
    rotated: Tensor = x * cos + torch.cat((-second, first), -1) * sin
    return rotated.to(x.dtype)


class KeyValueCache:
    """Keys and values of the tokens seen so far, for generation.

    Args:
        config: shape of the model.
        batch: sequences.
        capacity: most tokens to hold; the model's context if left out.
        device: where the model lies.
        dtype: what the model computes in.
    """

    def __init__(
        self,
        config: LlamaConfig,
        batch: int = 1,
        capacity: int | None = None,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> None:
        self.capacity = capacity or config.max_position_embeddings
        self.length = 0
        shape = (config.num_hidden_layers, batch, config.num_key_value_heads, self.capacity, config.head_dim)
        self.keys = torch.empty(shape, device=device, dtype=dtype)
        self.values = torch.empty(shape, device=device, dtype=dtype)

    def extend(self, layer: int, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Store the newest tokens of a layer; returns keys and values of all (batch, kv_heads, tokens, head_dim)."""
        stop = self.length + keys.shape[2]
        self.keys[layer, :, :, self.length : stop] = keys
        self.values[layer, :, :, self.length : stop] = values
        return self.keys[layer, :, :, :stop], self.values[layer, :, :, :stop]

    def mask(self, new: int) -> Tensor | None:
        """Which keys ``new`` further queries may see, bool (new, tokens); None where plain causality says it."""
        if new == 1 or self.length == 0:
            return None
        queries = torch.arange(self.length, self.length + new, device=self.keys.device)
        return queries[:, None] >= torch.arange(self.length + new, device=self.keys.device)[None, :]
