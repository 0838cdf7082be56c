"""What a user would put in the place of a curation step: libraries, and plain Python. Imports nothing of textmill.

    python peer_steps.py PEER FOLDER      # {"cpu": seconds, "found": [...]}: per text or address what was found

FOLDER holds `texts.jsonl` and `lists.json` (keywords, lists for addresses, questions), as benchmarks/steps.py writes
them. Every peer is a function that gets these lists, prepares itself (not measured) and returns the work.
"""

import hashlib
import json
import re
import sys
import time
import unicodedata
from collections.abc import Callable
from pathlib import Path
from urllib.parse import unquote, urlsplit

NGRAM = 13
LEAST_CHARACTERS = 20

Work = Callable[[list], list]


def main() -> None:
    name, folder = sys.argv[1], Path(sys.argv[2])
    with (folder / "texts.jsonl").open(encoding="utf-8") as file:
        texts = [json.loads(line)["text"] for line in file]
    lists = json.loads((folder / "lists.json").read_text("utf-8"))
    work = PEERS[name](lists)
    work(["https://example.com/"] if name in OF_ADDRESSES else texts[:5])
    given = lists["addresses"] if name in OF_ADDRESSES else texts
    begin = time.process_time()
    found = work(given)
    cpu = time.process_time() - begin
    print(json.dumps({"cpu": cpu, "found": found}, default=bytes.hex))


def ftfy_defaults(lists: dict) -> Work:
    """ftfy as it comes: it also straightens quotes, resolves HTML entities and narrows wide letters."""
    from ftfy import TextFixerConfig

    return _mending(TextFixerConfig())


def ftfy_encoding(lists: dict) -> Work:
    """ftfy told to mend wrong encodings and control characters alone, as `normalize` does."""
    from ftfy import TextFixerConfig

    return _mending(
        TextFixerConfig(
            unescape_html=False,
            remove_terminal_escapes=False,
            fix_latin_ligatures=False,
            fix_character_width=False,
            uncurl_quotes=False,
        )
    )


def _mending(config: object) -> Work:
    from ftfy import fix_text

    spaces, blank_lines = re.compile(r"[^\S\n]+$", re.MULTILINE), re.compile(r"\n{3,}")

    def mend(text: str) -> str:
        text = unicodedata.normalize("NFC", fix_text(text, config))
        text = blank_lines.sub("\n\n", spaces.sub("", text))
        # Indentation of the first line stays.
        return re.sub(r"\A(?:[^\S\n]*\n)+", "", text).rstrip()

    return lambda texts: [mend(text) for text in texts]


def pyahocorasick(lists: dict) -> Work:
    """Different keywords and all their places; whole words are told by the characters beside a match."""
    import ahocorasick

    automaton = ahocorasick.Automaton()
    for word in lists["keywords"]:
        automaton.add_word(word, word)
    automaton.make_automaton()

    def find(text: str) -> list[int]:
        text = text.lower()
        found = [
            word
            for end, word in automaton.iter(text)
            if not text[end + 1 : end + 2].isalnum()
            and (end == len(word) - 1 or not text[end - len(word)].isalnum())
        ]
        return [len(set(found)), len(found)]

    return lambda texts: [find(text) for text in texts]


def words_in_a_set(lists: dict) -> Work:
    """Keywords of one word each need no more: the words of the text, looked up one by one."""
    keywords, words = set(lists["keywords"]), re.compile(r"[^\W_]+")

    def find(text: str) -> list[int]:
        found = [word for word in words.findall(text.lower()) if word in keywords]
        return [len(set(found)), len(found)]

    return lambda texts: [find(text) for text in texts]


def datatrove_addresses(lists: dict) -> Work:
    """The rule by which datatrove drops each address, under textmill's name for it, or None."""
    from datatrove.data import Document
    from datatrove.pipeline.filters.url_filter import URLFilter
    from tldextract import TLDExtract

    judge = URLFilter(
        extra_domains=lists["domains"],
        banned_words=lists["words"],
        soft_banned_words=lists["soft_words"],
        banned_subwords=lists["parts"],
        use_integrated_lists=False,
    )
    judge.tldextractor = TLDExtract(suffix_list_urls=())  # the list that the package brings along
    names = {
        "domain": "blocked_domain",
        "subdomain": "blocked_domain",
        "hard_blacklisted": "words",
        "soft_blacklisted": "soft_words",
        "blacklisted_subword": "parts",
    }

    def work(addresses: list) -> list:
        documents = (Document(text="", id="", metadata={"url": address}) for address in addresses)
        verdicts = [judge.filter(document) for document in documents]
        return [None if verdict is True else names[verdict[1]] for verdict in verdicts]

    return work


def plain_addresses(lists: dict) -> Work:
    """The same rules with sets and the standard library."""
    blocked, words, soft_words = (set(lists[name]) for name in ("domains", "words", "soft_words"))
    parts = re.compile("|".join(map(re.escape, lists["parts"])))
    separator = re.compile(r"[\W_]+")

    def judge(address: str) -> str | None:
        levels = (urlsplit(address).hostname or "").split(".")
        if any(".".join(levels[first:]) in blocked for first in range(len(levels))):
            return "blocked_domain"
        address = unquote(address).lower()
        found = set(separator.split(address))
        if found & words:
            return "words"
        if len(found & soft_words) > 1:
            return "soft_words"
        return "parts" if parts.search(separator.sub("", address)) else None

    return lambda addresses: [judge(address) for address in addresses]


def plain_counts(lists: dict) -> Work:
    """The counts of `heuristics` as courses write them; compared are characters, letters and lines."""

    def count(text: str) -> list[int]:
        words = text.split()
        letters = sum(c.isalpha() for c in text)
        spaces = sum(c.isspace() for c in text)
        scores = {
            "characters": len(text),
            "words": len(words),
            "mean_word_length": sum(map(len, words)) / max(1, len(words)),
            "distinct_words": len(set(words)) / max(1, len(words)),
            "letters": letters / max(1, len(text)),
            "letters_and_spaces": (letters + spaces) / max(1, len(text)),
            # A newline at the end begins no line.
            "lines": text.count("\n") + (text[-1:] not in ("", "\n")),
        }
        return [len(text), round(scores["letters"] * len(text)), int(scores["lines"])]

    return lambda texts: [count(text) for text in texts]


def datatrove_phrases(lists: dict) -> Work:
    """Whether datatrove's decontamination drops a text; its index is made here, from the same questions."""
    from datatrove.data import Document
    from datatrove.pipeline.decont.n_grams import NGramsDecontConfig, NGramsDecontFilter
    from datatrove.utils.text import ngrams, simplify_text

    judge = NGramsDecontFilter(".", NGramsDecontConfig(n_grams=NGRAM))
    # What the indexer writes and the filter reads back; the indexer itself asks for another package.
    judge._index_hashes = {}
    for question in lists["questions"]:
        tokens = judge.tokenizer.word_tokenize(simplify_text(question, judge.config.norm_config))
        for run in ngrams(tokens, NGRAM):
            judge._index_hashes[judge.hash_func(" ".join(run))] = "exam"

    def work(texts: list) -> list:
        return [judge.filter(Document(text=text, id="")) is not True for text in texts]

    return work


def plain_phrases(lists: dict) -> Work:
    """Runs of words in a set of tuples."""
    words = re.compile(r"[^\W_]+")

    def runs(text: str) -> set:
        found = words.findall(text.casefold())
        return set(zip(*(found[first:] for first in range(NGRAM)), strict=False))

    wanted = set().union(*map(runs, lists["questions"]))
    return lambda texts: [not wanted.isdisjoint(runs(text)) for text in texts]


def sha256_of_texts(lists: dict) -> Work:
    return lambda texts: [hashlib.sha256(text.encode()).digest() for text in texts]


def blake2b_of_lines(lists: dict) -> Work:
    """Keys of the lines of every text, in lower case and with single spaces; short lines left out."""

    def keys(text: str) -> list[bytes]:
        lines = (line.strip() for line in text.split("\n"))
        return [
            hashlib.blake2b(" ".join(line.casefold().split()).encode(), digest_size=16).digest()
            for line in lines
            if len(line) >= LEAST_CHARACTERS
        ]

    return lambda texts: [keys(text) for text in texts]


OF_ADDRESSES = ("datatrove_addresses", "plain_addresses")
PEERS: dict[str, Callable[[dict], Work]] = {
    each.__name__: each
    for each in (
        ftfy_defaults,
        ftfy_encoding,
        pyahocorasick,
        words_in_a_set,
        datatrove_addresses,
        plain_addresses,
        plain_counts,
        datatrove_phrases,
        plain_phrases,
        sha256_of_texts,
        blake2b_of_lines,
    )
}

if __name__ == "__main__":
    main()
