"""Causal language models of other architectures, loaded by transformers from a folder or a name on the Hub.

Weights are read from safetensors only, and no code that lies beside them is ever run.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal, TypeAlias

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensor

from textmill.errors import UserError

CausalLM: TypeAlias = Any
"""A causal language model of transformers, whose types say less than they seem to."""

Quantisation = Literal["none", "4bit", "8bit"]


def require_packages(*names: str) -> None:
    """Say how to install what models of others need, if it is not there.

    Raises:
        UserError: one of the packages is missing.
    """
    # bitsandbytes has a line for every 8-bit product whose inputs are rounded, and for kernels that it cannot fetch.
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
    missing = [name for name in names if find_spec(name) is None]
    if missing:
        raise UserError(
            "training a model that exists needs packages that are not installed",
            expected=", ".join(names),
            found=f"no {' and no '.join(missing)}",
            hint="pip install 'textmill[adapters]'",
        )


def read_config(folder: Path) -> dict[str, Any]:
    """``config.json`` as it stands.

    Raises:
        UserError: it is no JSON object.
    """
    path = folder / "config.json"
    try:
        value = json.loads(path.read_text("utf-8"))
        if not isinstance(value, dict):
            raise ValueError("no object")
    except (OSError, ValueError) as error:
        raise UserError(
            "the model's configuration cannot be read", where=str(path), found=str(error)
        ) from None
    return value


def load_causal_lm(
    folder: Path,
    *,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
    quantisation: Quantisation = "none",
    weights: bool = True,
) -> CausalLM:
    """A causal language model with its weights, as transformers builds it.

    Args:
        folder: config.json and safetensors.
        device: where to put it.
        dtype: of the weights; of what is computed with quantised ones.
        quantisation: ``4bit`` is NF4 with double quantisation (https://arxiv.org/abs/2305.14314), ``8bit`` is
            LLM.int8() (https://arxiv.org/abs/2208.07339). Embeddings, norms and the output layer stay as they are.
        weights: read them; without, they are fresh and not quantised, which is enough to count them.

    Raises:
        UserError: packages are missing, the folder's model is no causal one, needs code of its own, or has no
            safetensors.
    """
    require_packages("transformers", *(("bitsandbytes", "accelerate") if quantisation != "none" else ()))
    _quieten()
    from transformers import AutoConfig, AutoModelForCausalLM

    _check_files(folder)
    if not weights:
        config = AutoConfig.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
        with torch.device(device):
            unfilled: CausalLM = AutoModelForCausalLM.from_config(config, dtype=dtype)  # type: ignore[no-untyped-call]
        return unfilled
    _quieten()
    options: dict[str, Any] = {}
    if quantisation != "none":
        options = {"quantization_config": _quantisation(quantisation, dtype), "device_map": {"": str(device)}}
    model: CausalLM
    try:
        model = AutoModelForCausalLM.from_pretrained(
            folder,
            dtype=dtype,
            use_safetensors=True,
            trust_remote_code=False,
            local_files_only=True,
            **options,
        )
    except (ValueError, OSError, KeyError, ImportError) as error:
        raise UserError(
            "transformers cannot load this model",
            where=str(folder),
            expected="a causal language model of an architecture that transformers has",
            found=_first_line(error),
        ) from None
    if not options:
        return model.to(device)
    keep_trainable(model)
    return model


def keep_trainable(model: nn.Module) -> None:
    """Forbid bitsandbytes to rearrange 4-bit weights for inference on CPUs with AVX512-BF16.

    It does so at the first forward pass in evaluation mode, a validation for instance, and never undoes it; from then
    on the product has no gradient with respect to its inputs, and training goes on with wrong ones
    (docs/decisions/0056-adapters.md).
    """
    module: Any
    for module in model.modules():
        if hasattr(module, "support_avx512bf16_for_cpu"):
            module.support_avx512bf16_for_cpu = False


def body_of(model: CausalLM) -> nn.Module:
    """The part before the output layer; called with tokens it gives the hidden states."""
    body = getattr(model, model.base_model_prefix, None)
    if not isinstance(body, nn.Module) or model.get_output_embeddings() is None:
        raise UserError(
            "this architecture keeps its output layer where it cannot be found",
            expected="a causal model with a body and an output layer",
            found=type(model).__name__,
        )
    return body


def blocks_of(model: nn.Module) -> Sequence[nn.Module]:
    """The layers that repeat, in order: the longest list of modules of one class."""
    lists = [
        list(module)
        for module in model.modules()
        if isinstance(module, nn.ModuleList) and len({type(child) for child in module}) == 1
    ]
    return max(lists, key=len, default=[])


@torch.no_grad()
def has_plain_head(model: CausalLM) -> bool:
    """Whether logits are nothing but hidden states times the output layer's weight.

    Some architectures add a bias, a scale or a soft cap; asking the model itself finds any of them.
    """
    head = model.get_output_embeddings()
    if type(head) is not nn.Linear or head.bias is not None:
        return False
    if head.weight.is_meta or isinstance(head.weight.data, FakeTensor):
        return True  # no numbers to compare
    training = model.training
    model.eval()
    tokens = torch.arange(4, device=head.weight.device)[None] % head.out_features
    hidden: Tensor = body_of(model)(input_ids=tokens, use_cache=False).last_hidden_state
    logits = model(input_ids=tokens, use_cache=False).logits
    model.train(training)
    return torch.allclose(logits.float(), (hidden.to(head.weight.dtype) @ head.weight.T).float(), atol=1e-3)


def attention_mask(parts: Tensor, dtype: torch.dtype) -> Tensor:
    """A mask that keeps attention causal and inside of documents, as transformers' models add it to their scores.

    Args:
        parts: shape (rows, length): number of each token's document; -1 for padding.
        dtype: of the scores.

    Returns:
        Shape (rows, 1, length, length): 0 where a query may see a key, the lowest number elsewhere. Padding sees
        itself, so that no row is empty.
    """
    length = parts.shape[1]
    causal = torch.ones(length, length, dtype=torch.bool, device=parts.device).tril()
    same = (parts[:, :, None] == parts[:, None, :]) & causal
    mask = torch.zeros(same.shape, dtype=dtype, device=parts.device)
    return mask.masked_fill_(~same, torch.finfo(dtype).min)[:, None]


def check_vocabulary(folder: Path, rows: int, vocab_size: int, tokenizer: Path | None = None) -> None:
    """Refuse tokens that were made with another vocabulary than the model's.

    Args:
        folder: of the model; may hold its tokenizer.
        rows: of its embedding table.
        vocab_size: of the tokens: every id is below it.
        tokenizer: the ``tokenizer.json`` that made the tokens, if it is known.

    Raises:
        UserError: ids that the model has no row for, or two vocabularies that differ.
    """
    hint = f"make the tokens with the model's tokenizer: tokenizer: {{use: {folder}}}"
    if vocab_size > rows:
        raise UserError(
            "the tokens were made with a larger vocabulary than the model's",
            expected=f"at most {rows:,} entries, the rows of the model's embedding table",
            found=f"{vocab_size:,}",
            where=str(folder),
            hint=hint,
        )
    own = folder / "tokenizer.json"
    if tokenizer is not None and tokenizer.is_file() and own.is_file():
        theirs, ours = _entries(own), _entries(tokenizer)
        different = sorted(token for token in theirs.keys() & ours.keys() if theirs[token] != ours[token])
        if different or len(theirs.keys() & ours.keys()) < min(len(theirs), len(ours)):
            example = different[0] if different else sorted(theirs.keys() ^ ours.keys())[0]
            raise UserError(
                "the tokens were made with another vocabulary than the model's",
                expected=f"{example!r} as id {theirs.get(example, 'none')}, as {own} has it",
                found=f"id {ours.get(example, 'none')} in {tokenizer}",
                where=str(folder),
                hint=hint,
            )
    elif rows > 2 * vocab_size:
        raise UserError(
            "the tokens were made with a much smaller vocabulary than the model's",
            expected=f"about {rows:,} entries, the rows of the model's embedding table",
            found=f"{vocab_size:,}",
            where=str(folder),
            hint=hint,
        )


def _entries(path: Path) -> dict[str, int]:
    from tokenizers import Tokenizer

    vocabulary: dict[str, int] = Tokenizer.from_file(str(path)).get_vocab()
    return vocabulary


def _quantisation(kind: Quantisation, dtype: torch.dtype) -> Any:
    import transformers

    config: Any = transformers.BitsAndBytesConfig
    if kind == "8bit":
        return config(load_in_8bit=True)
    return config(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=dtype,
    )


def _check_files(folder: Path) -> None:
    config = read_config(folder)
    if "auto_map" in config and not _known(config):
        raise UserError(
            "this model needs code that lies beside its weights, and that is never run here",
            where=str(folder),
            found=str(config["auto_map"]),
            expected="an architecture that transformers has",
        )
    if not any(folder.glob("*.safetensors")):
        pickled = sorted([*folder.glob("*.bin"), *folder.glob("*.pt")])
        raise UserError(
            "the model's weights are missing",
            where=str(folder),
            expected="safetensors",
            found=f"{pickled[0].name}, which is pickled and never opened here" if pickled else "none",
        )


def _known(config: dict[str, Any]) -> bool:
    from transformers import CONFIG_MAPPING

    return config.get("model_type") in CONFIG_MAPPING


def _quieten() -> None:
    """No bars for loading weights, and no line of DeepSpeed's, which transformers looks for, about its accelerator."""
    if not torch.cuda.is_available():
        os.environ.setdefault("DS_ACCELERATOR", "cpu")
    from transformers.utils import logging as of_transformers

    quiet: Any = of_transformers
    quiet.disable_progress_bar()


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
