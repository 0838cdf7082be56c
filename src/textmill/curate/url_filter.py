"""The filter ``url_filter``: where a document comes from."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar, Literal
from urllib.parse import unquote

import numpy as np
from pydantic import Field, field_validator, model_validator

from textmill.curate.word_lists import existing_file, read_list
from textmill.errors import UserError
from textmill.steps.context import StepContext
from textmill.steps.filter import Filter, FilterRunner, Scores
from textmill.steps.rules import Rule
from textmill.steps.settings import InputPath

if TYPE_CHECKING:
    from textmill.documents import Batch

_LISTS = ("domains", "allowed_domains", "words", "soft_words", "parts")


class UrlFilter(Filter):
    """Drops documents by their web address: by domain, by words in it, or by parts of words.

    Follows RefinedWeb (Penedo et al., 2023, https://arxiv.org/abs/2306.01116, appendix G.1), whose lists are
    not part of textmill: name your own, in the recipe or in files with one entry per line (lines that begin
    with ``#`` do not count). A domain stands for its subdomains too. The words of an address are what anything
    but letters and digits separates, after percent-decoding, in small letters; each counts once. Parts are
    looked for in the address with everything but letters and digits taken out.
    """

    name: ClassVar[str] = "url_filter"

    domains: list[str] = Field(
        default=[], description="Domains to drop, with their subdomains (``example.com``)."
    )
    domains_file: InputPath | None = Field(default=None, description="File with more such domains.")
    allowed_domains: list[str] = Field(
        default=[], description="When there are some, all other domains are dropped."
    )
    allowed_domains_file: InputPath | None = Field(default=None, description="File with more such domains.")
    words: list[str] = Field(default=[], description="Words of which an address may hold none.")
    words_file: InputPath | None = Field(default=None, description="File with more such words.")
    soft_words: list[str] = Field(
        default=[], description="Words of which an address may hold ``max_soft_words``."
    )
    soft_words_file: InputPath | None = Field(default=None, description="File with more such words.")
    max_soft_words: int = Field(
        default=1, ge=0, description="Most different soft words; two or more drop (RefinedWeb)."
    )
    parts: list[str] = Field(default=[], description="Letters and digits that an address may nowhere hold.")
    parts_file: InputPath | None = Field(default=None, description="File with more such parts.")
    without_url: Literal["keep", "drop"] = Field(
        default="keep", description="What becomes of documents that have no address."
    )

    @field_validator(*_LISTS, mode="before")
    @classmethod
    def _one_is_a_list(cls, value: Any) -> Any:
        return [value] if isinstance(value, str) else value

    @model_validator(mode="after")
    def _some_rule(self) -> UrlFilter:
        if not self.rules():
            raise ValueError(
                "nothing to filter by; name domains, allowed_domains, words, soft_words or parts, in a list or "
                "in a file (domains_file: blocked.txt)"
            )
        return self

    def files(self) -> list[str]:
        """The lists decide results.

        Raises:
            UserError: one of their files does not exist.
        """
        paths = {f"{name}_file": getattr(self, f"{name}_file") for name in _LISTS}
        return [
            str(existing_file(path, f"{self.step_id}.{name}"))
            for name, path in paths.items()
            if path is not None
        ]

    def rules(self) -> list[Rule]:
        """Domains first, then words, as the reference implementation (datatrove) has it."""
        rules = [
            ("domains", Rule("blocked_domain", maximum=0)),
            ("allowed_domains", Rule("allowed_domain", minimum=1)),
            ("words", Rule("words", maximum=0)),
            ("soft_words", Rule("soft_words", maximum=self.max_soft_words)),
            ("parts", Rule("parts", maximum=0)),
        ]
        found = [rule for name, rule in rules if getattr(self, name) or getattr(self, f"{name}_file")]
        return [Rule("has_url", minimum=1), *found] if self.without_url == "drop" else found

    def entries(self, name: str) -> frozenset[str]:
        """The entries of one list and its file, in small letters.

        Raises:
            UserError: the file cannot be read.
        """
        entries = [entry.strip().lower() for entry in getattr(self, name)]
        path = getattr(self, f"{name}_file")
        if path is not None:
            listed = read_list(path, f"{self.step_id}.{name}_file", comments=True)
            entries += [entry.lower() for entry in listed]
        return frozenset(filter(None, entries))

    def open(self, context: StepContext) -> FilterRunner:
        """Read the lists.

        Raises:
            UserError: a file cannot be read, or a list of parts is too long.
        """
        return _Addresses(self)


class _Addresses:
    def __init__(self, settings: UrlFilter) -> None:
        from textmill.text.keywords import build_automaton

        self._blocked = frozenset(map(_bare_domain, settings.entries("domains")))
        self._allowed = frozenset(map(_bare_domain, settings.entries("allowed_domains")))
        self._words = settings.entries("words")
        self._soft_words = settings.entries("soft_words")
        parts = {_squeezed(part) for part in settings.entries("parts")} - {""}
        try:
            self._parts = build_automaton(sorted(parts))
        except ValueError as error:
            raise UserError("url_filter has too many parts", found=str(error)) from error

    def scores(self, batch: Batch) -> Scores:
        """What each list finds; NaN for documents without an address; label ``host``."""
        names = ("has_url", "blocked_domain", "allowed_domain", "words", "soft_words", "parts")
        scores = {name: np.full(len(batch), np.nan) for name in names}
        urls = batch.records.column("url").to_pylist()
        squeezed = []
        hosts = []
        for row, url in enumerate(urls):
            scores["has_url"][row] = bool(url)
            address = unquote(url).lower() if url else ""
            squeezed.append(_squeezed(address))
            host = host_of(url) if url else ""
            hosts.append(host)
            if url:
                levels = set(_levels(host))
                scores["blocked_domain"][row] = not levels.isdisjoint(self._blocked)
                scores["allowed_domain"][row] = not levels.isdisjoint(self._allowed)
                words = set(_SEPARATOR.split(address))
                scores["words"][row] = len(words & self._words)
                scores["soft_words"][row] = len(words & self._soft_words)
        has_url = scores["has_url"] == 1
        scores["parts"][has_url] = self._count_parts(squeezed)[has_url]
        return {**scores, "host": hosts}

    def _count_parts(self, addresses: list[str]) -> Any:
        from textmill.text.keywords import count_keywords

        encoded = [address.encode() for address in addresses]
        offsets = np.cumsum([0, *map(len, encoded)], dtype=np.int64)
        data = np.frombuffer(b"".join(encoded), np.uint8)
        return count_keywords(data, offsets[:-1], offsets[1:], self._parts, whole_words=False)[0]


_SEPARATOR = re.compile(r"[\W_]+")
_HOST = re.compile(r"(?:[A-Za-z][A-Za-z0-9+.\-]*:)?//(?:[^/?#]*@)?(\[[^\]/?#]*\]|[^/?#:]*)")


def host_of(url: str) -> str:
    """The host of an address, in small letters and without a last stop; empty if there is none (RFC 3986)."""
    match = _HOST.match(url.strip())
    return unquote(match[1]).lower().rstrip(".") if match else ""


def _levels(host: str) -> Iterator[str]:
    """A host and every domain that it lies in: a.b.c, b.c, c."""
    while host:
        yield host
        host = host.partition(".")[2]


def _bare_domain(entry: str) -> str:
    """A domain as lists write it: with a scheme, a path, ``*.`` or ``.`` in front."""
    return (host_of(entry) or entry.partition("/")[0]).removeprefix("*").strip(".")


def _squeezed(address: str) -> str:
    return _SEPARATOR.sub("", address)
