"""The plain Llama: shape, presets, module, Hugging Face folders.

::

    preset "tiny" ─► LlamaConfig ─► llama.Llama ─► hf.save_folder ─► config.json, model.safetensors
                                        ▲                                        │
                                        └─────────── hf.load_folder ◄────────────┘

The module computes what transformers' ``LlamaForCausalLM`` computes, with the same parameter names.
Importing this package loads no torch; ``textmill.model.llama`` does.

>>> from textmill.model import preset_config
>>> config = preset_config("tiny", vocab_size=4_096, seq_len=256)
>>> from textmill.model.llama import Llama
>>> sum(parameter.numel() for parameter in Llama(config).parameters()) == config.parameters()
True
"""

from textmill.model.config import LlamaConfig
from textmill.model.presets import PRESETS, Shape, preset_config

__all__ = ["PRESETS", "LlamaConfig", "Shape", "preset_config"]
