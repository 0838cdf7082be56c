"""Small models of several architectures, made on the spot, with a tokenizer beside them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

EOS = "<|endoftext|>"
TEXT = [
    "Le moulin tourne au bord de la rivière, et la meunière compte les sacs de farine.",
    "La poudrerie efface le chemin du rang, mais le facteur passe quand même avant midi.",
    "On a mangé de la tourtière, des fèves au lard et du pain de ménage chez ma tante.",
]


def make_tokenizer(folder: Path, vocab_size: int = 400, texts: list[str] | None = None) -> Path:
    """A byte-level BPE tokenizer in Hugging Face's files; its end-of-text token is 0."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=[EOS],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts or TEXT * 4, trainer)
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token=EOS, bos_token=EOS)
    fast.save_pretrained(folder)
    return folder


def make_llama(folder: Path, vocab_size: int = 400, **changes: Any) -> Path:
    """A plain Llama of two blocks."""
    torch.manual_seed(0)
    shape = {
        "vocab_size": vocab_size,
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 128,
        "bos_token_id": 0,
        "eos_token_id": 0,
    }
    LlamaForCausalLM(LlamaConfig(**(shape | changes))).save_pretrained(folder)
    return folder


def make_gpt2(folder: Path, vocab_size: int = 400) -> Path:
    """A GPT-2 of two blocks: learnt positions, biases, LayerNorm."""
    torch.manual_seed(0)
    config = GPT2Config(
        vocab_size=vocab_size, n_embd=64, n_layer=2, n_head=4, n_positions=128, bos_token_id=0, eos_token_id=0
    )
    GPT2LMHeadModel(config).save_pretrained(folder)
    return folder
