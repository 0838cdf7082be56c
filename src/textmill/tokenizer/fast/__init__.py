"""Byte-level BPE compiled to machine code: the same ids as the tokenizers library, many times faster.

::

    UTF-8 bytes ─► next_piece (class of each code point) ─► piece of up to 15 bytes: seen before? ─► ids
                                                        └► else: merge by rank ───────────────────┘

Serves plain byte-level BPE cut by the GPT-2 or cl100k pattern; everything else keeps its own library.

>>> from textmill.tokenizer.fast.encoder import FastEncoder
>>> from textmill.tokenizer.training import train_bpe
>>> encoder = FastEncoder(train_bpe(["low lower lowest"] * 9, vocab_size=270), "<|endoftext|>")
>>> ids, offsets = encoder.encode_batch(["lower", "lowest"])
>>> encoder.decode(ids), offsets.tolist()
('lowerlowest', [0, 3, 6])
"""
