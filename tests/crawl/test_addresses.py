"""Addresses that must not be spoken to, in every disguise."""

from __future__ import annotations

import asyncio
import socket

import pytest

from textmill.crawl.addresses import AddressGuard, ForbiddenAddressError, GuardedResolver


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "127.8.9.1", "0.0.0.0", "10.1.2.3", "172.16.0.1", "172.31.255.255", "192.168.1.1",
        "169.254.169.254", "100.64.0.1", "192.0.0.8", "192.0.2.7", "198.18.0.1", "198.51.100.1", "203.0.113.9",
        "224.0.0.1", "240.0.0.1",
        "255.255.255.255", "192.88.99.1", "::", "::1", "fe80::1", "fe80::1%eth0", "fc00::1", "fd12::1", "ff02::1",
        "2001:db8::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::127.0.0.1", "2002:7f00:1::", "2002:a00:1::1",
        "64:ff9b::7f00:1", "64:ff9b:1::1", "2001:0:4136:e378:8000:63bf:80ff:fffe", "fec0::1", "garbage",
    ],
)  # fmt: skip
def test_inner_addresses(address: str) -> None:
    assert AddressGuard().fault(address)


@pytest.mark.parametrize(
    "address",
    ["1.1.1.1", "93.184.216.34", "2606:4700::1111", "::ffff:1.1.1.1", "64:ff9b::101:101", "172.32.0.1"],
)
def test_public_addresses(address: str) -> None:
    assert AddressGuard().fault(address) is None


def test_what_is_allowed_is_allowed_and_nothing_else() -> None:
    guard = AddressGuard(["127.0.0.0/8", "fd00::/8"])
    assert guard.fault("127.3.4.5") is None
    assert guard.fault("fd00::7") is None
    assert guard.fault("10.0.0.1") == "private"
    assert guard.fault("::1") == "loopback"


def test_ports_of_other_services() -> None:
    guard = AddressGuard()
    guard.check("1.1.1.1", 443)
    guard.check("1.1.1.1", 8080)
    with pytest.raises(ForbiddenAddressError, match="port 25"):
        guard.check("1.1.1.1", 25)


def test_a_name_is_judged_by_its_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    found = {"inner": ["10.0.0.1"], "both": ["10.0.0.1", "1.1.1.1"]}

    async def resolve(
        _: object, host: str, port: int, family: socket.AddressFamily
    ) -> list[dict[str, object]]:
        return [{"hostname": host, "host": address, "port": port} for address in found[host]]

    monkeypatch.setattr("textmill.crawl.addresses.ThreadedResolver.resolve", resolve)

    async def ask() -> None:
        resolver = GuardedResolver(AddressGuard())
        assert [one["host"] for one in await resolver.resolve("both", 80)] == ["1.1.1.1"]
        with pytest.raises(ForbiddenAddressError, match="private"):
            await resolver.resolve("inner", 80)

    asyncio.run(ask())
