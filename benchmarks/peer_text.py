"""fastText and word segmentation of other libraries. Runs in the peers' environment: imports nothing of textmill.

python peer_text.py language MODEL FILE     # {"cpu": seconds, "labels": [...], "scores": [...]}
python peer_text.py words icu|uniseg|... FILE   # per document its segments, without those of white space alone
"""

import itertools
import json
import sys
import time


def main() -> None:
    task, name, path = sys.argv[1:]
    with open(path, encoding="utf-8") as file:  # noqa: PTH123 - no textmill, no fuss
        texts = [json.loads(line)["text"] for line in file]
    if task == "language":
        print(json.dumps(language(name, texts)))
    else:
        segment = SEGMENTERS[name]()
        for text in texts:
            print(json.dumps(segment(text)))


def language(model: str, texts: list) -> dict:
    """Labels and probabilities by fastText's own bindings."""
    from fasttext.FastText import _FastText

    loaded = _FastText(model)
    loaded.predict("Loads the pages of the model.")
    begin = time.process_time()
    found = [loaded.predict(text, k=1) for text in texts]
    cpu = time.process_time() - begin
    labels = [labels[0].removeprefix("__label__") if labels else "" for labels, _ in found]
    return {
        "cpu": cpu,
        "labels": labels,
        "scores": [float(scores[0]) if len(scores) else 0 for _, scores in found],
    }


def icu_segments():
    """Segments by ICU's word iterator of the root locale: UAX #29, and dictionaries for scripts without spaces."""
    import icu

    iterator = icu.BreakIterator.createWordInstance(icu.Locale.getRoot())

    def segment(text: str) -> list:
        whole = icu.UnicodeString(text)  # ICU counts in UTF-16
        iterator.setText(whole)
        borders = [0, *iterator]
        parts = [str(whole[a:b]) for a, b in itertools.pairwise(borders)]
        return [part for part in parts if not part.isspace()]

    return segment


def uniseg_segments():
    """Segments by uniseg: UAX #29 alone."""
    from uniseg.wordbreak import words

    return lambda text: [part for part in words(text) if not part.isspace()]


def rjieba_segments():
    """Chinese words by jieba's dictionary and hidden Markov model."""
    import rjieba

    return lambda text: [part for part in rjieba.cut(text) if not part.isspace()]


def sudachipy_segments():
    """Japanese words by Sudachi's core dictionary, in its shortest units (A), a line at a time."""
    import sudachipy

    tokenizer = sudachipy.Dictionary().create(sudachipy.SplitMode.A)

    def segment(text: str) -> list:
        found = [part.surface() for line in text.split("\n") for part in tokenizer.tokenize(line)]
        return [part for part in found if part and not part.isspace()]

    return segment


def pythainlp_segments():
    """Thai words by PyThaiNLP's maximal matching (newmm) with its own word list."""
    from pythainlp.tokenize import word_tokenize

    return lambda text: [part for part in word_tokenize(text, engine="newmm") if not part.isspace()]


SEGMENTERS = {
    "icu": icu_segments,
    "uniseg": uniseg_segments,
    "rjieba": rjieba_segments,
    "sudachipy": sudachipy_segments,
    "pythainlp": pythainlp_segments,
}


if __name__ == "__main__":
    main()
