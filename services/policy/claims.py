"""Idempotency keys of the calls of a poll, claimed in one round trip.

In:    hearings.
Out:   for each None when it may run; the first answer; a refusal.
Never: a call with a key let through while the store is away: it could run twice.
"""

import logging
from collections.abc import Sequence

from services.policy.hearing import Hearing
from shared.contracts.kept_answer import KeptAnswer
from shared.contracts.reply import ReplyRecord
from shared.decision.case import Claim
from shared.decision.checks.idempotency import may_run
from shared.decision.decide import Decision
from shared.errors import Unavailable
from shared.names import actions
from shared.store.idempotency import claim, free, keep
from shared.store.redis import Store, StoreUnavailable

log = logging.getLogger(__name__)


class Claims:
    """The keys in the store."""

    def __init__(self, store: Store) -> None:
        """Ready at once."""
        self._store = store

    async def take(self, hearings: Sequence[Hearing]) -> list[Decision | KeptAnswer | None]:
        """Claim the keys of those that have one."""
        wanted = [hearing for hearing in hearings if hearing.case.claim is not None]
        kept: dict[int, KeptAnswer | None] = {}
        if wanted:
            try:
                found = await claim(self._store, [
                    (made.key, KeptAnswer(request_id=hearing.request_id, digest=made.digest), made.hold_ms)
                    for hearing in wanted if (made := hearing.case.claim) is not None])
            except StoreUnavailable as exc:
                log.warning("calls with an idempotency key are refused: %s", exc,
                            extra={"action": actions.STORE_AWAY})
                away = Unavailable("the store is away that knows what was asked under this idempotency key before; "
                                   "try again shortly", headers={"Retry-After": "2"})
                return [None if hearing.case.claim is None else Decision(away, 0) for hearing in hearings]
            kept = {id(hearing): one for hearing, one in zip(wanted, found, strict=True)}
        return [_judged(hearing, kept.get(id(hearing))) for hearing in hearings]

    async def keep(self, made: Claim, reply: ReplyRecord) -> None:
        """For the next call with this key. What cannot be kept is free again after its deadline."""
        try:
            await keep(self._store, made.key, KeptAnswer.of(reply, made.digest), made.keep_ms)
        except StoreUnavailable as exc:
            log.warning("an answer cannot be given again: %s", exc, extra={"action": actions.STORE_AWAY})

    async def give_up(self, hearing: Hearing) -> None:
        """Free the key of a call that was refused after all, unless whoever tried again has it by now."""
        made = hearing.case.claim
        if made is None:
            return
        try:
            await free(self._store, made.key, KeptAnswer(request_id=hearing.request_id, digest=made.digest))
        except StoreUnavailable:
            # it is free again after its deadline
            return


def _judged(hearing: Hearing, kept: KeptAnswer | None) -> Decision | KeptAnswer | None:
    case = hearing.case
    refusal = may_run(case, hearing.request_id, kept)
    if refusal is not None:
        return Decision(refusal, case.version)
    if kept is not None and not kept.is_running:
        return kept
    # what was claimed by an earlier delivery of this record may belong to an execution that runs
    case.claimed = case.claim is not None and kept is None
    return None
