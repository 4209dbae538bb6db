"""The door: request records in, decisions out.

In:    polls of both request topics.
Out:   hearings, each with its ruling, to `rulings.py`; dead letters.
Never: a rule; `decide.py` and `checks/` have them.
"""

from collections.abc import Sequence

from services.policy.hearing import Hearing
from services.policy.parts import PolicyParts
from services.policy.rulings import Effects, Rulings, undecided
from shared.contracts import ids
from shared.contracts.codec import header_map
from shared.contracts.kept_answer import KeptAnswer
from shared.contracts.origin import Origin
from shared.contracts.request import RequestRecord, secret_headers_in
from shared.contracts.usage import LONGEST_US
from shared.decision.case import Case
from shared.decision.checks.route import operation_is_open
from shared.decision.decide import Decision, look, settle
from shared.decision.unfit import unfit
from shared.errors import BadRecord
from shared.kafka.record import Record
from shared.names import topics

# calls that wait for keys while those are fetched already: a part of those that may be open, for an issuer may hang
_MOST_EXPECTING = 200


class Bench:
    """Handles every record of this instance, poll by poll."""

    def __init__(self, parts: PolicyParts) -> None:
        """Ready when the intake starts."""
        self._parts, self._rulings = parts, Rulings(parts)
        self._waiting: list[Hearing] = []
        self._asking = False
        self._expecting = 0

    def handle(self, records: Sequence[Record]) -> None:
        """Decide all records of a poll; they are finished when every effect is acknowledged."""
        effects: Effects = []
        done: list[Record] = []
        waiting: list[Hearing] = []
        for record in records:
            try:
                found = self._open(record, waiting)
            except Exception as exc:
                found = undecided(self._parts, record, exc)
            if found is not None:
                done.append(record)
                effects.extend(found)
        if done:
            self._parts.intake.finish_after(done, effects)
        if waiting and self._parts.counters.alone:
            # nobody waits for a store that hangs but those whose keys it alone knows
            free, waiting = _apart(waiting)
            if free:
                self._parts.tasks.spawn(self._ask_the_store(free), "limits")
        if waiting:
            self._waiting += waiting
            if not self._asking:
                self._asking = True
                self._parts.tasks.spawn(self._ask_in_turn(), "store")

    async def _ask_in_turn(self) -> None:
        """While the store works on one batch the next one fills, over several polls when they come fast."""
        while self._waiting:
            hearings, self._waiting = self._waiting, []
            await self._ask_the_store(hearings)
        self._asking = False

    def _may_wait_for(self, url: str) -> bool:
        """Whether keys are worth waiting for that are missing: nobody has asked for them just now, or somebody is
        asking and not very many wait."""
        return self._parts.key_sets.worth_asking(url) or (
            url in self._parts.book.vault.fetching and self._expecting < _MOST_EXPECTING)

    async def _with_keys(self, record: Record, url: str) -> None:
        try:
            await self._parts.key_sets.refresh(url)
        finally:
            self._expecting -= 1
        self.handle([record])

    async def _ask_the_store(self, hearings: Sequence[Hearing]) -> None:
        """One round trip for all calls that have an idempotency key, one for all that a limit applies to."""
        effects: Effects = []
        going = hearings
        if any(hearing.case.claim is not None for hearing in hearings):
            going = []
            for hearing, held in zip(hearings, await self._parts.claims.take(hearings), strict=True):
                if held is None:
                    going.append(hearing)
                else:
                    effects.extend(self._end(hearing, held))
        limited = [hearing for hearing in going if hearing.case.demands]
        if limited:
            outcomes = await self._parts.counters.spend([hearing.case.ask(hearing.holder) for hearing in limited])
            for hearing, outcome in zip(limited, outcomes, strict=True):
                hearing.case.outcomes = outcome
        for hearing in going:
            effects.extend(self._end(hearing))
        self._parts.intake.finish_after([hearing.record for hearing in hearings], effects)

    def _end(self, hearing: Hearing, held: Decision | KeptAnswer | None = None) -> Effects:
        """`held`: what is known of it already; else it is to be settled."""
        try:
            if held is None:
                if hearing.case.lap is not None:
                    hearing.case.lap("store")
                held = settle(hearing.case)
            return self._rulings.close(hearing, held)
        except Exception as exc:
            self._rulings.give_back(hearing)
            return undecided(self._parts, hearing.record, exc)

    def _open(self, record: Record, waiting: list[Hearing]) -> Effects | None:
        """What ends a call; None while it waits for something, and is finished later."""
        parts = self._parts
        started_us, now_ms = parts.clock.elapsed_us(), parts.clock.now_ms()
        headers, edge = header_map(record.headers), record.topic == topics.REQUESTS_EDGE
        request = RequestRecord.from_headers(headers, record.value, edge=edge)
        if request.reply_to is not None and not request.reply_to.allowed_by(parts.settings.reply_prefixes):
            raise BadRecord(f"reply topic {request.reply_to.topic[:200]!r} is not allowed; topics that start with "
                            f"one of {', '.join(parts.settings.reply_prefixes)} are (WEIR_POLICY_REPLY_PREFIXES)")
        trace = parts.traces.context(request, parts.book, edge=edge)
        case = Case(request=request, topic=record.topic, book=parts.book, now_ms=now_ms)
        queue_us = min(max(0, (now_ms - record.timestamp) * 1000), LONGEST_US)
        span = deciding = None
        if trace.sampled and (opened := parts.traces.begin(record, case, trace, queue_us)) is not None:
            span, deciding = opened
            trace = span.context
        hearing = Hearing(
            case=case, record=record, source="edge" if edge else "internal",
            request_id=request.request_id or _id_of(record), trace=trace, started_us=started_us,
            timing={"policy-queue": queue_us}, span=span, deciding=deciding)
        decision = unfit(case.request, secret_headers_in(headers), parts.settings.max_body_bytes) or look(case)
        if decision is None and (case.demands or case.claim is not None):
            waiting.append(hearing)
            return None
        if decision is not None and case.project is None:
            # refused before anybody asked whose it is: that project counts it all the same
            operation_is_open(case)
        if case.wanted_keys and self._may_wait_for(case.wanted_keys):
            self._expecting += 1
            parts.tasks.spawn(self._with_keys(record, case.wanted_keys), "key set")
            return None
        return self._rulings.close(hearing, decision or settle(case))


def _apart(hearings: Sequence[Hearing]) -> tuple[list[Hearing], list[Hearing]]:
    """Those without an idempotency key, and those with one."""
    return ([hearing for hearing in hearings if hearing.case.claim is None],
            [hearing for hearing in hearings if hearing.case.claim is not None])


def _id_of(record: Record) -> str:
    """Of a request that came without an id, the same at each delivery: it finds its own idempotency key, place and
    execution again. What it says is in it, for results are told to whoever knows their id."""
    said = b"".join(b"%s\0%s\0" % (key.encode(), value or b"") for key, value in record.headers)
    return ids.request_id_of(record.timestamp, str(Origin(record.topic, record.partition, record.offset)).encode(),
                             said, record.value or b"")
