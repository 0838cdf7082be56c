"""Tokens: documents as arrays of ids, split, counted, and traceable back to their documents.

::

    document shard ─► encode ─► split by family ─► tokens/<split>/NNNNNN-….npy            ids, EOS after each document
                                              └──► tokens/<split>/NNNNNN-….documents.parquet   id, offset, length, bytes
    tokens/index.json ─► TokenSet ─► window i = tokens[i·seq_len : (i+1)·seq_len]
                     ├─► documents_of_sample   which documents a window was made of
                     └─► verify_tokens         every promise of this folder, checked

Windows are cut from one split's shards laid end to end; a window may cross documents and shards.

Without a run, for data sets of any size::

    texts ─► encode_part ─► numbered_build ─► train_000000.npy, … + .documents.parquet, tokens.json
                  (shuffled: part_files)        │  ▲      └──► reshard, stat, numbered_verify
                                                │  └── import_tokens, fetch      export ──► other tools
                                                └► consolidate ─► tokens.bin, sample_ids.bin ─► ConsolidatedTokens

Into training::

    TokenSet, ConsolidatedTokens ─► StreamWindows, PackedWindows ─► Loader: batch of (seed, step, rank)

>>> import numpy as np
>>> from textmill.tokens.split import SplitRule
>>> rule = SplitRule(seed=1, validation=0.5)
>>> rule.of(b"family a"), rule.of(b"family b")
('validation', 'train')
>>> from textmill.tokens.sample_ids import sample_ids
>>> [hex(i) for i in sample_ids(np.arange(8, dtype=np.uint16), seq_len=4)]
['0x8c2a497b103a49cf', '0x150d0b464f53afee']
"""
