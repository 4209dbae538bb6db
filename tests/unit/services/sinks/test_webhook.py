"""Signatures and pauses of the webhook sink; the webhook itself stands in tests/e2e."""

import base64
import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.sinks.settings import SinkSettings
from services.sinks.webhook import Webhook, keys_of, pause_s, signed
from shared.clock import SystemClock

KEY = b"k" * 32
SECRET = f"whsec_{base64.b64encode(KEY).decode()}"


def test_signature_is_the_one_of_the_specification() -> None:
    """The example of standardwebhooks.com."""
    keys = keys_of("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    headers = signed(keys, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    assert headers["webhook-timestamp"] == "1614265330"


def test_each_secret_signs_while_one_replaces_the_other() -> None:
    other = f"whsec_{base64.b64encode(b'o' * 24).decode()}"
    signatures = signed(keys_of(f"{SECRET} {other}"), "id", 5, b"body")["webhook-signature"].split()
    expected = base64.b64encode(hmac.new(KEY, b"id.5.body", hashlib.sha256).digest()).decode()
    assert signatures[0] == f"v1,{expected}"
    assert len(set(signatures)) == 2


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_***", base64.b64encode(KEY).decode(), "whsec_c2hvcnQ="])
def test_secret_that_is_none_is_refused_and_not_repeated(secret: str) -> None:
    with pytest.raises(ValueError, match="WEIR_SINK_SECRET") as raised:
        keys_of(secret)
    assert secret in ("", "whsec_") or secret not in str(raised.value)


def test_address_has_to_be_one_of_http() -> None:
    with pytest.raises(ValueError, match="WEIR_SINK_URL"):
        Webhook(SinkSettings(url="ftp://x", secret=SECRET), SystemClock())


@given(st.integers(1, 10_000), st.floats(0, 1))
def test_pauses_grow_and_stay_within_the_longest(tried: int, chance: float) -> None:
    wait = pause_s(tried, None, 60, chance)
    assert 0.3 < wait <= 60
    assert pause_s(tried + 2, None, 60, 0) >= wait
    assert pause_s(tried, "7", 60, chance) == 7
    assert pause_s(tried, "100000", 60, chance) == 60
