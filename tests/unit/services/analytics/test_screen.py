"""Which envelopes may be counted."""

from dataclasses import dataclass, field

import pytest

from services.analytics.screen import Projects, Screen, UnknownProject
from shared.contracts.config import ProjectVersion
from shared.contracts.usage import MAX_BYTES, Envelope
from shared.errors import BadRecord
from tests.support.usage import TIME, event


@dataclass
class Written:
    """A record as it is consumed."""

    value: bytes | None
    headers: list[tuple[str, bytes | None]] = field(default_factory=list)
    topic: str = "weir.usage"
    partition: int = 0
    offset: int = 0
    timestamp: int = TIME
    key: bytes | None = None


def written(*events: object, **more: object) -> Written:
    value, headers = Envelope(producer="p", sequence=0, events=events).to_record()  # type: ignore[arg-type]
    return Written(**{"value": value, "headers": headers, **more})


@pytest.fixture
def screen() -> Screen:
    projects = Projects()
    projects.take([ProjectVersion(project="p", version=1, document={}, files={}, time=0)])
    return Screen(projects.__contains__, 600_000)


def test_envelope_of_our_own_passes(screen: Screen) -> None:
    assert len(screen.read(written(event(1), event(2, project=""))).events) == 2


@pytest.mark.parametrize(("record", "says"), [
    (written(event(), value=b"{not json"), "usage envelope"),
    (written(event(), value=None), "usage envelope"),
    (written(event(), value=b"\xff" * 100), "usage envelope"),
    (written(event(), value=b"[" * 1_000_000), "1000000 bytes"),
    (written(event(), value=b" " * (MAX_BYTES + 1)), "bytes, at most"),
    (written(event(tasks=-1)), "tasks"), (written(event(timing={"policy": -5})), "timing"),
    (written(event(bytes_in=2**60)), "bytes_in"), (written(event(bytes_out=2**40)), "bytes_out"),
    (written(event(status=1_000)), "status"), (written(event(time=253_402_300_800_000)), "time"),
    (written(event(timing={"policy": 2**45})), "timing"),
    (written(event(timing=dict.fromkeys(map(str, range(33)), 1))), "timing"),
    (written(event(origin="nowhere")), "origin"),
    (written(event(origin="t/1/2\n")), "origin"), (written(event(origin="t" * 300 + "/1/2")), "origin"),
    (written(event(), headers=[("weir-producer", b"p")]), "weir-sequence"),
    (written(event(), headers=[("weir-sequence", b"1")]), "weir-producer"),
    (written(event(), headers=[("weir-producer", b"p"), ("weir-sequence", b"1"), ("weir-format", b"2")]), "format 1"),
    (written(event(time=TIME + 600_001)), "WEIR_ANALYTICS_MAX_AHEAD_MS")],
    ids=["no JSON", "null", "no text", "deep", "too large", "negative", "negative time", "huge", "more than a terabyte",
         "no status", "no date", "more than a year", "many hops", "bad place",
         "more than a place", "long place",
         "no number", "no producer", "other version", "future"])
def test_bad_envelope_is_refused_and_says_why(screen: Screen, record: Written, says: str) -> None:
    with pytest.raises(BadRecord, match=says):
        screen.read(record)


def test_unknown_project_is_told_apart_for_it_may_become_known(screen: Screen) -> None:
    with pytest.raises(UnknownProject, match="'nowhere'"):
        screen.read(written(event(1), event(2, project="nowhere")))
