"""The caller's address: believed from trusted proxies alone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from services.ingress.origin import client_ip, hops
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
    ("10.0.0.1", ["unknown"], ""), ("10.0.0.1", ["_hidden"], ""), ("10.0.0.1", ["6.6.6.6", "junk"], ""),
    ("", ["203.0.113.9"], ""),
])
def test_nearest_address_that_no_trusted_proxy_has_is_the_callers(remote: str, chain: list[str], found: str) -> None:
    assert client_ip(remote, chain, PROXIES) == found


@given(st.text(max_size=60))
def test_what_a_stranger_writes_is_never_believed(header: str) -> None:
    assert client_ip("192.0.2.1", hops(header), PROXIES) == "192.0.2.1"


def test_setting_that_is_no_network_is_refused_at_the_start() -> None:
    with pytest.raises(ValidationError, match="no network"):
        IngressSettings(trusted_proxies=("10.0.0.0/40",))
