"""Signatures and pauses of the webhook sink; the webhook itself stands in tests/e2e."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.sinks.settings import SinkSettings
from services.sinks.webhook import Webhook, keys_of, pause_s
from shared.clock import SystemClock

KEY = b"k" * 32
SECRET = f"whsec_{base64.b64encode(KEY).decode()}"


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
