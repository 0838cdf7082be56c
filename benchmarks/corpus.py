"""The texts that benchmarks run on: a folder of data, or what the installed Python says about itself.

    TEXTMILL_DATA=folder:folder python -m benchmarks ...

Understood below a folder: `.jsonl` (a field `text`), `.txt` (one document per line where lines are long, else
pieces of 4 kB), MediaWiki dumps (`.xml….bz2`), and tar archives of WCXB's gold texts
(`dev/ground-truth/*.json`). Without a folder the documentation inside the installed Python serves.
"""

from __future__ import annotations

import bz2
import hashlib
import json
import os
import re
import tarfile
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

Document = tuple[str, str]
"""Name and text."""

PIECE = 4000


def data_folders(given: list[Path] | None = None) -> list[Path]:
    """`--data`, or the paths in the variable TEXTMILL_DATA, or none."""
    return given or [Path(each) for each in os.environ.get("TEXTMILL_DATA", "").split(os.pathsep) if each]


def sample(folders: list[Path], megabytes: float) -> list[Document]:
    """Different documents in the order of their texts' hashes, until they hold so many MB (UTF-8), or all."""
    found = {}
    for folder in folders:
        for name, text in documents(folder):
            found[hashlib.sha256(text.encode()).digest()] = (f"{folder.name}/{name}", text)
    for name, text in () if folders else python_documentation(megabytes):
        found[hashlib.sha256(text.encode()).digest()] = (name, text)
    chosen, size = [], 0
    for digest in sorted(found):
        if size >= megabytes * 1e6:
            break
        chosen.append(found[digest])
        size += len(found[digest][1].encode())
    return chosen


def documents(folder: Path) -> Iterator[Document]:
    """All documents below a folder, or of one file, in the order of their paths."""
    paths = [folder] if folder.is_file() else sorted(path for path in folder.rglob("*") if path.is_file())
    for path in paths:
        name = path.name if path == folder else path.relative_to(folder).as_posix()
        if path.name.endswith(".jsonl"):
            yield from json_lines(path, name)
        elif path.name.endswith(".txt"):
            yield from text_file(path, name)
        elif ".xml" in path.name and path.name.endswith(".bz2"):
            yield from wikipedia(path, name)
        elif path.name.startswith("wcxb") and ".tar" in path.name:
            yield from web_pages(path, name)


def json_lines(path: Path, name: str) -> Iterator[Document]:
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file):
            text = json.loads(line).get("text")
            if isinstance(text, str):
                # Half of a surrogate pair is no text for either side.
                yield f"{name}/{number}", text.encode("utf-8", "replace").decode()


def text_file(path: Path, name: str) -> Iterator[Document]:
    content = path.read_bytes().decode("latin-1" if "latin1" in name else "utf-8", "replace")
    lines = [line.strip() for line in content.replace("\r\n", "\n").split("\n")]
    full = [line for line in lines if line]
    if full and sum(map(len, full)) / len(full) > 1000:  # a line is an article
        for number, line in enumerate(full):
            yield f"{name}/{number}", line
    else:
        for number, piece in enumerate(pieces("\n".join(lines))):
            yield f"{name}/{number}", piece


def pieces(text: str) -> Iterator[str]:
    """Pieces of about 4 kB, cut at paragraphs."""
    pending: list[str] = []
    size = 0
    for paragraph in re.split(r"\n{2,}", text):
        pending.append(paragraph)
        size += len(paragraph)
        if size >= PIECE:
            yield "\n\n".join(pending)
            pending, size = [], 0
    if size:
        yield "\n\n".join(pending)


def wikipedia(path: Path, name: str) -> Iterator[Document]:
    """Articles of a MediaWiki dump; their markup is removed by rule of thumb."""
    with bz2.open(path) as file:
        for _, element in ElementTree.iterparse(file):
            if not element.tag.endswith("}page"):
                continue
            title = element.findtext("{*}title") or ""
            markup = element.findtext("{*}revision/{*}text") or ""
            if not markup.lower().startswith("#redirect") and ":" not in title:
                yield f"{name}/{title}", plain_text(markup)
            element.clear()


def plain_text(markup: str) -> str:
    """MediaWiki markup to text, roughly."""
    text = re.sub(
        r"(?s)<!--.*?-->|<ref[^>]*/>|<ref.*?</ref>|<math.*?</math>|<gallery.*?</gallery>", "", markup
    )
    for opening, closing in (("{{", "}}"), ("{|", "|}")):
        text = without_nested(text, opening, closing)
    text = re.sub(r"\[\[(?:File|Image|Category):(?:[^\[\]]|\[\[[^\]]*\]\])*\]\]", "", text)
    text = re.sub(r"\[\[(?:[^|\]]*\|)?([^\]]*)\]\]", r"\1", text)
    text = re.sub(r"\[https?://\S+ ?([^\]]*)\]", r"\1", text)
    text = re.sub(r"<[^>]+>", "", text)
    text = re.sub(r"'{2,}", "", text)
    text = re.sub(r"(?m)^=+ *(.*?) *=+ *$", r"\1", text)
    text = re.sub(r"(?m)^[*#:;]+ *", "- ", text).replace("&nbsp;", " ").replace("&ndash;", "–")
    return re.sub(r"\n{3,}", "\n\n", text).strip()


def without_nested(text: str, opening: str, closing: str) -> str:
    parts: list[str] = []
    depth, last = 0, 0
    for match in re.finditer(re.escape(opening) + "|" + re.escape(closing), text):
        if match[0] == opening:
            if depth == 0:
                parts.append(text[last : match.start()])
            depth += 1
        elif depth:
            depth -= 1
            last = match.end()
    return "".join(parts) + (text[last:] if depth == 0 else "")


def web_pages(path: Path, name: str) -> Iterator[Document]:
    """The gold texts of the WCXB pages."""
    with tarfile.open(path) as archive:
        for member in archive:
            if member.name.endswith(".json") and (file := archive.extractfile(member)) is not None:
                text = (json.load(file).get("ground_truth") or {}).get("main_content")
                if text:
                    yield f"{name}/{Path(member.name).stem}", text.encode("utf-8", "replace").decode()


def python_documentation(megabytes: float) -> Iterator[Document]:
    """Docstrings, READMEs and licences of the installed Python; a fifth of source is text."""
    from textmill.sources import PythonDocs
    from textmill.steps import StepContext

    settings = PythonDocs(max_source_bytes=int(6e6 * megabytes))
    reader = settings.open(StepContext())
    for split in settings.plan(1 << 24):
        for entry in reader.read(split):
            if hasattr(entry, "text"):
                yield entry.locator, entry.text


def write_lines(found: list[Document], path: Path) -> int:
    """Write JSON lines with `id` and `text`; returns the bytes of text."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8") as file:
        for name, text in found:
            file.write(json.dumps({"id": name, "text": text}) + "\n")
    return sum(len(text.encode()) for _, text in found)
