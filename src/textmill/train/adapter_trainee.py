"""LoRA and QLoRA: adapters of PEFT on a model that stays as it is, trained by the same loop on the same data.

::

    folder ─► transformers (whole, NF4 or 8-bit), frozen ─► PEFT puts A and B beside the layers named
                                                              └─► checkpoint-N/adapter_model.safetensors
    adapter folder + base ─► merge_adapter ─► a Hugging Face folder like any other
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from textmill.errors import UserError
from textmill.model.hub import CausalLM, load_causal_lm, require_packages
from textmill.model.names import model_folder
from textmill.train.adapter_settings import LoraSettings, Method
from textmill.train.hub_trainee import HubTrainee, attention_flops, multiplied_weights

ADAPTER = "adapter_model.safetensors"
ADAPTER_CONFIG = "adapter_config.json"


class AdapterTrainee(HubTrainee):
    """A frozen model with adapters.

    Args:
        base: the model that stays as it is.
        folder: where it came from; named in adapter_config.json.
        settings: rank, scale, dropout and layers.
        quantised: whether the base's weights are 4- or 8-bit numbers.
        seed: of the adapters' first weights.

    Raises:
        UserError: PEFT is missing, or no layer has one of the names.
    """

    def __init__(
        self, base: CausalLM, folder: Path, settings: LoraSettings, *, quantised: bool, seed: int
    ) -> None:
        super().__init__(base, folder)
        self.settings = settings.resolved()
        self.model: Any = with_adapters(base, folder, self.settings, quantised=quantised, seed=seed)
        self._keys = adapter_keys(self.model)

    def identity(self) -> Any:
        """Which weights stay, and what the adapters are."""
        return super().identity() | {"lora": self.settings.model_dump(mode="json")}

    def write(self, weights: Mapping[str, Tensor], folder: Path) -> list[Path]:
        """``adapter_config.json`` and ``adapter_model.safetensors``, as PEFT reads them."""
        tensors = {self._keys[name]: tensor.detach().cpu().contiguous() for name, tensor in weights.items()}
        save_file(tensors, folder / ADAPTER, metadata={"format": "pt"})
        self.model.peft_config["default"].save_pretrained(str(folder))
        return [folder / ADAPTER_CONFIG, folder / ADAPTER]

    def read(self, folder: Path) -> Iterator[tuple[str, Tensor]]:
        """The adapters of a checkpoint."""
        names = {key: name for name, key in self._keys.items()}
        tensors = load_file(folder / ADAPTER)
        if tensors.keys() != names.keys():
            raise UserError(
                "this checkpoint holds other adapters",
                where=str(folder),
                expected=f"{len(names)} weights",
                found=", ".join(sorted(tensors.keys() ^ names.keys())[:3]),
            )
        yield from ((names[key], tensor) for key, tensor in tensors.items())

    def flops_per_token(self, seq_len: int) -> float:
        """4 per frozen weight (no gradient of it is computed), 6 per trained one, and attention."""
        return (
            4.0 * multiplied_weights(self.causal)
            + 2.0 * self.trained_parameters
            + attention_flops(self.causal.config, seq_len)
        )


def load_adapter_trainee(
    start: str | Path,
    method: Method,
    settings: LoraSettings,
    *,
    device: torch.device | str,
    dtype: torch.dtype,
    seed: int,
    weights: bool = True,
) -> AdapterTrainee:
    """A model of a folder or of the Hub with fresh adapters.

    Args:
        start: see :func:`textmill.model.hub.model_folder`.
        method: ``lora`` keeps the base in ``dtype``, ``qlora`` in 4 bits (NF4, double quantisation), ``8bit`` in
            8.
        settings: of the adapters.
        device: where to train.
        dtype: what the frozen weights are kept or computed in.
        seed: of the adapters' first weights.
        weights: read the frozen weights; without, the model can be counted and nothing else.

    Raises:
        UserError: packages are missing, there is no such model, or no layer has one of the names.
    """
    require_packages("transformers", "peft", *(() if method == "lora" else ("bitsandbytes", "accelerate")))
    folder = model_folder(start)
    quantisation = {"qlora": "4bit", "8bit": "8bit"}.get(method, "none")
    base = load_causal_lm(folder, device=device, dtype=dtype, quantisation=quantisation, weights=weights)  # type: ignore[arg-type]
    quantised = weights and quantisation != "none"
    return AdapterTrainee(base, folder, settings, quantised=quantised, seed=seed)


def with_adapters(base: CausalLM, folder: Path, settings: LoraSettings, *, quantised: bool, seed: int) -> Any:
    """The model with fresh, trainable adapters; everything else is frozen.

    Raises:
        UserError: no layer has one of the names.
    """
    import peft

    settings = settings.resolved()
    if quantised:
        # Norms and the output layer go to float32; activation checkpointing is the loop's.
        prepare: Any = peft.prepare_model_for_kbit_training
        base = prepare(base, use_gradient_checkpointing=False)
    targets = settings.target_modules
    config = peft.LoraConfig(
        r=settings.r or 1,
        lora_alpha=settings.alpha or 1,  # type: ignore[arg-type]
        lora_dropout=settings.dropout or 0.0,
        target_modules=targets if isinstance(targets, str) else list(targets or ()),
        modules_to_save=["embed_tokens", "lm_head"] if settings.train_embeddings else None,
        task_type="CAUSAL_LM",
        bias="none",
        base_model_name_or_path=str(folder),
    )
    torch.manual_seed(seed)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # of what PEFT asks transformers for
            model = peft.get_peft_model(base, config)
    except ValueError as error:
        if "not found" not in str(error):
            raise
        raise UserError(
            "no layer of this model has one of these names",
            where="train.lora.target_modules",
            expected=", ".join(linear_names(base)) + ", or all-linear",
            found=targets if isinstance(targets, str) else ", ".join(targets or ()),
        ) from None
    model.peft_config["default"].base_model_name_or_path = str(folder)
    return model


def linear_names(model: nn.Module) -> list[str]:
    """Last names of the linear layers, each once, in order."""
    kinds: tuple[Any, ...] = (nn.Linear, *_conv1d())
    names = (name.rpartition(".")[2] for name, module in model.named_modules() if isinstance(module, kinds))
    return list(dict.fromkeys(names))


def adapter_keys(model: Any) -> dict[str, str]:
    """The key in ``adapter_model.safetensors`` of every trained parameter, by its name in the model."""
    from peft import get_peft_model_state_dict

    trained = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
    names = {id(parameter): name for name, parameter in trained.items()}
    stored = get_peft_model_state_dict(model, state_dict=dict(trained), save_embedding_layers=False)
    keys = {names[id(value)]: key for key, value in stored.items() if id(value) in names}
    assert keys.keys() == trained.keys(), sorted(keys.keys() ^ trained.keys())[:3]
    return keys


def merge_adapter(
    adapter: Path, *, base: str | Path | None = None, dtype: torch.dtype = torch.float32
) -> CausalLM:
    """The base model with an adapter's update added to its weights.

    Args:
        adapter: folder with adapter_config.json and adapter_model.safetensors.
        base: the model it belongs to; what adapter_config.json names if left out. It is read whole, never quantised,
            so an adapter of QLoRA is merged into exact weights.
        dtype: of the result.

    Raises:
        UserError: packages are missing, there is no adapter, or no base.
    """
    require_packages("transformers", "peft")
    from peft import PeftConfig, PeftModel

    if not (adapter / ADAPTER_CONFIG).is_file():
        raise UserError(
            "there is no adapter here",
            where=str(adapter),
            expected=f"{ADAPTER_CONFIG} and {ADAPTER}",
            found="no such file" if adapter.is_dir() else "no such folder",
        )
    config = PeftConfig.from_pretrained(str(adapter))
    model = load_causal_lm(model_folder(base or str(config.base_model_name_or_path)), dtype=dtype)
    merged: Any = PeftModel.from_pretrained(model, str(adapter)).merge_and_unload()
    return merged


def _conv1d() -> tuple[Any, ...]:
    try:
        from transformers.pytorch_utils import Conv1D
    except ImportError:
        return ()
    return (Conv1D,)
