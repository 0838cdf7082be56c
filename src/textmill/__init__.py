"""textmill: from raw text to a trained language model, with one recipe and every document accounted for.

::

    recipe ─► sources ─► curate ─► tokenizer ─► tokens ─► train ─► evaluate ─► generate
                            │                     │         │          │
                            └────── ledger ───────┴─ provenance ───────┴─► report

>>> import textmill
>>> sorted(textmill.__all__)
['Recipe', 'Run', 'UserError', 'load_recipe', 'run']
"""

from typing import Any

from textmill.errors import UserError

__version__ = "0.1.0"
__all__ = ["Recipe", "Run", "UserError", "load_recipe", "run"]


def __getattr__(name: str) -> Any:
    # Loaded on first use, so that the command line answers at once.
    if name in ("Run", "run"):
        from textmill import api

        return getattr(api, name)
    if name in ("Recipe", "load_recipe"):
        from textmill import recipe

        return getattr(recipe, name)
    raise AttributeError(f"module 'textmill' has no attribute {name!r}")
