"""Private addresses are not called, however they are written and wherever they come from."""

import socket
from contextlib import nullcontext

import pytest
from aiohttp.abc import AbstractResolver, ResolveResult

from shared.project.access.networks import BadNetwork
from shared.runtime.addresses import Addresses, AddressRefused
from shared.runtime.guarded import GuardedResolver


@pytest.mark.parametrize(("address", "refused"), [
    ("8.8.8.8", False), ("2606:4700::1111", False), ("::ffff:8.8.8.8", False),
    ("127.0.0.1", True), ("127.9.9.9", True), ("0.0.0.0", True), ("10.1.2.3", True), ("172.16.0.1", True),
    ("192.168.0.1", True), ("169.254.169.254", True), ("100.64.0.1", True), ("224.0.0.1", True),
    ("255.255.255.255", True),
    ("198.18.0.1", True), ("192.0.2.1", True),
    ("::1", True), ("::", True), ("fe80::1", True), ("fe80::1%eth0", True), ("fd00::1", True), ("ff02::1", True),
    ("::ffff:10.0.0.1", True), ("64:ff9b::a00:1", True), ("2002:a00:1::", True), ("2001:0:a00:1::", True),
    ("::7f00:1", True), ("::ffff:0:7f00:1", True), ("fec0::1", True),
    ("fd00:ec2::254", True), ("168.63.129.16", True), ("::ffff:168.63.129.16", True), ("100.100.100.200", True),
    ("192.0.0.192", True), ("no address", True)])
def test_private_addresses_are_refused(address: str, refused: bool) -> None:
    assert Addresses([]).refuses(address) is refused


def test_listed_networks_may_be_called() -> None:
    addresses = Addresses(["10.1.0.0/16", "::1/128"])
    assert [addresses.refuses(one) for one in ("10.1.2.3", "::ffff:10.1.2.3", "::1", "10.2.0.1")] == [
        False, False, False, True]
    with pytest.raises(BadNetwork):
        Addresses(["10.0.0.0/33"])


@pytest.mark.parametrize(("host", "refused"), [
    ("8.8.8.8", False), ("2606:4700::1111", False), ("127.0.0.1", True), ("::1", True), ("fe80::1%eth0", True),
    ("outside.example", False), ("v1.fe80::a", True), ("v1.x:y.outside.example", True)])
def test_host_that_no_guarded_resolver_looks_up_is_refused_unless_it_may_be_called(host: str, refused: bool) -> None:
    with pytest.raises(AddressRefused) if refused else nullcontext():
        Addresses([]).check_literal(host)


class Fixed(AbstractResolver):
    """A name server that answers what it is told to."""

    def __init__(self, *hosts: str) -> None:
        self.hosts = hosts

    async def resolve(self, host: str, port: int = 0,
                      family: socket.AddressFamily = socket.AF_INET) -> list[ResolveResult]:
        return [ResolveResult(hostname=host, host=one, port=port, family=family, proto=0, flags=0)
                for one in self.hosts]

    async def close(self) -> None:
        """Nothing is open."""


async def test_name_that_leads_to_a_private_address_is_refused() -> None:
    assert len(await GuardedResolver(Addresses([]), Fixed("8.8.8.8", "1.1.1.1")).resolve("good.example")) == 2
    for hosts in (("10.0.0.1",), ("8.8.8.8", "127.0.0.1")):
        with pytest.raises(AddressRefused):
            await GuardedResolver(Addresses([]), Fixed(*hosts)).resolve("bad.example")
