"""What each detector takes for abuse, and what it lets pass, right at its bounds."""

from typing import Any

import pytest

from services.analytics.detectors.look import Look, neighbourhood, window
from services.analytics.detectors.rate_jump import BLOCK_MS
from services.analytics.detectors.registry import BY_REASON, DETECTORS, OF_CALLERS, OF_PLACES
from shared.project.access.abuse import Abuse
from tests.support.usage import event

BY_NAME = {detector.name: detector for detector in DETECTORS}
# detector, hits, calls, marks, whether it is found
CASES: list[tuple[str, tuple[int, ...], tuple[int, ...], int, bool]] = [
    ("credential-burst", (10, 10), (), 5, True), ("credential-burst", (10, 9), (), 5, False),
    ("credential-burst", (1000,), (), 4, False),
    ("path-scan", (12,), (), 12, True), ("path-scan", (10_000,), (), 11, False),
    ("hammering", (25, 25, 25, 25), (50, 50, 50, 50), 0, True), ("hammering", (25, 25, 25, 24), (), 0, False),
    ("hammering", (40, 40, 40), (), 0, False), ("hammering", (25, 25, 25, 25), (51, 50, 50, 50), 0, False),
    ("token-sharing", (1,), (), 20, True), ("token-sharing", (10_000,), (), 19, False),
    ("rate-jump", (1, 60, 60, 0), (600,), 0, True), ("rate-jump", (1, 60, 61, 0), (600,), 0, False),
    ("rate-jump", (1, 10, 10, 0), (599,), 0, False), ("rate-jump", (1, 10, 0), (6000,), 0, False),
    ("rate-jump", (0, 0, 0, 6000), (10,), 0, False),
    ("error-payloads", (50,), (62,), 10, True), ("error-payloads", (50,), (63,), 10, False),
    ("error-payloads", (49,), (49,), 10, False), ("error-payloads", (500,), (500,), 9, False)]


@pytest.mark.parametrize(("name", "hits", "calls", "marks", "found"), CASES)
def test_bounds_of_a_detector_are_those_of_its_settings(
        name: str, hits: tuple[int, ...], calls: tuple[int, ...], marks: int, found: bool) -> None:
    look = Look(hits=hits, calls=calls, marks=marks, shown=("/a",))
    finding = BY_NAME[name].judge(look, Abuse())
    assert (finding is not None) is found
    if finding is not None:
        assert finding.reason
        assert finding.evidence


@pytest.mark.parametrize(("lasting", "hits", "found"), [
    ("20s", (100,), False), ("20s", (99, 1), True), ("51s", (50, 50), True), ("101s", (50, 50), False),
    ("5s", (100,), True)])
def test_burst_within_one_slice_of_a_long_window_does_not_last(
        lasting: str, hits: tuple[int, ...], found: bool) -> None:
    abuse = Abuse.model_validate({"hammering": {"within": "10m", "lasting": lasting}})
    assert (BY_NAME["hammering"].judge(Look(hits=hits), abuse) is not None) is found


@pytest.mark.parametrize(("name", "more", "sighting"), [
    ("credential-burst", {"address": "203.0.113.5", "proof": "ab12"}, ("ip", "203.0.113.5", "ab12")),
    ("credential-burst", {"address": None, "proof": "ab12"}, None),
    ("path-scan", {"address": "2001:db8::1:2:3:4", "path": "/.env"}, ("ip", "2001:db8::/64", "/.env")),
    ("path-scan", {"address": "203.0.113.5", "path": None}, None),
    ("hammering", {"client": "c", "address": "203.0.113.5"}, ("client", "c", None)),
    ("hammering", {"client": "", "address": "203.0.113.5"}, ("ip", "203.0.113.5", None)),
    ("hammering", {"client": "", "address": None}, None),
    ("token-sharing", {"token": "t", "address": None}, None),
    ("token-sharing", {"token": None, "address": "::1"}, None),
    ("rate-jump", {"client": ""}, None), ("rate-jump", {"client": "c"}, ("client", "c", None))])
def test_detector_sees_whom_it_can_name(name: str, more: dict[str, Any], sighting: tuple[str, str, Any] | None) -> None:
    assert BY_NAME[name].sees(event(1, **more)) == sighting


def test_shared_token_is_marked_by_networks_and_never_by_an_address() -> None:
    seen = [BY_NAME["token-sharing"].sees(event(1, token="t", address=address))
            for address in ("203.0.113.5", "203.0.113.6", "2001:db8::1", "2001:db8::2")]
    marks = [sighting.mark for sighting in seen if sighting is not None]
    assert len(set(marks)) == 3
    assert all(mark is not None and len(mark) == 4 for mark in marks)


@pytest.mark.parametrize(("address", "whole"), [
    ("203.0.113.5", "203.0.113.5"), ("::ffff:203.0.113.5", "203.0.113.5"), ("2001:db8:0:7:1::5", "2001:db8:0:7::/64"),
    ("unknown", "unknown")])
def test_whoever_has_one_address_of_a_network_has_them_all(address: str, whole: str) -> None:
    assert neighbourhood(address) == whole


@pytest.mark.parametrize("within_ms", [30_000, 60_000, 100_000, 600_000, 3_600_000])
def test_window_is_no_shorter_than_it_was_asked_for_and_little_longer(within_ms: int) -> None:
    span = window(within_ms)
    assert span.slice_ms % 5_000 == 0
    assert within_ms <= span.slice_ms * (span.slices - 1) < within_ms + span.slice_ms
    assert span.slices <= 14


def test_every_detector_has_a_name_of_its_own_and_something_to_look_at() -> None:
    assert len(BY_NAME) == len(DETECTORS) == 6
    looked_at = {detector.name for detectors in BY_REASON.values() for detector in detectors}
    assert looked_at | {detector.name for detector in (*OF_CALLERS, *OF_PLACES)} == set(BY_NAME)
    assert Abuse().rate_jump.learn_ms >= BLOCK_MS
