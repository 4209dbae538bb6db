"""Messages to webhooks are signed as Standard Webhooks says, and are CloudEvents."""

import base64
import hashlib
import hmac

import orjson
import pytest

from shared.contracts.signal import Signal
from shared.contracts.webhook import keys_of, signal_event, signed

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


@pytest.mark.parametrize("secrets", ["whsec_", "whsec_***", base64.b64encode(KEY).decode(), f"{SECRET} plain"])
def test_secret_that_is_none_is_refused_and_not_repeated(secrets: str) -> None:
    with pytest.raises(ValueError, match="a secret is whsec_ and base64") as raised:
        keys_of(secrets)
    assert "***" not in str(raised.value)
    assert keys_of("") == []


def test_signal_is_an_event_whose_data_is_what_stands_on_the_topic() -> None:
    signal = Signal(project="p", kind="allowance", subject="client/c", action="observe", until=2, detector="allowance",
                    time=1_700_000_000_123, evidence={"threshold": 80})
    event = orjson.loads(signal_event(signal, "msg_1"))
    data = event.pop("data")
    assert data == orjson.loads(signal.to_value())
    assert event == {
        "specversion": "1.0", "id": "msg_1", "source": "/weir/p", "type": "weir.signal.v1",
        "subject": "allowance/client/c", "time": "2023-11-14T22:13:20.123Z", "datacontenttype": "application/json"}
