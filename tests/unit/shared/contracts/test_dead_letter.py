"""A letter is told from a note, reads back what was written, and is replayed as what it was."""

import pytest
from msgspec.structs import replace

from shared.contracts.codec import header_map
from shared.contracts.dead_letter import DeadLetter, LetterNote, Replay, is_note, original
from shared.contracts.execution import ExecutionRecord
from shared.contracts.origin import Origin
from shared.contracts.reply_address import ReplyAddress
from shared.contracts.request import RequestRecord
from shared.errors import BadRecord
from shared.names import headers as H
from shared.names import topics

LETTER = DeadLetter(origin=Origin("weir.executions", 1, 2), service="policy", error="why ü", time_ms=5)
REQUEST_ID = "01890a5d-ac96-774b-bcce-b302099a8057"
REPLAY = Replay(letter=9, request_id="made", deadline_ms=1_000)
OWN = ReplyAddress(correlation_id=b"1", topic=topics.REPLIES, partition=3)
EXECUTION = ExecutionRecord(request_id="r", project="p", version=1, operation="o", client="c", source="edge",
                            origin=Origin("t", 0, 0), deadline_ms=1, reply_to=OWN, body=b"x")


def test_letter_reads_back_and_gives_the_original_headers_but_for_secrets() -> None:
    before = [("a", b"1"), ("Cookie", b"s"), ("a", b"2"), ("b", None)]
    headers = LETTER.to_headers(before)
    assert DeadLetter.from_headers(headers) == LETTER
    assert original(headers) == original(before) == [("a", b"1"), ("a", b"2"), ("b", b"")]


def test_record_that_pretends_to_be_a_letter_or_a_note_becomes_a_letter_all_the_same() -> None:
    hostile = [(H.DEAD_TOPIC, b"weir.config"), (H.DEAD_OFFSET, b"7"), (H.DEAD_NOTE, b"dropped"), (H.DEAD_LETTER, b"1")]
    headers = LETTER.to_headers(hostile)
    assert not is_note(header_map(headers))
    assert DeadLetter.from_headers(headers) == LETTER


def test_note_reads_back_and_is_one() -> None:
    note = LetterNote(letter=4, outcome="replayed", time_ms=6, request_id="r")
    headers = header_map(note.to_headers())
    assert is_note(headers)
    assert LetterNote.from_headers(headers) == note
    with pytest.raises(BadRecord, match="neither"):
        LetterNote.from_headers({**headers, H.DEAD_NOTE: b"burnt"})


@pytest.mark.parametrize(("change", "address"), [({}, True), ({"answered": False}, False)])
def test_request_keeps_its_id_and_address_and_gets_a_new_deadline(change: dict[str, bool], address: bool) -> None:
    before = [(H.REQUEST_ID, b"own"), (H.DEADLINE, b"5"), (H.REPLY_TOPIC, b"replies.x"), (H.CORRELATION_ID, b"1")]
    replay = Replay(letter=9, request_id="made", deadline_ms=1_000, **change)
    after = header_map(replay.to_headers(topics.REQUESTS_INTERNAL, before, b""))
    assert (after[H.REQUEST_ID], after[H.DEADLINE], after[H.REPLAY_OF]) == (b"own", b"1000", b"9")
    assert ((H.REPLY_TOPIC in after), (H.CORRELATION_ID in after)) == (address, address)


def test_request_without_an_id_gets_one_and_nobody_waits_on_the_clusters_own_topic() -> None:
    after = header_map(REPLAY.to_headers(topics.REQUESTS_EDGE, OWN.to_headers(), b""))
    assert after == {H.REQUEST_ID: b"made", H.DEADLINE: b"1000", H.REPLAY_OF: b"9"}


@pytest.mark.parametrize(("topic", "answered", "kept"), [
    (topics.REPLIES, True, False), ("replies.x", True, True), ("replies.x", False, False)])
def test_enclosed_request_gets_a_new_deadline_inside_and_no_address_where_nobody_waits(
        topic: str, answered: bool, kept: bool) -> None:
    address = replace(OWN, topic=topic)
    record = RequestRecord(project="p", operation="o", deadline_ms=5, body=b"x")
    replay = Replay(letter=9, request_id=REQUEST_ID, deadline_ms=1_000, answered=answered)
    after = header_map(replay.to_headers(topics.REQUESTS_EDGE, record.enclosed(address), b"x"))
    assert (after[H.REQUEST_ID], after[H.REPLAY_OF]) == (REQUEST_ID.encode(), b"9")
    assert RequestRecord.from_headers(after, b"x", edge=True) == replace(
        record, request_id=REQUEST_ID, deadline_ms=1_000, reply_to=address if kept else None)


def test_enclosed_request_that_cannot_be_read_goes_as_it_was() -> None:
    assert REPLAY.to_headers(topics.REQUESTS_EDGE, [(H.REQUEST, b"{")], b"") == [
        (H.REQUEST, b"{"), (H.REPLAY_OF, b"9")]


def test_execution_gets_a_new_deadline_inside_and_one_that_cannot_be_read_goes_as_it_was() -> None:
    after = REPLAY.to_headers(topics.EXECUTIONS, EXECUTION.to_headers(), b"x")
    assert ExecutionRecord.from_headers(header_map(after), b"x") == replace(EXECUTION, deadline_ms=1_000, reply_to=None)
    assert REPLAY.to_headers(topics.EXECUTIONS, [("a", b"\xff")], b"x") == [("a", b"\xff"), (H.REPLAY_OF, b"9")]
    assert REPLAY.to_headers(topics.USAGE, [("a", b"1")], b"x") == [("a", b"1"), (H.REPLAY_OF, b"9")]
