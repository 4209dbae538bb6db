"""Which envelopes are missing, and which are only late."""

from services.analytics.stream import persisting


def test_number_is_missing_when_it_is_missing_at_each_look() -> None:
    now = {b"a": 2, b"b": 1, b"c": 3}
    assert persisting(now, [{b"a": 1, b"b": 1}, {b"a": 5, b"c": 3}]) == 1
    assert persisting(now, [{}]) == 0
    assert persisting({}, [now]) == 0
    assert persisting(now, [now, now]) == 6
