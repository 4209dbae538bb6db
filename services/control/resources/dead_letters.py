"""Dead letters: look at them, send them again, put them aside.

In:    a letter's id, which is its place in the topic.
Out:   the letters, their bytes and history; the original record on its topic again; notes on `weir.dead-letters`.
Never: a replay that nobody hears of: each is on the audit topic; another request id than the one that died.
"""

import base64
from typing import Annotated, Any

from aiokafka import TopicPartition
from pydantic import Field

from services.control.api import Body, Call, NotTrue, Result, Route, limit, one_of, up_to, whole
from services.control.faults import Conflict, NotFound
from services.control.letter_box import PLACE, WAITING, Letter
from shared.contracts import ids
from shared.contracts.codec import header_map
from shared.contracts.dead_letter import Headers, LetterNote, Replay, original
from shared.errors import InputInvalid, Unavailable
from shared.kafka.faults import KafkaUnavailable, SendFailed
from shared.kafka.record import Record
from shared.names import headers as H
from shared.names import topics

# what its reader takes again; signals and configuration have their own ways
_REPLAYABLE = (*topics.REQUESTS, topics.EXECUTIONS, topics.USAGE, topics.QUERIES)
_MOST, _USUAL = 1_000, 100
_STATES = (WAITING, "replayed", "dropped", "all")


class HowToReplay(Body):
    """`timeout_s`: what the request gets as its new deadline; `answer` false: nobody waits for it any more; `again`:
    although it was replayed or dropped before."""

    timeout_s: Annotated[int, Field(ge=1, le=86_400), NotTrue] = 60
    answer: bool = True
    again: bool = False


async def list_letters(call: Call) -> Result:
    """Letters, newest first; `older`: how many more there have been than control knows."""
    query = call.query
    wanted = limit(call, _USUAL, _MOST)
    if query.get("state", WAITING) not in _STATES:
        raise InputInvalid(f"state is one of {', '.join(_STATES)}, not {query['state'][:20]!r}")
    found = [doc for letter in call.desk.letters.all() if _fits(doc := letter.to_doc(), query)]
    return Result({"letters": found[:wanted], "total": len(found), "older": call.desk.letters.older})


def _fits(doc: dict[str, Any], query: Any) -> bool:
    state = query.get("state", WAITING)
    return (state in ("all", doc["state"]) and all(
        query[name] == doc[name] for name in ("project", "service", "topic", "request_id") if query.get(name))
        and query.get("error", "") in doc["error"])


async def show_letter(call: Call) -> Result:
    """One letter: headers, history, bytes (base64)."""
    letter = _found(call)
    record = await _record(call, letter)
    headers = [] if record is None else original(record.headers)
    return Result({**letter.to_doc(), "history": call.desk.letters.history(letter), "headers": [
        [key, value.decode(errors="replace")] for key, value in headers],
        "key": _text(None if record is None else record.key),
        "value": _text(None if record is None else record.value),
        "kept": record is not None})


async def replay_letter(call: Call) -> Result:
    """Send the record again, on the topic that it came from."""
    letter = _found(call)
    with call.desk.letters.alone(letter):
        return await _replayed(call, letter, call.body)


async def _replayed(call: Call, letter: Letter, how: HowToReplay) -> Result:
    _check_state(letter, again=how.again)
    topic = letter.origin.topic
    if topic not in _REPLAYABLE:
        raise InputInvalid(f"records of {topic} are not replayed; those of {', '.join(_REPLAYABLE)} are")
    record = await _record(call, letter)
    if record is None:
        raise Conflict("the record is not there any more, or no client can read it: its place is all that is known")
    headers, now_ms = original(record.headers), call.desk.clock.now_ms()
    request_id = letter.request_id or letter.replayed_as or ids.request_id(now_ms)
    replay = Replay(letter=letter.id, request_id=request_id, deadline_ms=now_ms + how.timeout_s * 1000,
                    answered=how.answer)
    await _send(call, topic, record.value, replay.to_headers(topic, headers, record.value), record.key)
    # the time of the word, not of its end: what comes of it may be faster
    await _note(call, letter, LetterNote(letter=letter.id, outcome="replayed", time_ms=now_ms,
                                         request_id=_own_id(headers) or request_id))
    return Result({**letter.to_doc(), "request_id": _own_id(headers) or request_id})


async def drop_letter(call: Call) -> Result:
    """Put the letter aside; its bytes stay as long as the topic keeps them."""
    letter = _found(call)
    with call.desk.letters.alone(letter):
        _check_state(letter, again=False)
        await _note(call, letter, LetterNote(letter=letter.id, outcome="dropped", time_ms=call.desk.clock.now_ms(),
                                             request_id=letter.request_id))
    return Result(letter.to_doc())


def _found(call: Call) -> Letter:
    wanted = call.path["id"]
    number = whole(wanted)
    letter = None if number is None else call.desk.letters.find(number)
    if letter is None:
        raise NotFound(f"there is no dead letter {wanted[:40]!r}; `weir dlq list --state all` shows those there are")
    return letter


def _check_state(letter: Letter, *, again: bool) -> None:
    if letter.state != WAITING and not again:
        raise Conflict(f"letter {letter.id} was {letter.state} before; `weir dlq replay --again` sends it once more")


async def _record(call: Call, letter: Letter) -> Record | None:
    """The record that died, from the letter, or from its own place where the letter had no room for it."""
    if not letter.cut:
        record = await call.desk.letter_reader.read(PLACE, letter.id)
        return None if record is None or H.UNREADABLE in header_map(record.headers) else record
    place = letter.origin
    return await call.desk.letter_reader.read(TopicPartition(place.topic, place.partition), place.offset)


async def _note(call: Call, letter: Letter, note: LetterNote) -> None:
    await _send(call, topics.DEAD_LETTERS, None, note.to_headers(), None)
    # whoever asks next finds it, before the topic has been read back
    call.desk.letters.note(note)
    call.desk.registry.audit(f"dead letter {note.outcome}", letter.project or "*", letter.id)


async def _send(call: Call, topic: str, value: bytes | None, headers: Headers, key: bytes | None) -> None:
    try:
        await call.desk.outbox.send(topic, value, headers, key=key)
    except (SendFailed, KafkaUnavailable) as exc:
        raise Unavailable(f"the record could not be written: {exc}") from exc


def _own_id(headers: Headers) -> str:
    return header_map(headers).get(H.REQUEST_ID, b"").decode(errors="replace")


def _text(raw: bytes | None) -> str | None:
    return None if raw is None else base64.b64encode(raw).decode()


ROUTES = (
    Route(method="GET", path="/dead-letters", summary="Records that could not be used, newest first",
          handler=list_letters, query={
              "state": "waiting (the default), replayed, dropped or all", "project": "of one project",
              "service": "of the service that could not use them", "topic": "of one topic",
              "request_id": "of one request", "error": "text that the error holds", "limit": f"at most {_MOST}"},
          forms={"state": one_of(_STATES), "limit": up_to(_MOST)}),
    Route(method="GET", path="/dead-letters/{id}", summary="A dead letter: headers, history, bytes",
          handler=show_letter),
    Route(method="POST", path="/dead-letters/{id}/replay", summary="Send the record again, with its request id",
          handler=replay_letter, body=HowToReplay),
    Route(method="DELETE", path="/dead-letters/{id}", summary="Put a dead letter aside", handler=drop_letter),
)
