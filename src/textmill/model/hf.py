"""Hugging Face folders: a model goes out and comes in as config.json and safetensors; nothing is pickled."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from textmill.errors import UserError
from textmill.model.config import LlamaConfig
from textmill.model.llama import Llama

WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"
MAX_SHARD_BYTES = 5 * 10**9
"""Size from which weights are spread over several files, as Hugging Face does."""

SAMPLING = {"do_sample": True, "temperature": 0.8, "top_k": 50, "top_p": 0.95, "max_new_tokens": 256}
"""Defaults of generation, written to generation_config.json."""


def save_folder(
    model: Llama,
    folder: Path,
    *,
    dtype: torch.dtype = torch.float32,
    tokenizer_files: Iterable[Path] = (),
    max_shard_bytes: int = MAX_SHARD_BYTES,
) -> list[Path]:
    """Write a model as transformers' ``LlamaForCausalLM`` reads it.

    Args:
        model: what to save.
        folder: where to; created if need be.
        dtype: element type of the stored weights.
        tokenizer_files: files to copy beside the weights (tokenizer.json and its companions).
        max_shard_bytes: size from which weights are spread over several files.

    Returns:
        The files written, in a fixed order.
    """
    folder.mkdir(parents=True, exist_ok=True)
    config = model.config
    written = [
        _write_json(folder / "config.json", config.to_hugging_face(str(dtype).removeprefix("torch."))),
        _write_json(folder / "generation_config.json", _generation_config(config)),
        *save_weights(model, folder, dtype=dtype, max_shard_bytes=max_shard_bytes),
    ]
    for source in tokenizer_files:
        shutil.copyfile(source, folder / source.name)
        written.append(folder / source.name)
    return written


def save_weights(
    model: Llama, folder: Path, *, dtype: torch.dtype = torch.float32, max_shard_bytes: int = MAX_SHARD_BYTES
) -> list[Path]:
    """Write the weights alone: one file, or several and their index. A tied output layer is left out."""
    return write_tensors(stored_tensors(model), folder, dtype=dtype, max_shard_bytes=max_shard_bytes)


def write_tensors(
    weights: Mapping[str, Tensor],
    folder: Path,
    *,
    dtype: torch.dtype | None = None,
    max_shard_bytes: int = MAX_SHARD_BYTES,
) -> list[Path]:
    """Write weights by name: one file, or several and their index.

    Args:
        weights: none of them twice under two names.
        folder: where to.
        dtype: what to convert them to; as they are if left out.
        max_shard_bytes: size from which weights are spread over several files.
    """
    tensors = {
        name: tensor.detach().to("cpu", dtype or tensor.dtype).contiguous()
        for name, tensor in weights.items()
    }
    shards: list[dict[str, Tensor]] = [{}]
    size = 0
    for name, tensor in tensors.items():
        if shards[-1] and size + tensor.nbytes > max_shard_bytes:
            shards.append({})
            size = 0
        shards[-1][name] = tensor
        size += tensor.nbytes
    if len(shards) == 1:
        save_file(shards[0], folder / WEIGHTS, metadata={"format": "pt"})
        return [folder / WEIGHTS]
    names = [f"model-{i:05d}-of-{len(shards):05d}.safetensors" for i in range(1, len(shards) + 1)]
    for file_name, shard in zip(names, shards, strict=True):
        save_file(shard, folder / file_name, metadata={"format": "pt"})
    index = {
        "metadata": {"total_size": sum(tensor.nbytes for tensor in tensors.values())},
        "weight_map": {key: file for file, shard in zip(names, shards, strict=True) for key in shard},
    }
    return [*(folder / name for name in names), _write_json(folder / INDEX, index)]


def load_folder(
    folder: Path, *, device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32
) -> Llama:
    """Read a model from a Hugging Face folder.

    Args:
        folder: holds config.json and safetensors files.
        device: where to put the model.
        dtype: what to convert the weights to.

    Raises:
        UserError: a file is missing, broken, pickled, or does not fit the configuration.
    """
    config = load_config(folder)
    with torch.device("meta"):
        model = Llama(config)
    model.to(dtype).to_empty(device=device)
    model.model.cos, model.model.sin = model.model.cos.float(), model.model.sin.float()
    model.model.fill_rotary()
    if config.tie_word_embeddings:  # to_empty gave each of the two names a tensor of its own
        model.lm_head.weight = model.model.embed_tokens.weight
    load_weights(model, folder)
    return model.eval()


def load_config(folder: Path) -> LlamaConfig:
    """Read ``config.json`` of a Hugging Face folder.

    Raises:
        UserError: it is missing, no JSON, or no plain Llama.
    """
    path = folder / "config.json"
    try:
        config = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise UserError(
            "this folder holds no model",
            where=str(folder),
            expected="a Hugging Face folder with config.json and model.safetensors",
            found="no config.json" if folder.is_dir() else "no such folder",
        ) from None
    except (OSError, ValueError) as error:
        raise UserError(
            "the model's configuration cannot be read", where=str(path), found=str(error)
        ) from None
    return LlamaConfig.from_hugging_face(config, str(path))


@torch.no_grad()
def load_weights(model: Llama, folder: Path) -> None:
    """Copy weights from safetensors files into a model.

    Raises:
        UserError: a file or tensor is missing, broken or of another shape.
    """
    targets = stored_tensors(model)
    for name, tensor in read_tensors(model, folder):
        targets[name].copy_(tensor)


def read_tensors(model: nn.Module, folder: Path) -> Iterator[tuple[str, Tensor]]:
    """The weights of a model from safetensors files, one by one, each once and all of them.

    Raises:
        UserError: a file or tensor is missing, broken or of another shape.
    """
    wanted = stored_tensors(model)
    missing = dict(wanted)
    for name, tensor in _read_tensors(folder):
        target = wanted.get(name)
        if target is None:
            if name == "lm_head.weight" or name.endswith("rotary_emb.inv_freq"):
                continue  # a copy of the tied embeddings, or a table that old files carry along
            raise UserError("the file holds a weight that the model lacks", where=str(folder), found=name)
        shape = whole_shape(target)
        if tensor.shape != shape:
            raise UserError(
                f"{name} has another shape than config.json says",
                where=str(folder),
                expected=str(tuple(shape)),
                found=str(tuple(tensor.shape)),
            )
        missing.pop(name, None)
        yield name, tensor
    if missing:
        raise UserError(
            f"{len(missing)} weights of the model are missing",
            where=str(folder),
            found=f"without {', '.join(sorted(missing)[:3])}",
        )


def stored_tensors(model: nn.Module) -> dict[str, Tensor]:
    """Parameters by Hugging Face name, each once; ``torch.compile`` and wrappers leave no trace in the names."""
    return {name.replace("_orig_mod.", ""): parameter for name, parameter in model.named_parameters()}


def whole_shape(parameter: Tensor) -> torch.Size:
    """The shape of a parameter also where ZeRO 3 has shared it out, which leaves it empty between passes."""
    shape: torch.Size = getattr(parameter, "ds_shape", parameter.shape)
    return shape


def _read_tensors(folder: Path) -> Iterator[tuple[str, Tensor]]:
    index = folder / INDEX
    names = {WEIGHTS}
    if index.exists():
        names = set(json.loads(index.read_text("utf-8"))["weight_map"].values())
    for name in sorted(names):
        path = folder / name
        if Path(name).name != name or not path.exists():
            pickled = sorted(folder.glob("*.bin")) + sorted(folder.glob("*.pt"))
            raise UserError(
                "the model's weights are missing",
                where=str(path),
                expected="safetensors",
                found=f"{pickled[0].name}, which is pickled and never opened here" if pickled else "nothing",
                hint="save the model with safetensors" if pickled else None,
            )
        try:
            with safe_open(path, framework="pt") as file:
                for key in file.keys():  # noqa: SIM118 - not a mapping
                    yield key, file.get_tensor(key)
        except SafetensorError as error:
            raise UserError(
                "the file of weights is damaged",
                where=str(path),
                found=str(error),
                hint="copy or make it again",
            ) from None


def _generation_config(config: LlamaConfig) -> dict[str, Any]:
    return {"bos_token_id": config.bos_token_id, "eos_token_id": config.eos_token_id, **SAMPLING}


def _write_json(path: Path, value: Any) -> Path:
    path.write_text(json.dumps(value, indent=2, sort_keys=True) + "\n", "utf-8")
    return path
