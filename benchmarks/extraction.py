"""Main text beside other extractors: agreement with people by cross-validation, and pages per CPU second.

    python -m benchmarks extraction --data WCXB_DEV_FOLDER [--models FOLDER] [--rounds 3] [--curve]

Every page is judged by a classifier that was trained without any page of its registered domain; training takes
minutes, and `--models` keeps the five classifiers. It needs the extra `extractor-training`; the peers, trafilatura and
resiliparse, are the extra `extract`. Agreement is F1 over bags of words, see `extraction_pages`. Speed is the whole way
from bytes to text, in CPU time of one process, the extractors taking turns.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.extraction_labels import labelled
from benchmarks.extraction_pages import FOLDS, Agreement, MarkedPage, agreement, read_pages
from benchmarks.extraction_peers import peers
from benchmarks.extraction_training import Trainer
from benchmarks.extraction_variants import VARIANTS
from benchmarks.machine import describe
from textmill.extract.classifier import Classifier
from textmill.extract.page_type import PAGE_TYPES
from textmill.extract.rendering import render
from textmill.extract.tree import PageParser

Extractor = Callable[[bytes], str]
SPEED_SAMPLE = 10
"""Speed is measured on every tenth page."""


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--data", type=Path, default=os.environ.get("TEXTMILL_WCXB"), help="folder with html and ground-truth"
    )
    parser.add_argument("--models", type=Path, help="folder for the classifiers of the folds")
    parser.add_argument("--rounds", type=int, default=3, help="of the comparison of speed")
    parser.add_argument("--curve", action="store_true", help="train on fewer domains as well")
    arguments = parser.parse_args()
    if arguments.data is None:
        print("no marked pages: name the folder of WCXB's development set with --data")
        return 0
    print(describe())
    pages = read_pages(arguments.data)
    classifiers = fold_classifiers(pages, arguments.models)
    ours = {page.name: own_extractor(classifiers[page.fold]) for page in pages}
    articles = {page.name: own_extractor(classifiers[page.fold], articles=True) for page in pages}
    everyone: dict[str, Callable[[MarkedPage], str]] = {
        "textmill": lambda page: ours[page.name](page.html),
        "textmill, articles": lambda page: articles[page.name](page.html),
    }
    for name, peer in peers().items():
        everyone[name] = lambda page, peer=peer: peer(page.html)  # type: ignore[misc]
    agreement_table(pages, everyone)
    print("\nThe same pages changed, textmill:")
    for name, change in VARIANTS.items():
        changed = [agreement(ours[page.name](change(page.html)), page.text) for page in pages]
        print(_row(name, pages, changed))
    speed_table(pages[::SPEED_SAMPLE], arguments.rounds)
    if arguments.curve:
        learning_curve(pages)
    return 0


def fold_classifiers(pages: Sequence[MarkedPage], folder: Path | None) -> list[Classifier]:
    """For every fold the classifier trained without it."""
    classifiers: list[Classifier] = []
    trainer = None
    for k in range(FOLDS):
        path = folder / f"without_{k}.npz" if folder else None
        if path and path.exists():
            with path.open("rb") as stored:
                classifiers.append(Classifier.load(stored))
            continue
        trainer = trainer or Trainer(labelled(pages), lambda line: print(f"  {line}", flush=True))
        classifiers.append(trainer.classifier((k,)))
        if path:
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("wb") as stored:
                classifiers[-1].save(stored)
    return classifiers


def own_extractor(classifier: Classifier, *, articles: bool = False) -> Extractor:
    """The main text of a page by a given classifier."""
    parser = PageParser()

    def extract(html: bytes) -> str:
        page = parser.parse(html)
        return render(page, classifier.keep(page, articles=articles))

    return extract


def agreement_table(pages: Sequence[MarkedPage], extractors: dict[str, Callable[[MarkedPage], str]]) -> None:
    """F1 overall and per page type, precision and recall."""
    print(f"\n{len(pages)} pages, {len({page.domain for page in pages})} registered domains\n")
    print("| | F1 | P | R | " + " | ".join(PAGE_TYPES) + " |")
    print("|---|" + "---:|" * (3 + len(PAGE_TYPES)))
    for name, extract in extractors.items():
        print(_row(name, pages, [agreement(extract(page), page.text) for page in pages]), flush=True)


def _row(name: str, pages: Sequence[MarkedPage], found: Sequence[Agreement]) -> str:
    by_type = [
        statistics.fmean(
            one.f1 for page, one in zip(pages, found, strict=True) if page.page_type == page_type
        )
        for page_type in PAGE_TYPES
    ]
    means = [statistics.fmean(getattr(one, part) for one in found) for part in ("f1", "precision", "recall")]
    return f"| {name} | " + " | ".join(f"{mean:.3f}" for mean in [*means, *by_type]) + " |"


def speed_table(pages: Sequence[MarkedPage], rounds: int) -> None:
    """Pages per CPU second, in turns, and how many times as fast as each peer."""
    extractors = {"textmill": own_extractor(Classifier.shipped()), **peers()}
    for extract in extractors.values():
        extract(pages[0].html)
    seconds: dict[str, list[float]] = {name: [] for name in extractors}
    for _ in range(rounds):
        for name, extract in extractors.items():
            started = time.process_time()
            for page in pages:
                extract(page.html)
            seconds[name].append(time.process_time() - started)
    print("\n| | pages per CPU second | textmill / it |\n|---|---:|---:|")
    for name, spent in seconds.items():
        rates = sorted(len(pages) / one for one in spent)
        ratios = sorted(other / own for own, other in zip(seconds["textmill"], spent, strict=True))
        print(
            f"| {name} | {statistics.median(rates):.0f} ({rates[0]:.0f}–{rates[-1]:.0f}) | "
            f"{statistics.median(ratios):.1f} ({ratios[0]:.1f}–{ratios[-1]:.1f}) |",
            flush=True,
        )


def learning_curve(pages: Sequence[MarkedPage]) -> None:
    """F1 on one fold of classifiers trained on some of the domains of the other folds."""
    judged = [page for page in pages if page.fold == 0]
    others = sorted({page.domain for page in pages if page.fold != 0}, key=lambda domain: domain[::-1])
    print("\n| domains trained on | pages | F1 on fold 0 |\n|---:|---:|---:|")
    for part in (8, 4, 2, 1):
        used = set(others[::part])
        chosen = [page for page in pages if page.domain in used]
        extract = own_extractor(Trainer(labelled(chosen)).classifier())
        score = statistics.fmean(agreement(extract(page.html), page.text).f1 for page in judged)
        print(f"| {len(used)} | {len(chosen)} | {score:.3f} |", flush=True)


if __name__ == "__main__":
    raise SystemExit(main())
