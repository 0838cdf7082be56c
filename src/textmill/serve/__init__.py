"""Talking to a trained model.

::

    model folder ─► load_generator ─► generate(prompt) ─► pieces of text, never half a character

Works from any Hugging Face folder of a plain Llama with its ``tokenizer.json``. Importing this package loads no torch.
"""

from textmill.serve.generate import Generator, generate

__all__ = ["Generator", "generate"]
