"""The caller's address: believed from trusted proxies alone."""

from typing import Any, cast

import pytest
from aiohttp.test_utils import make_mocked_request
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from services.ingress.callers import Callers
from services.ingress.origin import client_ip, forwarded_for, hops
from services.ingress.settings import IngressSettings
from shared.project.access.networks import Networks

PROXIES = Networks(["10.0.0.0/8", "2001:db8::/64"])


@pytest.mark.parametrize(("remote", "chain", "found"), [
    ("192.0.2.1", ["203.0.113.9"], "192.0.2.1"),
    ("10.0.0.1", ["203.0.113.9"], "203.0.113.9"),
    ("10.0.0.1", ["6.6.6.6", "203.0.113.9", "10.0.0.2"], "203.0.113.9"),
    ("10.0.0.1", ["6.6.6.6", "10.0.0.3", "10.0.0.2"], "6.6.6.6"),
    ("10.0.0.1", ["10.0.0.3"], "10.0.0.3"),
    ("10.0.0.1", [], "10.0.0.1"),
    ("::ffff:10.0.0.1", ["203.0.113.9:4711"], "203.0.113.9"),
    ("2001:db8::1", ['"[2001:db9::7]:4711"'], "2001:db9::7"),
    ("10.0.0.1", ["::ffff:203.0.113.9"], "203.0.113.9"), ("10.0.0.1", ['"[::FFFF:cb00:7109]:4711"'], "203.0.113.9"),
    ("10.0.0.1", ["unknown"], ""), ("10.0.0.1", ["_hidden"], ""), ("10.0.0.1", ["6.6.6.6", "junk"], ""),
    ("", ["203.0.113.9"], ""),
])
def test_nearest_address_that_no_trusted_proxy_has_is_the_callers(remote: str, chain: list[str], found: str) -> None:
    assert client_ip(remote, reversed(chain), PROXIES) == found


@given(st.text(max_size=60))
def test_what_a_stranger_writes_is_never_believed(header: str) -> None:
    assert client_ip("192.0.2.1", hops(header), PROXIES) == "192.0.2.1"


@pytest.mark.parametrize(("fields", "found"), [
    ([], []), ([""], []), ([" , ,"], []),
    (["for=203.0.113.9"], ["203.0.113.9"]),
    (["For=6.6.6.6 ; proto=https;by=10.0.0.2,for=203.0.113.9:4711"], ["6.6.6.6", "203.0.113.9:4711"]),
    (["for=6.6.6.6", "for=203.0.113.9, for=10.0.0.2"], ["6.6.6.6", "203.0.113.9", "10.0.0.2"]),
    (['for="[2001:db8::1]:4711";;host="a, for=6.6.6.6"'], ['"[2001:db8::1]:4711"']),
    (['for=6.6.6.6;x=", for="[2001:db8::1]:4711"'], ["", '"[2001:db8::1]:4711"']),
    (['for="6.6.6.6, for=203.0.113.9'], ["", "203.0.113.9"]),
    (['for=6.6.6.6;x="\\", for="[2001:db8::1]"', "for=10.0.0.2"], ["", '"[2001:db8::1]"', "10.0.0.2"]),
    (["by=10.0.0.2;proto=https", "for=unknown"], ["", "unknown"]), (["for=6.6.6.6;for=7.7.7.7"], [""]),
    (["for=[2001:db8::1]"], [""]), (["for=6.6.6.6, for = 203.0.113.9"], [""]), (['for="6.6.6.6'], [""]),
])
def test_each_element_of_forwarded_says_whom_it_is_for_as_far_as_it_can_be_read(
        fields: list[str], found: list[str]) -> None:
    assert [*forwarded_for(fields)] == found[::-1]


WORDS = st.text(alphabet='",;=\\\\ []:for6.x\t', max_size=30) | st.text(max_size=30)


@given(WORDS, st.sampled_from(["203.0.113.9", "2001:db9::7"]), st.booleans(), WORDS)
def test_nothing_that_stands_before_hides_what_a_proxy_has_appended(
        before: str, address: str, port: bool, host: str) -> None:
    quoted = host.replace("\\", "\\\\").replace('"', '\\"')
    node = f'"[{address}]{":4711" * port}"' if ":" in address else f'"{address}:4711"' if port else address
    field = f'{before}, for={node};proto=https;host="{quoted}"'
    assert client_ip("10.0.0.1", forwarded_for([field]), PROXIES) == address


@pytest.mark.parametrize(("forwarded", "found"), [
    ('for=6.6.6.6;x=", for="[2001:db9::1]:4711"', "2001:db9::1"), ('for="[2001:db9::1]"', "2001:db9::1"),
    ("for=203.0.113.9, for=10.0.0.2", "203.0.113.9"), ('for="203.0.113.9', ""), ('for=6.6.6.6", for=10.0.0.2', ""),
])
def test_address_is_unknown_where_a_trusted_proxys_header_cannot_be_read(forwarded: str, found: str) -> None:
    settings = IngressSettings(trusted_proxies=("10.0.0.0/8",), forwarded_by="forwarded")
    callers = Callers(settings, cast(Any, None), cast(Any, None))
    request = make_mocked_request("GET", "/", headers={"Forwarded": forwarded})
    assert callers.address(request.clone(remote="10.0.0.1")) == found
    assert callers.address(request.clone(remote="192.0.2.1")) == "192.0.2.1"


@pytest.mark.parametrize("proxies", [(), ("10.0.0.0/8",)])
@pytest.mark.parametrize(("remote", "told"), [
    ("::ffff:192.0.2.1", "192.0.2.1"), ("192.0.2.1", "192.0.2.1"), ("2001:db9::1", "2001:db9::1"), ("", "")])
def test_a_socket_of_both_families_tells_ipv4_as_such(proxies: tuple[str, ...], remote: str, told: str) -> None:
    callers = Callers(IngressSettings(trusted_proxies=proxies), cast(Any, None), cast(Any, None))
    request = make_mocked_request("GET", "/", headers={"X-Forwarded-For": "6.6.6.6"})
    assert callers.address(request.clone(remote=remote)) == told
    assert callers.address_of(remote, "6.6.6.6") == told


def test_proxy_is_known_by_a_socket_of_both_families() -> None:
    callers = Callers(IngressSettings(trusted_proxies=("10.0.0.0/8",)), cast(Any, None), cast(Any, None))
    request = make_mocked_request("GET", "/", headers={"X-Forwarded-For": "6.6.6.6"})
    assert callers.address(request.clone(remote="::ffff:10.0.0.1")) == "6.6.6.6"


def test_setting_that_is_no_network_is_refused_at_the_start() -> None:
    with pytest.raises(ValidationError, match="no network"):
        IngressSettings(trusted_proxies=("10.0.0.0/40",))
