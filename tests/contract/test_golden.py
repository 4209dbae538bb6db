"""Records of every released contract decode for ever, and what we write today is still read as it was meant."""

import json

import pytest

from tests.contract.samples import GOLDEN, SAMPLES, SUPERSEDED, Wire, decode, encode

FILES = sorted(path.stem for path in GOLDEN.glob("*.json"))
DECODED = [name for name in FILES if name != "dead-letter"]


def golden(name: str) -> Wire:
    return Wire.from_doc(json.loads((GOLDEN / f"{name}.json").read_text()))


def test_every_record_class_has_a_golden_record() -> None:
    assert set(SAMPLES) <= set(FILES)


@pytest.mark.parametrize("name", DECODED)
def test_golden_record_still_means_what_it_meant(name: str) -> None:
    assert decode(name, golden(name)) == SAMPLES[name]


@pytest.mark.parametrize("name", sorted(set(FILES) - SUPERSEDED))
def test_wire_form_of_today_is_the_golden_one(name: str) -> None:
    today, once = encode(SAMPLES[name]), golden(name)
    assert (today.value, today.key) == (once.value, once.key)
    assert sorted(today.headers) == sorted(once.headers)


def test_golden_dead_letter_keeps_bytes_and_names_its_place() -> None:
    letter = golden("dead-letter")
    headers = dict(letter.headers)
    assert (letter.value, headers["weir-operation"], headers["Authorization"]) == (b"\x00\xff", b"\xff", b"[removed]")
    assert [headers[f"weir-dead-{part}"] for part in ("topic", "partition", "offset", "service")] == [
        b"weir.requests.edge", b"3", b"42", b"policy"]


@pytest.mark.parametrize("name", DECODED)
def test_header_of_a_later_version_is_passed_over(name: str) -> None:
    wire = golden(name)
    later = Wire(wire.value, [*wire.headers, ("weir-of-tomorrow", b"\xff\x00")], wire.key)
    assert decode(name, later) == SAMPLES[name]
