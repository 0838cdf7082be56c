"""Web addresses in one canonical form, so that one page has one name.

::

    " HTTP://EXAMPLE.com:80/a/./b/../c%7e?q=é#top "   ──►   "http://example.com/a/c~?q=%C3%A9"
    "../c", base "http://example.com/a/b/"            ──►   "http://example.com/a/c"
    "mailto:me@example.com", "http://", "foo"         ──►   None

An address is read as browsers read it (WHATWG URL standard: backslashes, tabs and newlines inside, ``0x7f.1`` for
127.0.0.1, Unicode host names by UTS #46), and normalised further as RFC 3986, section 6.2.2, allows: escapes have
capital letters, escaped letters, digits and ``-._~`` are unescaped, and a ``%`` that begins no escape becomes ``%25``.
The fragment goes, and so do user name and password: nobody here sends them, and no corpus should keep them.

Most links of most pages are canonical already but for their base: one regular expression finds that out and the base's
parts are kept, which makes them cost about a microsecond. Everything else takes the long way.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, NamedTuple

import idna


class SplitUrl(NamedTuple):
    """The parts of a canonical address.

    Attributes:
        scheme: ``http`` or ``https``.
        host: a name in its ASCII form, an IPv4 address, or an IPv6 address in brackets.
        port: as written, None where it is the scheme's own.
        path: begins with ``/``.
        query: without its question mark; None where there is none.
    """

    scheme: str
    host: str
    port: int | None
    path: str
    query: str | None

    @property
    def origin(self) -> str:
        """Scheme, host and port: what a robots.txt speaks for."""
        port = "" if self.port is None else f":{self.port}"
        return f"{self.scheme}://{self.host}{port}"


def canonical_url(url: str, base: str | None = None, encoding: str = "utf-8") -> str | None:
    """The absolute http or https address that ``url`` means, in canonical form.

    Canonical addresses stay as they are: ``canonical_url(canonical_url(u)) == canonical_url(u)``.

    Args:
        url: absolute, or relative to ``base``.
        base: absolute http or https address, canonical or not.
        encoding: of the page that holds the link: it decides how a query is escaped (WHATWG URL, 4.4).

    Returns:
        None where it is no address, or one of another scheme.
    """
    plain = url[: url.index("#")] if "#" in url else url
    if _CANONICAL(plain) and "/." not in plain:
        return plain
    if base is not None and _PLAIN_PATH(plain):
        parts = _base_parts(base)
        if parts is not None:
            if plain[0] != "." and "/." not in plain:
                return parts.origin + plain if plain[0] == "/" else parts.folder + plain
            path, mark, query = plain.partition("?")
            whole = path if path[0] == "/" else parts.path[: parts.path.rindex("/") + 1] + path
            return parts.origin + _without_dots(whole) + mark + query
    return _parse(url, base, encoding)


def split_url(url: str) -> SplitUrl:
    """The parts of a canonical address.

    Raises:
        ValueError: it is not canonical enough to be cut.
    """
    match = _PARTS.fullmatch(url)
    if match is None:
        raise ValueError(f"expected a canonical http or https address, found {url!r}")
    scheme, host, port, path, query = match.groups()
    return SplitUrl(scheme, host, int(port) if port else None, path, query)


def host_of(url: str) -> str:
    """The host of a canonical address, without its port; an IPv6 address in brackets."""
    return split_url(url).host


def is_below(host: str, domain: str) -> bool:
    """Whether a host is a domain or lies below it: ``www.example.com`` below ``example.com``.

    Both in their ASCII form; a final dot means nothing. An address is below itself alone.
    """
    host = host.rstrip(".").lower()
    domain = domain.strip(".").lower()
    if host == domain:
        return True
    return host.endswith("." + domain) and not _ends_in_number(host)


@lru_cache(2**14)
def registered_domain(host: str) -> str:
    """The part of a host name that somebody registered: ``example.co.uk`` of ``www.example.co.uk``.

    By the Public Suffix List as the package ``publicsuffixlist`` carries it; nothing is fetched. Private suffixes count
    (``me.github.io`` of ``www.me.github.io``). A host without one (an address, ``localhost``, ``co.uk``) stands for
    itself.
    """
    host = host.rstrip(".").lower()
    if host.startswith("[") or _ends_in_number(host):
        return host
    return _public_suffixes().privatesuffix(host) or host


def ascii_host(host: str) -> str | None:
    """A host as canonical addresses write it, or None: ``bücher.example`` becomes ``xn--bcher-kva.example``.

    For host names that people write into files of domains; escapes, capital letters and all forms of an IPv4 address
    are understood (WHATWG URL, 3.5).
    """
    return _parse_host(host)


# The long way: WHATWG URL, 4.4, for the two schemes.


class _Base(NamedTuple):
    scheme: str
    origin: str
    folder: str  # origin and path up to its last slash
    path: str
    query: str  # with its question mark


@lru_cache(2**12)
def _base_parts(base: str) -> _Base | None:
    url = canonical_url(base)
    if url is None:
        return None
    parts = split_url(url)
    folder = parts.path[: parts.path.rindex("/") + 1]
    query = "" if parts.query is None else f"?{parts.query}"
    return _Base(parts.scheme, parts.origin, parts.origin + folder, parts.path, query)


def _parse(url: str, base: str | None, encoding: str) -> str | None:
    url = url.strip(_C0_AND_SPACE).translate(_NO_TABS_AND_NEWLINES).partition("#")[0]
    scheme, colon, rest = url.partition(":")
    parts = None if base is None else _base_parts(base)
    if colon and _SCHEME(scheme):
        scheme = scheme.lower()
        if scheme not in _DEFAULT_PORTS:
            return None
        if parts is not None and parts.scheme == scheme and not _TWO_SLASHES(rest):
            url = rest  # "http:page" is relative where the base has the same scheme
        else:
            return _absolute(scheme, rest.lstrip("/\\"), encoding)
    if parts is None:
        return None
    if _TWO_SLASHES(url):
        return _absolute(parts.scheme, url.lstrip("/\\"), encoding)
    path, mark, query = url.partition("?")
    if not path:
        return parts.origin + parts.path + (_query(query, encoding) if mark else parts.query)
    path = path.replace("\\", "/")
    whole = path if path[0] == "/" else parts.folder[len(parts.origin) :] + path
    return parts.origin + _path(whole) + (_query(query, encoding) if mark else "")


def _absolute(scheme: str, rest: str, encoding: str) -> str | None:
    match = _AUTHORITY.match(rest)
    assert match is not None
    authority, path, mark, query = match.groups()
    host_and_port = authority.rpartition("@")[2]
    found = _HOST_AND_PORT.fullmatch(host_and_port)
    if found is None:
        return None
    host = _parse_host(found[1])
    if host is None:
        return None
    port = found[2] or ""
    if port:
        number = int(port) if len(port.lstrip("0")) <= 5 else 2**16
        if number >= 2**16:
            return None
        port = "" if number == _DEFAULT_PORTS[scheme] else f":{number}"
    path = _path(path.replace("\\", "/") or "/")
    return f"{scheme}://{host}{port}{path}" + (_query(query or "", encoding) if mark else "")


def _path(path: str) -> str:
    path = _escape(path, _PATH_UNSAFE, "utf-8")
    return _without_dots(path) if "/." in path else path


def _query(query: str, encoding: str) -> str:
    return "?" + _escape(query, _QUERY_UNSAFE, encoding)


def _escape(text: str, unsafe: re.Pattern[str], encoding: str) -> str:
    """Percent-encode what must be, and normalise what is."""
    if "%" in text:
        text = _PERCENT.sub(_normal_escape, text)
    return unsafe.sub(lambda match: _percent_encoded(match[0], encoding), text)


def _percent_encoded(text: str, encoding: str) -> str:
    # A character that the encoding lacks is written as &#1234; in escapes (WHATWG URL, 1.3).
    data = _SURROGATES.sub("\ufffd", text).encode(encoding, "xmlcharrefreplace")
    return "".join(chr(byte) if chr(byte) in _UNRESERVED else f"%{byte:02X}" for byte in data)


def _normal_escape(match: re.Match[str]) -> str:
    digits = match[1]
    if not digits:
        return "%25"
    character = chr(int(digits, 16))
    return character if character in _UNRESERVED else "%" + digits.upper()


def _without_dots(path: str) -> str:
    """RFC 3986, 5.2.4; empty segments stay."""
    kept: list[str] = []
    segments = path.split("/")[1:]
    for segment in segments:
        if segment == "..":
            if kept:
                kept.pop()
        elif segment != ".":
            kept.append(segment)
    if segments[-1] in (".", ".."):
        kept.append("")
    return "/" + "/".join(kept)


# Hosts: WHATWG URL, 3.5; UTS #46.


@lru_cache(2**14)
def _parse_host(host: str) -> str | None:
    if host.startswith("["):
        return _ipv6(host[1:-1]) if host.endswith("]") else None
    if "%" in host:
        data = _HOST_ESCAPE.sub(lambda match: bytes([int(match[1], 16)]), host.encode("utf-8", "replace"))
        host = data.decode("utf-8", "replace")
    name = _domain_to_ascii(host)
    if not name or _FORBIDDEN_IN_DOMAIN.search(name):
        return None
    return _ipv4(name) if _ends_in_number(name) else name


def _domain_to_ascii(host: str) -> str | None:
    if host.isascii():
        return host.lower()
    try:
        mapped = idna.uts46_remap(host, std3_rules=False, transitional=False)
    except (idna.IDNAError, UnicodeError):
        return None
    labels = [_label_to_ascii(label) for label in mapped.split(".")]
    return None if None in labels else ".".join(label for label in labels if label is not None)


def _label_to_ascii(label: str) -> str | None:
    if label.isascii() and not label.startswith("xn--"):
        return label
    try:
        if label.startswith("xn--"):
            decoded = label[4:].encode("ascii").decode("punycode")
            # It must be what encoding gives, of a text that mapping leaves alone.
            if decoded.isascii() or idna.uts46_remap(decoded, False, False) != decoded:
                return None
            if _punycode(decoded) != label:
                return None
        else:
            decoded = label
        idna.check_initial_combiner(decoded)
        if _RIGHT_TO_LEFT.search(decoded):
            idna.check_bidi(decoded)
        for position, character in enumerate(decoded):
            if character in "\u200c\u200d" and not idna.valid_contextj(decoded, position):
                return None
    except (idna.IDNAError, ValueError):
        return None
    return _punycode(decoded)


def _punycode(label: str) -> str:
    return "xn--" + label.encode("punycode").decode()


def _ends_in_number(host: str) -> bool:
    last = host.removesuffix(".").rpartition(".")[2]
    return bool(_NUMBER(last))


def _ipv4(host: str) -> str | None:
    parts = host.removesuffix(".").split(".")
    if len(parts) > 4:
        return None
    numbers = []
    for part in parts:
        if not _NUMBER_PART(part):
            return None
        if part[:2] in ("0x", "0X"):
            numbers.append(int(part[2:] or "0", 16))
        elif part[0] == "0" and len(part) > 1:
            if "8" in part or "9" in part:
                return None
            numbers.append(int(part, 8))
        elif len(part) > 10:
            return None
        else:
            numbers.append(int(part))
    last = numbers.pop()
    if any(number > 255 for number in numbers) or last >= 256 ** (4 - len(numbers)):
        return None
    value = last + sum(number << 8 * (3 - place) for place, number in enumerate(numbers))
    return ".".join(str(value >> shift & 255) for shift in (24, 16, 8, 0))


def _ipv6(text: str) -> str | None:
    from ipaddress import AddressValueError, IPv6Address

    if "%" in text:
        return None  # a zone means something on one machine only
    try:
        value = int(IPv6Address(text))
    except AddressValueError:
        return None
    groups = [f"{value >> shift & 0xFFFF:x}" for shift in range(112, -1, -16)]
    best_start, best_length = 0, 1
    start = 0
    for place in range(9):
        if place == 8 or groups[place] != "0":
            if place - start > best_length:
                best_start, best_length = start, place - start
            start = place + 1
    if best_length > 1:
        left, right = groups[:best_start], groups[best_start + best_length :]
        return f"[{':'.join(left)}::{':'.join(right)}]"
    return f"[{':'.join(groups)}]"


@lru_cache(1)
def _public_suffixes() -> Any:
    from publicsuffixlist import PublicSuffixList

    return PublicSuffixList()


_DEFAULT_PORTS = {"http": 80, "https": 443}
_UNRESERVED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_C0_AND_SPACE = "".join(map(chr, range(0x21)))
_NO_TABS_AND_NEWLINES = dict.fromkeys((9, 10, 13))
_SURROGATES = re.compile("[\ud800-\udfff]")

# Escapes that are normal already: capital letters, and of no unreserved character.
_ESCAPE = r"%(?:[0189A-F][0-9A-F]|2[0-9A-CF]|3[A-F]|40|5[B-E]|60|7[BCDF])"
# The path percent-encode set (WHATWG URL, 1.3) leaves these alone, and so does the query's without the apostrophe.
_PATH_CHARACTERS = r"A-Za-z0-9._~!$&'()*+,;=:@|\[\]/-"
_QUERY = rf"\?(?:[A-Za-z0-9._~!$&()*+,;=:@|\[\]/?`{{}}\\^-]++|{_ESCAPE})*+"
_PATH = rf"(?:[{_PATH_CHARACTERS}]++|{_ESCAPE})*+"
_NAME = r"(?:[a-z0-9_-]++\.)*+[a-z][a-z0-9_-]*+"
_BYTE = r"(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_PORT = r":(?!80/|443/)[1-5]?[1-9][0-9]{0,3}"  # not all, but all that are common
_CANONICAL = re.compile(
    rf"https?://(?:{_NAME}|{_BYTE}(?:\.{_BYTE}){{3}})(?:{_PORT})?+/{_PATH}(?:{_QUERY})?+"
).fullmatch
# A path below the origin or below the base's folder: no scheme, no second slash in front.
_PLAIN_PATH = re.compile(
    rf"(?:/(?!/)|(?![^/?]*:)[{_PATH_CHARACTERS.replace('/', '')}]){_PATH}(?:{_QUERY})?+"
).fullmatch

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*").fullmatch
_TWO_SLASHES = re.compile(r"[/\\]{2}").match
_AUTHORITY = re.compile(r"([^/\\?]*)([^?]*)(\?)?(.*)", re.DOTALL)
_HOST_AND_PORT = re.compile(r"(\[[^\]]*\]|[^:\[]+)(?::([0-9]*))?", re.DOTALL)
_PARTS = re.compile(r"(https?)://(\[[^\]]*\]|[^/:?\[]+)(?::([0-9]+))?(/[^?#]*)(?:\?([^#]*))?", re.DOTALL)
_PATH_UNSAFE = re.compile(r"""[^!$%&'()*+,\-./0-9:;=@A-Z\[\\\]_a-z|~]+""")
_QUERY_UNSAFE = re.compile(r"""[^!$%&()*+,\-./0-9:;=?@A-Z\[\\\]^_`a-z{|}~]+""")
_PERCENT = re.compile(r"%([0-9A-Fa-f]{2})?")
_HOST_ESCAPE = re.compile(rb"%([0-9A-Fa-f]{2})")
_FORBIDDEN_IN_DOMAIN = re.compile(r"[\x00-\x20#%/:<>?@\[\\\]^|\x7f]")
_NUMBER = re.compile(r"[0-9]+|0[xX][0-9A-Fa-f]*").fullmatch
_NUMBER_PART = re.compile(r"0[xX][0-9A-Fa-f]*|[0-9]+").fullmatch
_RIGHT_TO_LEFT = re.compile(
    "[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufeff\U00010800-\U00010fff\U0001e800-\U0001efff]"
)
