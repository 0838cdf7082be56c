"""Training byte-level BPE: words counted exactly, merges learned from them, a ``tokenizer.json`` written.

Two ways to the same bytes. A small text goes through the tokenizers library, whose trainer is ready at once; from
:data:`COMPILED_FROM_BYTES` on the project's own kernels are faster, many times so on large texts, and their memory is
bounded (:mod:`textmill.tokenizer.bpe`).

The same texts give the same bytes whatever their order and however many threads count words: merges are
chosen by the pair's count, ties by the pair's ids, and both are sums over the whole sample.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from textmill.tokenizer.patterns import Cuts, cut_text
from textmill.tokenizer.settings import BYTES, DEFAULT_EOS

if TYPE_CHECKING:
    from textmill.tokenizer.bpe.runs import Cut

# Long texts are handed over in parts (cut where the pattern cuts), so that no thread holds a whole book.
CHARACTERS_PER_PART = 256 * 2**10
# Compiling the kernels once takes as long as the library needs for so much text.
COMPILED_FROM_BYTES = 32 * 2**20
# Bytes of distinct words from which merges are learned; that needs some 30 times as much memory.
MOST_WORD_BYTES = 20 * 2**20

Progress = Callable[[str, float, float], None]


@dataclass(frozen=True)
class Trained:
    """A tokenizer.

    Attributes:
        content: of its ``tokenizer.json``.
        text_bytes: bytes of text that it was trained on.
        cut: which words were left out, if the kernels trained it.
    """

    content: str
    text_bytes: int
    cut: Cut | None


def train_bpe(
    texts: Iterable[str],
    *,
    vocab_size: int,
    pattern: str = "cl100k",
    eos_token: str = DEFAULT_EOS,
    special_tokens: Sequence[str] = (),
    min_frequency: int = 2,
    **options: Any,
) -> str:
    """Learn merges from ``texts`` and return the content of a ``tokenizer.json``; see :func:`train`."""
    return train(
        texts,
        cuts=Cuts(pattern),
        vocab_size=vocab_size,
        eos_token=eos_token,
        special_tokens=special_tokens,
        min_frequency=min_frequency,
        **options,
    ).content


def train(
    texts: Iterable[str],
    *,
    vocab_size: int,
    cuts: Cuts,
    eos_token: str = DEFAULT_EOS,
    special_tokens: Sequence[str] = (),
    min_frequency: int = 2,
    max_token_length: int | None = None,
    compiled: bool | None = None,
    threads: int | None = None,
    scratch: Path | None = None,
    most_word_bytes: int = MOST_WORD_BYTES,
    progress: Progress = lambda text, done, total: None,
) -> Trained:
    """Train a tokenizer on ``texts``.

    Ids 0-255 are the bytes (in the order of GPT-2's byte alphabet), then come the merges in the order in
    which they were learned, then ``eos_token``, then ``special_tokens``.

    Args:
        texts: streamed once.
        vocab_size: entries in all; fewer when no pair is left that occurs ``min_frequency`` times.
        cuts: what is done to texts, and where they are cut, before anything is merged.
        eos_token: the end-of-text token.
        special_tokens: further special tokens.
        min_frequency: smallest count of a pair that is merged.
        max_token_length: bytes of the longest entry that merges may make, 2 or more; None: no limit.
        compiled: True for the kernels, False for the library; None: by the size of the texts.
        threads: that count words, in the kernels; by default three quarters of the processors, four at most.
        scratch: folder for counted words; by default the system's.
        most_word_bytes: of distinct words from which the kernels learn merges. If there are more, the rarest are
            left out, and :attr:`Trained.cut` says so.
        progress: called with what is done, how far it is and the whole (0 when that is not known).

    Raises:
        ValueError: fewer entries than bytes and special tokens, or the texts taught a merge that spells a special
            token.
    """
    specials = [eos_token, *special_tokens]
    entries = vocab_size - len(specials)
    if entries < BYTES:
        raise ValueError(
            f"a vocabulary of {vocab_size:,} entries has no room for {BYTES} bytes and "
            f"{len(specials)} special tokens"
        )
    texts = _normalized(texts, cuts)
    if compiled is None:
        compiled, texts = _is_large(texts)
    if compiled:
        from textmill.tokenizer.bpe import train_on

        with tempfile.TemporaryDirectory(dir=scratch, prefix="words-") as folder:
            vocabulary, merges, cut, text_bytes = train_on(
                texts,
                cuts,
                Path(folder),
                entries=entries,
                min_frequency=min_frequency,
                max_token_length=max_token_length,
                threads=threads,
                most_word_bytes=most_word_bytes,
                progress=progress,
            )
        return Trained(_written_out(cuts, vocabulary, merges, specials), text_bytes, cut)
    tokenizer, text_bytes = _train_by_library(texts, cuts, entries, min_frequency, max_token_length)
    return Trained(_finish(tokenizer, specials), text_bytes, None)


def _train_by_library(
    texts: Iterable[str],
    cuts: Cuts,
    entries: int,
    min_frequency: int,
    max_token_length: int | None,
) -> tuple[Any, int]:
    from tokenizers import pre_tokenizers, trainers

    tokenizer = _empty_tokenizer(cuts)
    # The library's limit is the first length that is too long.
    limit: dict[str, Any] = {} if max_token_length is None else {"max_token_length": max_token_length + 1}
    trainer = trainers.BpeTrainer(
        vocab_size=entries,
        min_frequency=min_frequency,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        special_tokens=[],
        show_progress=False,
        **limit,
    )
    text_bytes = 0

    def parts() -> Iterator[str]:
        nonlocal text_bytes
        for text in texts:
            text_bytes += len(text.encode())
            # Only the bare patterns are known to cut where `cut_text` does.
            yield from cut_text(text, CHARACTERS_PER_PART) if cuts == Cuts(cuts.pattern) else [text]

    tokenizer.train_from_iterator(parts(), trainer)
    return tokenizer, text_bytes


def _empty_tokenizer(cuts: Cuts) -> Any:
    """A tokenizer of the library without a vocabulary."""
    from tokenizers import Tokenizer, models

    skeleton = json.loads(Tokenizer(models.BPE()).to_str())
    # Texts arrive normalized for training; the file says what others need.
    skeleton["normalizer"] = cuts.normalizer_part()
    skeleton["pre_tokenizer"] = cuts.pre_tokenizer()
    skeleton["decoder"] = {
        "type": "ByteLevel",
        "add_prefix_space": False,
        "trim_offsets": True,
        "use_regex": False,
    }
    return Tokenizer.from_str(json.dumps(skeleton))


def _finish(tokenizer: Any, specials: list[str]) -> str:
    """Add the special tokens, and write it all down."""
    from tokenizers import AddedToken

    for special in specials:
        # A merge of that spelling would share its id, and ordinary words would end documents.
        if tokenizer.token_to_id(special) is not None:
            raise ValueError(f"the special token {special} is an ordinary word of the documents")
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in specials])
    content: str = tokenizer.to_str(pretty=True)
    return content


def _written_out(
    cuts: Cuts, vocabulary: list[str], merges: list[tuple[int, int]], specials: list[str]
) -> str:
    """As the library writes it, down to the white space, in a fraction of its time."""
    known = set(vocabulary)
    for special in specials:
        if special in known:
            raise ValueError(f"the special token {special} is an ordinary word of the documents")
    parsed = json.loads(_finish(_empty_tokenizer(cuts), specials))
    for position, token in enumerate(parsed["added_tokens"]):
        token["id"] = len(vocabulary) + position
    quoted = [json.dumps(entry, ensure_ascii=False) for entry in vocabulary]
    entries = ",".join([f"\n      {entry}: {number}" for number, entry in enumerate(quoted)])
    pairs = ",".join([f"\n      [\n        {quoted[a]},\n        {quoted[b]}\n      ]" for a, b in merges])
    before, middle, behind = json.dumps(parsed, indent=2, ensure_ascii=False).partition(
        '"vocab": {},\n    "merges": []'
    )
    assert middle, "the library writes its models in another way"
    filled = f'"vocab": {{{entries}\n    }},\n    "merges": [' + (f"{pairs}\n    ]" if merges else "]")
    return before + filled + behind


def _normalized(texts: Iterable[str], cuts: Cuts) -> Iterable[str]:
    """The texts as the tokenizer will see them, by the library's own tables."""
    part = cuts.normalizer_part()
    if part is None:
        return texts
    from tokenizers import normalizers

    normalizer = getattr(normalizers, part["type"])()
    # ASCII is the same in all four forms.
    return (text if text.isascii() else normalizer.normalize_str(text) for text in texts)


def _is_large(texts: Iterable[str]) -> tuple[bool, Iterable[str]]:
    """Whether the texts reach :data:`COMPILED_FROM_BYTES`, and all of them again."""
    seen = []
    size = 0
    stream = iter(texts)
    for text in stream:
        seen.append(text)
        size += len(text)
        if size >= COMPILED_FROM_BYTES:
            return True, chain(seen, stream)
    return False, seen
