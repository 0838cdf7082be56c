"""datatrove's filters on a file of documents. Runs in the peers' environment: imports nothing of textmill.

    python peer_filters.py time FILTER FILE      # {"cpu": seconds, "kept": documents}
    python peer_filters.py verdicts FILE         # per document and filter: why it was dropped, or null
    python peer_filters.py measure FILE          # per document: what every rule measures, and the tokens

FILE holds JSON lines with `id` and `text`. Reasons and measures bear textmill's names, so that the two sides can
be laid side by side.
"""

import json
import sys
import time
from statistics import fmean

from datatrove.data import Document
from datatrove.pipeline.filters import (
    C4QualityFilter,
    FineWebQualityFilter,
    GopherQualityFilter,
    GopherRepetitionFilter,
)
from datatrove.pipeline.filters.gopher_repetition_filter import (
    find_all_duplicate,
    find_duplicates,
    find_top_duplicate,
    get_n_grams,
)
from datatrove.utils.text import PUNCTUATION_SET, TERMINAL_PUNCTUATION, split_into_sentences, split_into_words
from loguru import logger

FILTERS = {
    "gopher_quality": GopherQualityFilter,
    "gopher_repetition": GopherRepetitionFilter,
    "c4": C4QualityFilter,
    "c4_fineweb": lambda: C4QualityFilter(filter_no_terminal_punct=False),
    "fineweb": FineWebQualityFilter,
}
# As FineWeb was made: a document that one filter drops is not shown to the next.
PIPELINE = ("gopher_repetition", "gopher_quality", "c4_fineweb", "fineweb")

REASONS = {
    "gopher_short_doc": "words",
    "gopher_long_doc": "words",
    "gopher_below_avg_threshold": "mean_word_length",
    "gopher_above_avg_threshold": "mean_word_length",
    "gopher_too_many_hashes": "hash_ratio",
    "gopher_too_many_ellipsis": "ellipsis_ratio",
    "gopher_too_many_bullets": "bullet_lines_ratio",
    "gopher_too_many_end_ellipsis": "ellipsis_lines_ratio",
    "gopher_below_alpha_threshold": "alphabetic_words_ratio",
    "gopher_enough_stop_words": "stop_words",
    "dup_para_frac": "duplicate_paragraphs",
    "dup_para_char_frac": "duplicate_paragraph_characters",
    "dup_line_frac": "duplicate_lines",
    "dup_line_char_frac": "duplicate_line_characters",
    **{f"duplicated_{n}_n_grams": f"duplicate_{n}_grams" for n in range(5, 11)},
    "curly_bracket": "curly_brackets",
    "too_few_sentences": "sentences",
    "line_punct_ratio": "punctuated_lines",
    "short_line_ratio": "short_lines",
    "char_dup_ratio": "duplicate_line_characters",
    "list_ratio": "newlines_per_word",
}


def main() -> None:
    logger.remove()
    task, *arguments = sys.argv[1:]
    with open(arguments[-1], encoding="utf-8") as file:  # noqa: PTH123 - no textmill, no fuss
        records = [json.loads(line) for line in file]
    if task == "time":
        print(json.dumps(timed(arguments[0], records)))
    else:
        work = {"verdicts": verdicts, "measure": measure}[task]
        for record in records:
            print(json.dumps({"id": record["id"]} | work(record["text"])))


def timed(name: str, records: list) -> dict:
    """CPU seconds of the filters alone, with documents in memory and the tokenizer loaded."""
    names = PIPELINE if name == "pipeline" else (name,)
    split_into_words("Loads the tokenizer.")
    documents = [Document(text=record["text"], id=record["id"]) for record in records]
    stream = iter(documents)
    for each in names:
        stream = FILTERS[each]().run(stream)
    begin = time.process_time()
    kept = sum(1 for _ in stream)
    return {"cpu": time.process_time() - begin, "kept": kept}


def verdicts(text: str) -> dict:
    """Per filter the name of the rule that dropped the document, or null; for C4 also the text that is left."""
    found: dict = {}
    for name in FILTERS:
        document = Document(text=text, id="")
        try:
            result = FILTERS_OPEN.setdefault(name, FILTERS[name]()).filter(document)
        except Exception as error:  # a document of no words divides by zero there
            found[name] = f"raised {type(error).__name__}"
            continue
        reason = None if result is True else result[1]
        found[name] = REASONS.get(reason, reason)
        if name.startswith("c4") and reason is None:
            found[f"{name}_text"] = document.text
    return found


FILTERS_OPEN: dict = {}


def measure(text: str) -> dict:
    """What the rules measure, by the filters' own formulas, and the tokens that they see."""
    tokens = split_into_words(text)
    words = [token for token in tokens if any(c not in PUNCTUATION_SET for c in token)]
    lines = text.splitlines()
    split_lines = FILTERS_OPEN.setdefault("gopher_repetition", GopherRepetitionFilter())._line_splitter.split(
        text
    )
    paragraphs = FILTERS_OPEN["gopher_repetition"].paragraph_exp.split(text.strip())
    full_lines = [line for line in text.split("\n") if line.strip()]
    line_copies, line_characters = find_duplicates(split_lines)
    paragraph_copies, paragraph_characters = find_duplicates(paragraphs)
    size = len(text) or 1
    repetition = {
        "duplicate_paragraphs": paragraph_copies / len(paragraphs),
        "duplicate_paragraph_characters": paragraph_characters / size,
        "duplicate_lines": line_copies / len(split_lines),
        "duplicate_line_characters": line_characters / size,
    }
    for n in (2, 3, 4):
        grams = get_n_grams(tokens, n)
        repetition[f"top_{n}_gram"] = find_top_duplicate(grams) / size if grams else 0
    for n in range(5, 11):
        repetition[f"duplicate_{n}_grams"] = find_all_duplicate(tokens, n) / size
    count, total = len(lines) or 1, len(tokens) or 1
    return {
        "tokens": tokens,
        "gopher_quality": {
            "words": len(words),
            "mean_word_length": fmean(map(len, words)) if words else 0,
            "hash_ratio": text.count("#") / total,
            "ellipsis_ratio": (text.count("...") + text.count("…")) / total,
            "bullet_lines_ratio": sum(line.lstrip().startswith(("•", "-")) for line in lines) / count,
            "ellipsis_lines_ratio": sum(line.rstrip().endswith(("...", "…")) for line in lines) / count,
            "alphabetic_words_ratio": sum(any(c.isalpha() for c in token) for token in tokens) / total,
            "stop_words": len(FILTERS_OPEN.setdefault("q", GopherQualityFilter()).stop_words & set(tokens)),
        },
        "gopher_repetition": repetition,
        "c4": c4_numbers(text, True),
        "c4_fineweb": c4_numbers(text, False),
        "fineweb": {
            "punctuated_lines": share(full_lines, lambda line: line.endswith(tuple(TERMINAL_PUNCTUATION))),
            "short_lines": share(full_lines, lambda line: len(line) <= 30),
            "duplicate_line_characters": find_duplicates(full_lines)[1] / (len(text.replace("\n", "")) or 1),
            "newlines_per_word": text.count("\n") / total,
        },
    }


def c4_numbers(text: str, terminal_punctuation: bool) -> dict:
    """Sentences of the lines that C4's other rules leave, and the sentences themselves."""
    judge = C4QualityFilter(filter_no_terminal_punct=terminal_punctuation, min_num_sentences=-1)
    document = Document(text=text, id="")
    result = judge.filter(document)
    if result is not True:
        return {result[1]: 1}
    found = [sentence for line in document.text.split("\n") for sentence in split_into_sentences(line)]
    return {"sentences": len(found), "split": found}


def share(items: list, test) -> float:
    return sum(map(test, items)) / len(items) if items else 0


if __name__ == "__main__":
    main()
