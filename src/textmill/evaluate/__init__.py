"""Measuring a model on documents that it has not seen.

::

    model/ + tokens/validation ─┬─ perplexity ─► nats per token, bits per byte, against a unigram model
                                └─ samples    ─► continuations of held-out beginnings

Importing this package loads no torch.
"""

from textmill.evaluate.settings import EvaluateSection, PerplexitySettings, SampleSettings

__all__ = ["EvaluateSection", "PerplexitySettings", "SampleSettings"]
