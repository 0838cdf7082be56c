"""Verdicts beside those of datatrove 0.10.1, document by document, and why they differ where they do.

    python -m benchmarks parity [--data FOLDER] [--write docs/parity.md]

Compares what is kept and what is dropped. A disagreement is listed with what both sides measured; its cause is
found by the numbers: tokens that differ are laid side by side, in groups between common borders.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks import corpus, peers
from benchmarks.machine import describe
from benchmarks.verdicts import STEPS, UNICODE, judge, opened
from textmill.curate.tokens import tokens_of
from textmill.documents import Batch

GROUPS = {
    "jsonl": ("jsonl/", "*.jsonl: web pages, papers, questions and answers, code"),
    "wiki_demo": ("wikipedia/wiki_demo.txt", "Wikipedia, an article per line"),
    "enwiki": ("wikipedia/enwiki-latest", "Wikipedia dump, markup removed roughly"),
    "web": ("extraction/", "WCXB gold texts: articles, forums, products, listings"),
}


@dataclass
class Tally:
    """Documents of one group under one filter."""

    documents: int = 0
    same_verdict: int = 0
    same_rule: int = 0
    dropped_there: int = 0
    dropped_here: int = 0
    texts: int = 0
    same_text: int = 0
    different: list[dict[str, Any]] = field(default_factory=list)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, help="folder of data (TEXTMILL_DATA)")
    parser.add_argument("--peers", type=Path, help="folder of the peers' environment")
    parser.add_argument("--write", type=Path, help="write the page docs/parity.md here")
    parser.add_argument("--megabytes", type=float, default=2, help="without data: text to compare")
    options = parser.parse_args()
    try:
        python = peers.peers_python(options.peers)
    except peers.NoPeersError as error:
        print(error, file=sys.stderr)
        return 2
    groups = grouped(corpus.data_folders(options.data and [options.data]), options.megabytes)
    tallies = {name: compare(found, python) for name, found in groups.items()}
    print(table(tallies))
    for filter_name in STEPS:
        for group, by_filter in tallies.items():
            for entry in by_filter[filter_name].different:
                print(f"{filter_name:18} {group:10} {explain(entry)}")
    if options.write:
        options.write.write_text(page(tallies, groups), encoding="utf-8")
        print(f"written: {options.write}")
    return 0


def grouped(folders: list[Path], megabytes: float) -> dict[str, list[corpus.Document]]:
    if not folders:
        return {"python": corpus.sample([], megabytes)}
    folder = folders[0]
    groups: dict[str, list[corpus.Document]] = {}
    for name, (prefix, _) in GROUPS.items():
        if (folder / prefix.split("/")[0]).exists():
            below = folder / prefix.split("/")[0]
            found = [(f"{below.name}/{each}", text) for each, text in corpus.documents(below)]
            groups[name] = [(each, text) for each, text in found if each.startswith(prefix)]
    return {name: found for name, found in groups.items() if found} or {
        folder.name: list(corpus.documents(folder))
    }


def compare(found: list[corpus.Document], python: Path) -> dict[str, Tally]:
    """Both sides' verdicts on some documents."""
    path = peers.ROOT / "build" / "bench" / "parity.jsonl"
    corpus.write_lines(found, path)
    theirs = [
        json.loads(line) for line in peers.run(python, "peer_filters.py", "verdicts", str(path)).splitlines()
    ]
    batch = Batch.from_texts([text for _, text in found])
    tallies = {}
    for name in STEPS:
        judged = judge(opened(name), Batch(batch.records))
        kept_texts = iter(judged.kept.texts)
        tally = tallies[name] = Tally(len(found))
        for row, (their, our_rule) in enumerate(zip(theirs, judged.rules, strict=True)):
            their_rule = their[name.removesuffix(UNICODE)]
            text = next(kept_texts) if our_rule is None else None
            tally.dropped_there += their_rule is not None
            tally.dropped_here += our_rule is not None
            tally.same_verdict += (their_rule is None) == (our_rule is None)
            tally.same_rule += their_rule == our_rule
            if their_rule is None and our_rule is None and name.startswith("c4"):
                tally.texts += 1
                tally.same_text += text == their[f"{name}_text"]
            if (their_rule is None) != (our_rule is None):
                entry = {"filter": name, "row": row, "id": found[row][0], "text": found[row][1]}
                tally.different.append(entry | {"theirs": their_rule, "ours": our_rule})
    measured([entry for tally in tallies.values() for entry in tally.different], python, path)
    return tallies


def measured(entries: list[dict[str, Any]], python: Path, path: Path) -> None:
    """Add what both sides measure to documents on which they disagree."""
    texts = {entry["id"]: entry["text"] for entry in entries}
    corpus.write_lines(list(texts.items()), path)
    lines = peers.run(python, "peer_filters.py", "measure", str(path)).splitlines()
    numbers = {record["id"]: record for record in map(json.loads, lines)}
    for entry in entries:
        batch = Batch.from_texts([entry["text"]])
        judged = judge(opened(entry["filter"]), batch)
        their = numbers[entry["id"]]
        there = their[entry["filter"].removesuffix(UNICODE)]
        rule = entry["theirs"] if entry["theirs"] in judged.scores else entry["ours"]
        entry["rule"] = rule
        entry["there"] = there.get(rule)
        entry["here"] = float(judged.scores[rule][0]) if rule in judged.scores else None
        entry["threshold"] = threshold(entry["filter"], rule)
        raw = entry["text"].encode()
        words = tokens_of(batch, "unicode" if entry["filter"].endswith(UNICODE) else "english")
        ours = [raw[a:b].decode() for a, b in zip(words.starts, words.ends, strict=True)]
        entry["tokens_there"], entry["tokens_here"] = len(their["tokens"]), len(ours)
        entry["constructs"] = Counter(differences(their["tokens"], ours)).most_common(6)
        entry["cause"] = cause(entry)


def cause(entry: dict[str, Any]) -> str:
    """Why the two sides measure something else."""
    if entry["here"] is None or entry["here"] != entry["here"]:
        return "most of it is in a script written without spaces: words are not judged here"
    rule = entry["rule"]
    if rule.startswith("duplicate_line") or rule.startswith("duplicate_para"):
        return "lines that hold nothing but spaces are lines there, and blank here"
    if rule == "sentences":
        return "sentences are cut elsewhere"
    if rule.startswith(("top_", "duplicate_")) and not entry["constructs"]:
        return "n-grams"
    return "tokens are cut elsewhere"


def threshold(name: str, rule: str) -> float | None:
    for settings in STEPS[name]:
        for each in settings.rules() if hasattr(settings, "rules") else ():
            if each.name == rule:
                bound: float | None = each.minimum if each.minimum is not None else each.maximum
                return bound
    return None


def differences(theirs: Iterable[str], ours: Iterable[str]) -> list[str]:
    """Stretches between borders that both sides have, in which they cut differently: `don't: do|n't, don't`."""
    found = []
    there, here = ([("".join(token.split())) for token in side] for side in (theirs, ours))
    left, right = iter(filter(None, there)), iter(filter(None, here))
    pending: tuple[list[str], list[str]] = ([], [])
    sizes = [0, 0]
    while True:
        side = 0 if sizes[0] <= sizes[1] else 1
        token = next((left, right)[side], None)
        if token is None:
            break
        pending[side].append(token)
        sizes[side] += len(token)
        if sizes[0] == sizes[1]:
            if pending[0] != pending[1]:
                found.append(f"{'|'.join(pending[0])} / {'|'.join(pending[1])}")
            pending = ([], [])
    return found


def table(tallies: dict[str, dict[str, Tally]]) -> str:
    rows = ["| filter | texts | documents | dropped there | dropped here | same verdict | same rule |"]
    rows.append("|---|---|---:|---:|---:|---:|---:|")
    for name in STEPS:
        for group, by_filter in tallies.items():
            rows.append(row(name, group, by_filter[name]))
        total = Tally()
        for by_filter in tallies.values():
            for attribute in ("documents", "same_verdict", "same_rule", "dropped_there", "dropped_here"):
                value = getattr(total, attribute) + getattr(by_filter[name], attribute)
                setattr(total, attribute, value)
        rows.append(row(f"**{name}**", "**all**", total))
    return "\n".join(rows)


def row(name: str, group: str, tally: Tally) -> str:
    verdict, rule = (share / max(1, tally.documents) for share in (tally.same_verdict, tally.same_rule))
    return (
        f"| {name} | {group} | {tally.documents:,} | {tally.dropped_there:,} | {tally.dropped_here:,} "
        f"| {verdict:.2%} | {rule:.2%} |"
    )


def explain(entry: dict[str, Any]) -> str:
    """One disagreement: who dropped it, by what rule, what was measured, and why that differs."""
    there, here = ("none" if value is None else f"{value:.4g}" for value in (entry["there"], entry["here"]))
    text = (
        f"`{entry['id']}`: dropped {'there' if entry['theirs'] else 'here'} by {entry['theirs'] or entry['ours']} "
        f"(there {there}, here {here}, limit {entry['threshold']}): {entry['cause']}"
    )
    if entry["cause"].startswith(("tokens", "n-grams")):
        shapes = ", ".join(f"`{short(shape)}` ×{count}" for shape, count in entry["constructs"][:4])
        text += f" ({entry['tokens_there']:,} there, {entry['tokens_here']:,} here; {shapes})"
    return text


def short(shape: str) -> str:
    shape = "".join(character if character.isprintable() else "?" for character in shape).replace("`", "'")
    return shape if len(shape) <= 40 else f"{shape[:39]}…"


def page(tallies: dict[str, dict[str, Tally]], groups: dict[str, list[corpus.Document]]) -> str:
    """docs/parity.md: what is compared, the table, the causes, every disagreement."""
    parts = [INTRODUCTION.format(machine=describe().split(",")[0]), table(tallies), "", CAUSES]
    for name in STEPS:
        entries = [entry for by_filter in tallies.values() for entry in by_filter[name].different]
        parts.append(f"\n## {name}: {len(entries)} disagreements\n")
        parts.extend(f"- {explain(entry)}" for entry in entries)
    kept = [
        tally for by_filter in tallies.values() for name, tally in by_filter.items() if name.startswith("c4")
    ]
    parts.append(
        f"\nTexts that C4's rules about lines leave, of documents that both sides keep: "
        f"{sum(tally.same_text for tally in kept):,} of {sum(tally.texts for tally in kept):,} are the same "
        f"to the character.\n"
    )
    return "\n".join(parts)


INTRODUCTION = """# Parity with datatrove

The quality filters compute what datatrove 0.10.1, the code behind FineWeb, computes. This page compares the verdicts
(kept or dropped) of each filter alone, document by document, on the same texts, and lists every document on which the
two disagree, with what both measured. It is written by `python -m benchmarks parity --data FOLDER --write
docs/parity.md` ({machine}); datatrove runs in an environment of its own, with spaCy's blank English tokenizer.

Texts: *jsonl*, samples of web pages, papers, questions and answers and code in JSON lines; *wiki_demo*, Wikipedia
articles; *enwiki*, articles of a Wikipedia dump with their markup removed roughly; *web*, the gold texts of the WCXB
benchmark (articles, forums, products, listings). `c4_fineweb` is C4 without its rule on terminal punctuation, as
FineWeb used it. *Same rule*: also the rule that dropped the document is the same one.
"""

CAUSES = """
## Where the two differ, and why

**Tokens.** datatrove counts the tokens of spaCy's English tokenizer, and the thresholds were set by counting them. By
default textmill cuts English tokens by those rules, too, in a kernel of its own; what is left are emoticons,
contractions without an apostrophe (`dont`, `id`) and rare abbreviations. The rows *Unicode words* have `tokens:
unicode` in the filter's settings: the rules of UAX #29, which hold for every language, and which are the default where
a filter names another `language` than English. The rule "80 % of the words hold a letter" sees the difference: `IL-3`,
`24/7`, `10:43`, `Facebook.com/x` are one token there and three or more here, most of them without a letter; `I'm`,
`don't`, `Ann's` are two tokens with a letter there and one here; and a full stop behind an initial (`J.`) or in `a.m.`
is no token of its own there. All of it lowers the share of tokens with a letter here, by one to five points. Runs of
punctuation (`-----`, `......`, `//`, `::`) are one token there and many here, so that Gopher's n-grams see more
repetition in code, LaTeX and log files here.

**Scripts without spaces.** A text that is mostly Chinese, Japanese, Thai ... has no words that a rule about spaces
could find: there every stretch between spaces is one word, so the document is too short; here these rules say nothing,
unless `dictionary: true` looks its words up.

**Blank lines.** A line of spaces is a line there, and the second one a duplicate; here it is blank and not counted.
"""


if __name__ == "__main__":
    sys.exit(main())
