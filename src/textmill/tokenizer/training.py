"""Training byte-level BPE with the Hugging Face tokenizers library.

The same texts give the same bytes whatever their order and however many threads count words: merges are
chosen by the pair's count, ties by the pair's ids, and both are sums over the whole sample.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

from textmill.tokenizer.patterns import cut_text, pre_tokenizer
from textmill.tokenizer.settings import DEFAULT_EOS

# Long texts are handed over in parts (cut where the pattern cuts), so that no thread holds a whole book.
CHARACTERS_PER_PART = 256 * 2**10


def train_bpe(
    texts: Iterable[str],
    *,
    vocab_size: int,
    pattern: str = "cl100k",
    eos_token: str = DEFAULT_EOS,
    special_tokens: Sequence[str] = (),
    min_frequency: int = 2,
) -> str:
    """Learn merges from ``texts`` and return the content of a ``tokenizer.json``.

    Ids 0-255 are the bytes (in the order of GPT-2's byte alphabet), then come the merges in the order in
    which they were learned, then ``eos_token``, then ``special_tokens``.

    Args:
        texts: streamed once.
        vocab_size: entries in all; fewer when no pair is left that occurs ``min_frequency`` times.
        pattern: a name of :data:`textmill.tokenizer.patterns.PATTERNS`.
        eos_token: the end-of-text token.
        special_tokens: further special tokens.
        min_frequency: smallest count of a pair that is merged.

    Raises:
        ValueError: the texts taught a merge that spells a special token.
    """
    from tokenizers import AddedToken, Tokenizer, models, pre_tokenizers, trainers

    specials = [eos_token, *special_tokens]
    skeleton = json.loads(Tokenizer(models.BPE()).to_str())
    skeleton["pre_tokenizer"] = pre_tokenizer(pattern)
    skeleton["decoder"] = {
        "type": "ByteLevel",
        "add_prefix_space": False,
        "trim_offsets": True,
        "use_regex": False,
    }
    tokenizer = Tokenizer.from_str(json.dumps(skeleton))
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size - len(specials),
        min_frequency=min_frequency,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        special_tokens=[],
        show_progress=False,
    )
    parts = (part for text in texts for part in cut_text(text, CHARACTERS_PER_PART))
    tokenizer.train_from_iterator(parts, trainer)
    for special in specials:
        # A merge of that spelling would share its id, and ordinary words would end documents.
        if tokenizer.token_to_id(special) is not None:
            raise ValueError(f"the special token {special} is an ordinary word of the documents")
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in specials])
    content: str = tokenizer.to_str(pretty=True)
    return content
