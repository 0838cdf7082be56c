"""GGUF, the format of llama.cpp and its relatives: a model's folder in one file, weights and tokenizer together.

Written through the gguf package (https://github.com/ggml-org/ggml/blob/master/docs/gguf.md). Two things differ from
Hugging Face's layout: names (``blk.0.attn_q.weight``), and the rows of query and key matrices, which llama.cpp wants in
the order of the original rotary positions (pairs of neighbours instead of halves).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from textmill.errors import UserError
from textmill.export.gguf_vocabulary import Vocabulary, read_vocabulary
from textmill.model.config import LlamaConfig
from textmill.model.hf import load_config, read_tensors
from textmill.model.llama import Llama

Precision = Literal["f32", "f16", "bf16", "q8_0"]
PRECISIONS: tuple[Precision, ...] = ("f32", "f16", "bf16", "q8_0")

_TYPES = {"f32": "ALL_F32", "f16": "MOSTLY_F16", "bf16": "MOSTLY_BF16", "q8_0": "MOSTLY_Q8_0"}
_BLOCK_NAMES = {
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "self_attn.q_norm": "attn_q_norm",
    "self_attn.k_norm": "attn_k_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}
_NAMES = {
    "model.embed_tokens.weight": "token_embd.weight",
    "model.norm.weight": "output_norm.weight",
    "lm_head.weight": "output.weight",
}


def require_gguf() -> None:
    """Say how to install what GGUF needs, if it is not there.

    Raises:
        UserError: the gguf package is missing.
    """
    if find_spec("gguf") is None:
        raise UserError(
            "writing GGUF needs a package that is not installed",
            expected="gguf",
            found="no such package",
            hint="pip install 'textmill[gguf]'",
        )


def export_gguf(
    folder: Path,
    file: Path,
    *,
    precision: Precision = "f16",
    name: str | None = None,
    say: Callable[[str], None] = lambda _line: None,
) -> Path:
    """Write a Hugging Face folder of a plain Llama as one GGUF file.

    Args:
        folder: config.json, safetensors, tokenizer.json.
        file: what to write; it appears whole or not at all.
        precision: of the matrices; norms stay float32. ``q8_0`` stores blocks of 32 as 8-bit numbers and a scale.
        name: of the model; the folder's if left out.
        say: told what a person should know.

    Returns:
        ``file``.

    Raises:
        UserError: the gguf package is missing, the model is no plain Llama, or its tokenizer is neither byte-level BPE
            nor SentencePiece.
    """
    require_gguf()
    import gguf

    config = load_config(folder)
    vocabulary = read_vocabulary(folder, config.vocab_size)
    if vocabulary.pre is None:
        say("llama.cpp has no name for how this tokenizer cuts texts: it may give other ids for some texts")
    with torch.device("meta"):
        model = Llama(config)
    partial = file.with_name(f".{file.name}.partial")
    file.parent.mkdir(parents=True, exist_ok=True)
    writer = gguf.GGUFWriter(partial, "qwen3" if config.qk_norm else "llama")
    writer.add_name(name or folder.resolve().name)
    _add_shape(writer, config)
    _add_vocabulary(writer, vocabulary, config)
    writer.add_file_type(getattr(gguf.LlamaFileType, _TYPES[precision]))
    for key, tensor in read_tensors(model, folder):
        _add_tensor(writer, gguf_name(key), _rotary_pairs(key, tensor, config), precision)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    partial.replace(file)
    return file


def gguf_name(name: str) -> str:
    """The GGUF name of a parameter.

    >>> gguf_name("model.layers.3.self_attn.q_proj.weight")
    'blk.3.attn_q.weight'
    """
    if name in _NAMES:
        return _NAMES[name]
    _, _, rest = name.partition("model.layers.")
    block, _, inner = rest.partition(".")
    stem, _, kind = inner.rpartition(".")
    if not block.isdecimal() or stem not in _BLOCK_NAMES:
        raise UserError("this weight has no name in GGUF", found=name, expected="a weight of a plain Llama")
    return f"blk.{block}.{_BLOCK_NAMES[stem]}.{kind}"


def _add_shape(writer: Any, config: LlamaConfig) -> None:
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_key_length(config.head_dim)
    writer.add_value_length(config.head_dim)
    writer.add_rope_dimension_count(config.head_dim)
    writer.add_rope_freq_base(config.rope_theta)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_vocab_size(config.vocab_size)


def _add_vocabulary(writer: Any, vocabulary: Vocabulary, config: LlamaConfig) -> None:
    writer.add_tokenizer_model(vocabulary.model)
    writer.add_tokenizer_pre(vocabulary.pre or "default")
    writer.add_token_list(vocabulary.tokens)
    writer.add_token_types(vocabulary.types)
    if vocabulary.model == "gpt2":
        writer.add_token_merges(vocabulary.merges)
    else:
        writer.add_token_scores(vocabulary.scores)
        writer.add_add_space_prefix(vocabulary.add_space)
    if config.bos_token_id is not None:
        writer.add_bos_token_id(config.bos_token_id)
    if config.eos_token_id is not None:
        writer.add_eos_token_id(config.eos_token_id)
    writer.add_add_bos_token(config.bos_token_id is not None)


def _rotary_pairs(key: str, tensor: Tensor, config: LlamaConfig) -> Tensor:
    """Rows of query and key matrices from halves to pairs; Qwen 3's stay, llama.cpp turns these by halves."""
    heads = {"q_proj": config.num_attention_heads, "k_proj": config.num_key_value_heads}.get(
        key.split(".")[-2]
    )
    if heads is None or config.qk_norm:
        return tensor
    rows, columns = tensor.shape
    return tensor.reshape(heads, 2, rows // heads // 2, columns).swapaxes(1, 2).reshape(rows, columns)


def _add_tensor(writer: Any, name: str, tensor: Tensor, precision: Precision) -> None:
    import gguf

    array = _float32(tensor)
    if precision == "f32" or array.ndim == 1:
        writer.add_tensor(name, array)
    elif precision == "f16":
        writer.add_tensor(name, array.astype(np.float16))
    else:
        kind = gguf.GGMLQuantizationType.BF16 if precision == "bf16" else gguf.GGMLQuantizationType.Q8_0
        if precision == "q8_0" and array.shape[-1] % 32:
            writer.add_tensor(name, array.astype(np.float16))  # rows that no blocks of 32 fill
            return
        writer.add_tensor(name, gguf.quantize(array, kind), raw_dtype=kind)


def _float32(tensor: Tensor) -> npt.NDArray[np.float32]:
    return tensor.detach().to("cpu", torch.float32).contiguous().numpy()


def tensors_of(file: Path) -> Iterator[tuple[str, npt.NDArray[Any]]]:
    """The tensors of a GGUF file as float32, by name; for looking at what was written."""
    require_gguf()
    import gguf

    for tensor in gguf.GGUFReader(file).tensors:
        yield tensor.name, gguf.dequantize(tensor.data, tensor.tensor_type)
