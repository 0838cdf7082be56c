"""The tokenizer: trained on the run's own documents, or one that exists already.

::

    documents ─► sample by id ─► byte-level BPE ─┐
                                                 ├─► tokenizer/{tokenizer,tokenizer_config,special_tokens_map}.json
    tokenizer.json, .model, .tiktoken ───────────┘                      │
                                                 texts ─► load_encoder ─┴─► ids, offsets

``bpe/`` trains byte-level BPE and ``fast/`` encodes it, by compiled kernels that are several times faster than the
library and give the same; the encoder is compared with it as it runs. ``inspection`` and ``counting`` look at
tokenizers and count with them; ``tiktoken_file`` writes and reads tiktoken's form, ``sentencepiece_*`` SentencePiece's.

A special token that a document happens to spell out is ordinary text: only the mill itself writes the
end-of-text id, once after each document.

>>> from textmill.tokenizer.training import train_bpe
>>> from textmill.tokenizer.encode import HuggingFaceEncoder
>>> encoder = HuggingFaceEncoder(train_bpe(["low lower lowest"] * 9, vocab_size=270), "<|endoftext|>")
>>> ids, offsets = encoder.encode_batch(["lower", "<|endoftext|>"])
>>> encoder.decode(ids[: offsets[1]]), encoder.eos_id in ids
('lower', False)
"""
