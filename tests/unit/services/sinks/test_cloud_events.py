"""Usage events as CloudEvents."""

import json

from hypothesis import given
from hypothesis import strategies as st

from services.sinks.cloud_events import batches, cloud_event
from tests.support.usage import TIME, event


def test_event_has_what_the_specification_demands() -> None:
    made = cloud_event(event(7, project="shop", operation="order"))
    assert (made["specversion"], made["id"], made["source"], made["subject"]) == ("1.0", "7", "/weir/shop", "order")
    assert made["type"] == "weir.usage.request.v1"
    assert made["time"] == "2023-11-14T22:13:20.000Z"
    assert TIME == 1_700_000_000_000


def test_delivery_has_another_id_than_its_request() -> None:
    request, delivery = cloud_event(event(7)), cloud_event(event(7, kind="delivery", operation="", origin=None))
    assert request["id"] != delivery["id"]
    assert "subject" not in delivery


def test_two_requests_have_two_ids_though_their_publisher_gave_them_one() -> None:
    """Each has run and was counted; whoever takes each event once must not take one of them alone."""
    internal = [event(7, source=source, origin=f"weir.requests.internal/0/{offset}")
                for source, offset in (("internal", 1), ("internal", 2), ("agent", 3))]
    ids = [cloud_event(one)["id"] for one in internal]
    assert len(set(ids)) == 3
    assert cloud_event(internal[0])["id"] == ids[0], "the same event again"
    assert cloud_event(event(7, source="internal", origin=None))["id"] == "7"


@given(st.lists(st.integers(0, 10**6), max_size=40), st.integers(1, 9), st.integers(500, 5_000))
def test_batches_hold_all_events_in_order_within_the_bounds(numbers: list[int], most: int, size: int) -> None:
    found = [json.loads(body) for body in batches(map(event, numbers), most, size)]
    assert [one["id"] for batch in found for one in batch] == [str(number) for number in numbers]
    assert all(0 < len(batch) <= most for batch in found)
    assert all(len(body) <= size or len(json.loads(body)) == 1 for body in batches(map(event, numbers), most, size))
