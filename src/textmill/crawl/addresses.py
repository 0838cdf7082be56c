"""Which machines may be spoken to: none of the inner ones, whatever a name or a redirect says.

An address is checked where nothing can come between: a name when it is resolved, and every address, literal ones
too, at the moment in which a socket to it is made. So neither a DNS answer that changes, nor a redirect, nor
``http://[::ffff:127.0.0.1]/`` leads to a machine behind the firewall.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

# Ports below 1024 other than these belong to services that must not be sent requests on a page's behalf.
WEB_PORTS = frozenset({80, 443})

_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")  # RFC 6052
_NAT64_LOCAL = ipaddress.IPv6Network("64:ff9b:1::/48")  # RFC 8215
_COMPATIBLE = ipaddress.IPv6Network("::/96")  # RFC 4291, 2.5.5.1
# What Python's own tables say differs between its versions; these are sure.
_RESERVED = (
    ipaddress.IPv4Network("0.0.0.0/8"),  # RFC 1122: routed to the own machine by many systems
    ipaddress.IPv4Network("192.0.0.0/24"),  # RFC 6890
    ipaddress.IPv4Network("192.88.99.0/24"),  # RFC 7526
)


class ForbiddenAddressError(OSError):
    """An address that may not be connected to.

    Attributes:
        address: the address.
    """

    def __init__(self, address: str, reason: str) -> None:
        super().__init__(f"address {address} is {reason}")
        self.address = address


class AddressGuard:
    """Tells forbidden addresses.

    Args:
        allowed: networks that may be reached although they are not public.
    """

    def __init__(self, allowed: Sequence[str] = ()) -> None:
        self._allowed: list[Network] = [ipaddress.ip_network(one, strict=False) for one in allowed]
        self.fault = lru_cache(2**12)(self._fault)

    def _fault(self, address: str) -> str | None:
        """Why ``address`` (without brackets) may not be connected to, or None if it may.

        Not public are: loopback, private, shared (100.64.0.0/10), link-local, multicast, unspecified, reserved and
        documentation addresses (IANA's special-purpose registries, RFC 6890), and IPv6 addresses that carry such an
        IPv4 address: mapped, compatible, 6to4, Teredo and NAT64.
        """
        try:
            parsed: Address = ipaddress.ip_address(address.partition("%")[0])
        except ValueError:
            return "no address"
        for one in (parsed, *_carried(parsed)):
            if any(one.version == network.version and one in network for network in self._allowed):
                continue
            reason = _kind(one)
            if reason:
                return reason
        return None

    def check(self, address: str, port: int) -> None:
        """Raise :class:`ForbiddenAddressError` if a connection is not allowed."""
        fault = self.fault(address)
        if fault:
            raise ForbiddenAddressError(address, fault)
        if port < 1024 and port not in WEB_PORTS:
            raise ForbiddenAddressError(f"{address}, port {port}", "no web server's")

    def socket(self, info: tuple[Any, ...]) -> socket.socket:
        """aiohttp's socket factory: the last place before a connection, which nothing passes by."""
        family, kind, protocol, _, address = info
        self.check(str(address[0]), int(address[1]))
        return socket.socket(family=family, type=kind, proto=protocol)


class GuardedResolver(AbstractResolver):
    """The system's resolver, without the addresses that may not be connected to.

    A name with some forbidden addresses keeps the others; one with nothing but forbidden ones is refused with
    that reason instead of looking unreachable.
    """

    def __init__(self, guard: AddressGuard) -> None:
        self._guard = guard
        self._resolver = ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Addresses of ``host`` that may be connected to.

        Raises:
            ForbiddenAddressError: it has no others.
        """
        found = await self._resolver.resolve(host, port, family)
        allowed = [one for one in found if self._guard.fault(one["host"]) is None]
        if found and not allowed:
            address = found[0]["host"]
            raise ForbiddenAddressError(address, self._guard.fault(address) or "forbidden")
        return allowed

    async def close(self) -> None:
        """Nothing is held."""
        await self._resolver.close()


def _carried(address: Address) -> list[ipaddress.IPv4Address]:
    """IPv4 addresses inside an IPv6 address."""
    if isinstance(address, ipaddress.IPv4Address):
        return []
    if address.ipv4_mapped is not None:
        return [address.ipv4_mapped]
    if address.sixtofour is not None:
        return [address.sixtofour]
    if address.teredo is not None:
        return list(address.teredo)
    low = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    if address in _NAT64 or address in _NAT64_LOCAL or (address in _COMPATIBLE and int(address) > 1):
        return [low]
    return []


def _kind(address: Address) -> str | None:
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None or address in _NAT64:
            return None  # as good as the IPv4 address inside, which is judged for itself
        if address in _NAT64_LOCAL:
            return "of a local NAT64"
    kinds = (
        ("loopback", address.is_loopback),
        ("unspecified", address.is_unspecified),
        ("link-local", address.is_link_local),
        ("multicast", address.is_multicast),
        ("private", address.is_private),
        ("reserved", address.is_reserved),
    )
    for name, holds in kinds:
        if holds:
            return name
    if isinstance(address, ipaddress.IPv4Address) and any(address in network for network in _RESERVED):
        return "reserved"
    if isinstance(address, ipaddress.IPv6Address) and address.is_site_local:
        return "site-local"
    return None if address.is_global else "not public"
