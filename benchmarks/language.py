"""Language identification: labels beside fastText's own, speed of both, accuracy by length of text.

    python -m benchmarks language [--data FOLDER ...] [--udhr FOLDER] [--megabytes 8]

Labels and speed: on the same excerpts, fastText's own bindings in the peers' environment (prediction alone) and the
step `language` here (cutting excerpts and handing over included). Accuracy: on the Universal Declaration of Human
Rights (`--udhr`, files named by ISO 639-3 as in NLTK's `udhr2`), in the languages that lid.176 knows.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections import Counter, defaultdict
from pathlib import Path

from benchmarks import corpus, peers
from benchmarks.machine import describe
from textmill.curate import Language
from textmill.curate.language import excerpts
from textmill.documents import Batch
from textmill.steps import StepContext

LENGTHS = (20, 50, 100, 500, 1500)
PIECES = 20

# UDHR's files by ISO 639-3, lid.176's labels: where the model has a label for the language.
_PAIRS = """
    afr:af als:sq amh:am arb:ar ast:ast azj:az bcl:bcl bel:be ben:bn bho:bh bod:bo bos:bs bre:br bul:bg cat:ca ceb:ceb
    ces:cs ckb:ckb cmn:zh cos:co cym:cy dan:da deu:de div:dv ell:el eml:eml eng:en epo:eo est:et eus:eu fin:fi fra:fr
    fri:fy gla:gd gle:ga glg:gl gug:gn guj:gu hat:ht heb:he hin:hi hrv:hr hsb:hsb hun:hu hye:hy ido:io ilo:ilo ind:id
    isl:is ita:it jav:jv jpn:ja kan:kn kat:ka kaz:kk khk:mn khm:km kir:ky kor:ko lao:lo lat:la lav:lv lit:lt lnc:oc
    ltz:lb mai:mai mal:ml mar:mr min:min mkd:mk mlt:mt mly:ms mya:my nds:nds nep:ne nld:nl nno:nn nob:no oss:os pam:pam
    pan:pa pbu:ps pes:fa plt:mg pnb:pnb pol:pl por:pt quz:qu roh:rm ron:ro rus:ru sah:sah san:sa sco:sco slk:sk slv:sl
    som:so spa:es src:sc srp:sr sun:su swe:sv swh:sw tam:ta tat:tt tgk:tg tgl:tl tha:th tuk:tk tur:tr tyv:tyv uig:ug
    ukr:uk urd:ur uzn:uz vec:vec vep:vep vie:vi wln:wa war:war ydd:yi yor:yo
"""
LARGE = {
    "en",
    "fr",
    "de",
    "es",
    "it",
    "pt",
    "nl",
    "sv",
    "da",
    "fi",
    "pl",
    "cs",
    "ro",
    "hu",
    "el",
    "ru",
    "uk",
    "bg",
    "tr",
    "ar",
    "fa",
    "he",
    "hi",
    "bn",
    "th",
    "vi",
    "id",
    "zh",
    "ja",
    "ko",
}
LABELS = dict(pair.split(":") for pair in _PAIRS.split())


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, nargs="+", help="folders or files of text (TEXTMILL_DATA)")
    parser.add_argument("--peers", type=Path, help="folder of the peers' environment")
    parser.add_argument("--udhr", type=Path, help="folder of the declaration, a file per language")
    parser.add_argument("--megabytes", type=float, default=8)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    try:
        python = peers.peers_python(options.peers)
    except peers.NoPeersError as error:
        print(error, file=sys.stderr)
        return 2
    print(describe())
    found = corpus.sample(corpus.data_folders(options.data), options.megabytes)
    if options.udhr:
        found += [
            (path.name, path.read_text("utf-8", "replace")) for path in sorted(options.udhr.glob("*.txt"))
        ]
    compare([text for _, text in found], python, options.rounds)
    if options.udhr:
        accuracy(options.udhr)
    return 0


def compare(texts: list[str], python: Path, rounds: int) -> None:
    settings = Language()
    runner = settings.open(StepContext())
    runner.scores(Batch.from_texts(["Compiles the kernels."]))
    path = peers.ROOT / "build" / "bench" / "excerpts.jsonl"
    corpus.write_lines(
        [(str(row), excerpts(text, settings.characters)) for row, text in enumerate(texts)], path
    )
    here, there, ratios = [], [], []
    for _ in range(rounds):
        theirs = json.loads(peers.run(python, "peer_text.py", "language", settings.files()[0], str(path)))
        batch = Batch.from_texts(texts)  # a new one: a batch remembers what has been found out
        begin = time.process_time()
        ours = runner.scores(batch)
        spent = time.process_time() - begin
        there.append(len(texts) / theirs["cpu"])
        here.append(len(texts) / spent)
        ratios.append(theirs["cpu"] / spent)
    labels = list(ours["language"])
    asked = [row for row, label in enumerate(labels) if label != "unknown"]
    same = sum(labels[row] == theirs["labels"][row] for row in asked)
    far = max(abs(float(ours["score"][row]) - min(1.0, theirs["scores"][row])) for row in asked)
    print(
        f"{len(texts):,} documents, {len(asked):,} with a letter: labels identical on {same:,}; scores within {far:.1e}"
    )
    for who, values in (("fastText", there), ("textmill", here)):
        low, middle, high = min(values), statistics.median(values), max(values)
        print(f"{who:10}{middle:8,.0f} documents per CPU second ({low:,.0f}-{high:,.0f})")
    print(f"{'ratio':10}{statistics.median(ratios):8.2f} ({min(ratios):.2f}-{max(ratios):.2f})")


def accuracy(folder: Path) -> None:
    """By length of text: share of right labels, mean over languages; and of those above the default score."""
    settings = Language()
    runner = settings.open(StepContext())
    print(
        f"\n{'characters':>10}{'texts':>8}{'languages':>11}{'right':>9}{'30 large':>10}"
        f"{'answered':>10}{'right if answered':>19}  hardest"
    )
    for length in LENGTHS:
        pieces = [(label, piece) for label, text in declarations(folder) for piece in cut(text, length)]
        scores = runner.scores(Batch.from_texts([piece for _, piece in pieces]))
        right: dict[str, list[bool]] = defaultdict(list)
        answered = correct = 0
        mistakes: Counter[str] = Counter()
        for (label, _), found, score in zip(pieces, scores["language"], scores["score"], strict=True):
            right[label].append(found == label)
            if found != label:
                mistakes[f"{label}>{found}"] += 1
            if score >= settings.min_score:
                answered += 1
                correct += found == label
        mean = statistics.mean(sum(each) / len(each) for each in right.values())
        large = statistics.mean(sum(each) / len(each) for label, each in right.items() if label in LARGE)
        worst = sorted(right, key=lambda label: sum(right[label]) / len(right[label]))[:6]
        hardest = ", ".join(f"{label} {sum(right[label]) / len(right[label]):.0%}" for label in worst)
        print(
            f"{length:10,}{len(pieces):8,}{len(right):11}{mean:9.1%}{large:10.1%}{answered / len(pieces):10.1%}"
            f"{correct / max(1, answered):19.1%}  {hardest}; "
            f"{', '.join(f'{mistake} {count}' for mistake, count in mistakes.most_common(5))}"
        )


def declarations(folder: Path) -> list[tuple[str, str]]:
    """Label and text (white space made single) of the files whose language the model knows."""
    found = []
    for path in sorted(folder.glob("*.txt")):
        label = LABELS.get(path.stem.split("_")[0])
        if label:
            found.append((label, " ".join(path.read_text("utf-8", "replace").split())))
    return found


def cut(text: str, length: int) -> list[str]:
    """At most PIECES pieces of exactly so many characters, spread over the text, none overlapping."""
    count = min(PIECES, len(text) // length)
    step = len(text) // max(1, count)
    return [text[number * step : number * step + length] for number in range(count)]


if __name__ == "__main__":
    sys.exit(main())
