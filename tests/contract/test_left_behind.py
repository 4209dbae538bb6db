"""What an older release left in the store, or beside an offset, is gone on with."""

import base64
from typing import Any, cast

from shared.kafka.finished import Finished, read
from shared.store import waiting
from shared.store.redis import Store
from tests.contract.samples import SAMPLES

# of the execution that is the sample `execution-put-aside`
PARKED = base64.b64decode(
    "kpKSr3dlaXItcmVxdWVzdC1pZMQkMDE4OTBhNWQtYWM5Ni03NzRiLWJjY2UtYjMwMjA5OWE4MDU3kq53ZWlyLWV4ZWN1dGlvbsUBH3sicmVxdWVz"
    "dF9pZCI6IjAxODkwYTVkLWFjOTYtNzc0Yi1iY2NlLWIzMDIwOTlhODA1NyIsInByb2plY3QiOiJzaG9wIiwidmVyc2lvbiI6Nywib3BlcmF0aW9u"
    "Ijoib3JkZXIiLCJjbGllbnQiOiJjaGF0Iiwic291cmNlIjoiZWRnZSIsIm9yaWdpbiI6eyJ0b3BpYyI6IndlaXIucmVxdWVzdHMuZWRnZSIsInBh"
    "cnRpdGlvbiI6Mywib2Zmc2V0Ijo0Mn0sImRlYWRsaW5lX21zIjoxNzAwMDAwMzMwMDAwLCJrZWVwX21zIjo4NjQwMDAwMCwiYW5zd2VyX2J5X21z"
    "IjoxNzAwMDAwMDMwMDAwLCJzcGVudCI6MTd9xAA=")


class Parked:
    """A store in which one execution waits."""

    def __init__(self, record: bytes) -> None:
        """As it was written."""
        self.record = record

    async def run(self, script: str, *_: Any) -> list[bytes]:
        assert script == "waiting"
        return [b"e-1", self.record]


async def test_execution_that_an_older_release_put_aside_goes_on() -> None:
    _, due = await waiting.due(cast("Store", Parked(PARKED)), 0, 1)
    assert due == {"e-1": SAMPLES["execution-put-aside"]}


def test_text_beside_an_offset_says_what_it_said() -> None:
    assert read("finished 45 1700000000000 42 1") == Finished(45, frozenset({42, 43}), 1_700_000_000_000)
