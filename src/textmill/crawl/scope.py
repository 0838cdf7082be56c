"""Which addresses a crawl is about, and which look like traps."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

from textmill.crawl.settings import CrawlSettings
from textmill.errors import UserError
from textmill.web.urls import ascii_host, canonical_url, split_url

MAX_LENGTH = 2_083
"""Characters of an address: what browsers took for a long time, and servers still do."""
MAX_SEGMENTS = 24
MAX_REPEATS = 3

# Names of files that hold no text, whatever their server calls them.
_NO_PAGE = re.compile(
    r"\.(?:7z|aac|avi|avif|bin|bmp|bz2|css|deb|dmg|doc|docx|eot|epub|exe|flac|flv|gif|gz|ico|iso|jar|jpe?g|js|m4a|m4v|mjs|"
    r"mkv|mov|mp3|mp4|mpe?g|msi|odp|ods|odt|ogg|ogv|otf|pdf|pkg|png|ppt|pptx|rar|rpm|svg|swf|tar|tgz|tiff?|ttf|wasm|wav|"
    r"weba|webm|webp|wmv|woff2?|xls|xlsx|xz|zip|zst)$",
    re.IGNORECASE,
)  # fmt: skip


class Scope:
    """Decides about links.

    Args:
        settings: domains, prefixes, exclusions.
        seeds: canonical addresses; their hosts are the domains where the settings name none.
        domains: in ASCII form.
    """

    def __init__(self, settings: CrawlSettings, seeds: Iterable[str], domains: Iterable[str]) -> None:
        self._domains = frozenset(domains)
        self._hosts = (
            frozenset() if self._domains else frozenset(_without_www(split_url(seed).host) for seed in seeds)
        )
        self._prefixes = tuple(canonical_url(one) or one for one in settings.prefixes)
        self._exclude = _any_of(tuple(settings.exclude))
        self.has_host = lru_cache(2**14)(self._has_host)

    def outside(self, url: str, host: str, path: str) -> str | None:
        """Why an address is none of this crawl's, or None: ``domain``, ``prefix``, ``excluded``, ``file``."""
        if not self.has_host(host):
            return "domain"
        if self._prefixes and not url.startswith(self._prefixes):
            return "prefix"
        if _NO_PAGE.search(path, max(0, len(path) - 6)):
            return "file"
        if self._exclude is not None and self._exclude.search(url):
            return "excluded"
        return None

    def _has_host(self, host: str) -> bool:
        if not self._domains:
            return _without_www(host) in self._hosts
        if host in self._domains:
            return True
        if host.startswith("[") or host.replace(".", "").isdigit():
            return False  # an address is below itself alone
        parts = host.split(".")
        return any(".".join(parts[start:]) in self._domains for start in range(1, len(parts)))


def trap(url: str, path: str) -> tuple[str, str] | None:
    """Reason and detail if an address looks as if it had no end: too long, too deep, or going in circles."""
    if len(url) > MAX_LENGTH:
        return "trap", f"{len(url):,} characters"
    slashes = path.count("/")
    if slashes > MAX_REPEATS:
        if slashes > MAX_SEGMENTS:
            return "trap", f"{slashes} directories deep"
        segments = [segment for segment in path.split("/") if segment]
        for segment in set(segments):
            if segments.count(segment) > MAX_REPEATS:
                return "trap", f"the directory {segment[:60]!r} stands in it {segments.count(segment)} times"
    return None


def seed_addresses(settings: CrawlSettings) -> list[str]:
    """The seeds in canonical form, each once.

    Raises:
        UserError: there are none, or one is no web address.
    """
    found = []
    for place, line in _lines(settings.seeds, "seeds"):
        bare = canonical_url(f"https://{line}") if _NAME(line) and not _FILE(line) else None
        url = canonical_url(line) or bare
        if url is None:
            raise UserError(
                "a seed is no web address, and no file either",
                expected="https://example.com/, or a file with one address per line",
                found=line[:200],
                where=place,
            )
        found.append(url)
    if not found:
        raise UserError(
            "the crawl has no seeds",
            expected="an address to begin with",
            where=settings.seeds if isinstance(settings.seeds, str) else "seeds",
            hint="name a file with one address per line: seeds: seeds.txt",
        )
    return list(dict.fromkeys(found))


def allowed_domains(settings: CrawlSettings) -> list[str]:
    """The domains in ASCII form, each once.

    Raises:
        UserError: one is no domain.
    """
    found = []
    for place, line in _lines(settings.domains, "domains"):
        name = line.removeprefix("*.").strip(".")
        if "/" in name:
            url = canonical_url(name)
            host = split_url(url).host if url else None
        else:
            host = ascii_host(name)
        if not host:
            raise UserError("a domain cannot be read", expected="example.com", found=line[:200], where=place)
        found.append(host)
    return list(dict.fromkeys(found))


def _lines(written: str | list[str], name: str) -> list[tuple[str, str]]:
    """Lines of a file or of a list, with their places, without comments and blank ones."""
    if isinstance(written, str):
        try:
            text = Path(written).read_text("utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            if canonical_url(written):
                return [(name, written)]
            raise UserError(
                f"the file of {name} cannot be read",
                expected="a text file with one entry per line",
                found=getattr(error, "strerror", None) or str(error),
                where=written,
            ) from error
        lines = [(f"{written}:{number}", line) for number, line in enumerate(text.splitlines(), 1)]
    else:
        lines = [(f"{name}[{number}]", line) for number, line in enumerate(written)]
    # A number sign begins a comment where a word could begin; inside an address it begins its fragment.
    cleaned = [(place, re.sub(r"(?:^|\s)#.*", "", line).strip()) for place, line in lines]
    return [(place, line) for place, line in cleaned if line]


def _without_www(host: str) -> str:
    return host.removeprefix("www.")


def _any_of(patterns: tuple[str, ...]):  # type: ignore[no-untyped-def]
    if not patterns:
        return None
    import re2

    return re2.compile("|".join(f"(?:{pattern})" for pattern in patterns))


_FILE = re.compile(r".*\.(?:txt|csv|tsv|lst|list|urls?|json|ya?ml)", re.IGNORECASE).fullmatch
_NAME = re.compile(r"[^\s/:]+\.[^\s/:.]+(?::\d+)?(?:/\S*)?").fullmatch
