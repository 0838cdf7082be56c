"""Columns of the tables of a page; `tree` says what they hold."""

from __future__ import annotations

# Columns of `elements`.
TAG, PARENT, DEPTH, FLAGS, FIRST_BLOCK, END_BLOCK, SIGNATURE, BLOCK_ELEMENT, IMAGES = range(9)
FIRST_ATTRIBUTE, END_ATTRIBUTE = 9, 10
ELEMENT_COLUMNS = 11
# Columns of `blocks`.
ELEMENT, FIRST_WORD, END_WORD, TEXT_START, TEXT_END, FIRST_RUN, END_RUN = range(7)
CHARACTERS, LINK_CHARACTERS, LINK_WORDS, LINKS, SENTENCES, COMMAS, CAPITALS, NUMBERS = range(7, 15)
LAST_CHARACTER, BREAKS, UNSPACED = 15, 16, 17
BLOCK_COLUMNS = 18
# Columns of `runs` and of `attributes`.
START, END, RUN_ELEMENT = 0, 1, 2
NAME, VALUE_START, VALUE_END = 0, 1, 2
# Kinds of tokens.
CLASS, ROLE, ITEMTYPE, OG_TYPE, GENERATOR, JSON_LD = range(6)
