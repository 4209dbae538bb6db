"""Idempotency keys of the calls of a poll, claimed in one round trip.

In:    hearings.
Out:   for each None when it may run; the first answer; a refusal.
Never: a call with a key let through while the store is away: it could run twice.

A store that answers too late may have claimed a key for a call that was refused by then, and whoever tries again would
be told that it runs. What may be claimed in vain is freed when the store answers again.
"""

import logging
from collections.abc import Sequence
from secrets import token_hex

from services.policy.hearing import Hearing
from shared.contracts.kept_answer import KeptAnswer
from shared.contracts.reply import ReplyRecord
from shared.decision.case import Claim
from shared.decision.checks.idempotency import may_run
from shared.decision.decide import Decision
from shared.errors import Unavailable
from shared.names import actions
from shared.runtime.tasks import Tasks
from shared.store.idempotency import claim, freed, kept
from shared.store.late import Late
from shared.store.redis import Store, StoreUnavailable

log = logging.getLogger(__name__)


class Claims:
    """The keys in the store."""

    def __init__(self, store: Store, tasks: Tasks) -> None:
        """Ready at once."""
        self._store, self._late = store, Late(tasks)
        # said once, not for each poll
        self._is_away = False

    async def take(self, hearings: Sequence[Hearing]) -> list[Decision | KeptAnswer | None]:
        """Claim the keys of those that have one; some do."""
        attempt = token_hex(8)
        claims = {index: (made.key, KeptAnswer.claimed(hearing.holder, made.digest, attempt), made.hold_ms)
                  for index, hearing in enumerate(hearings) if (made := hearing.case.claim) is not None}
        try:
            found = dict(zip(claims, await claim(self._store, [*claims.values()]), strict=True))
        except StoreUnavailable as exc:
            if not self._is_away:
                log.warning("calls with an idempotency key are refused: %s", exc, extra={"action": actions.STORE_AWAY})
            self._is_away = True
            for key, value, hold_ms in claims.values():
                self._late.later(freed(self._store, key, value, hold_ms), exc)
            away = Unavailable("the store is away that knows what was asked under this idempotency key before; "
                               "try again shortly", headers={"Retry-After": "2"})
            return [Decision(away, 0) if index in claims else None for index in range(len(hearings))]
        self._is_away = False
        return [_judged(hearing, claims[index][1], found[index]) if index in claims else None
                for index, hearing in enumerate(hearings)]

    async def keep(self, made: Claim, reply: ReplyRecord) -> None:
        """For the next call with this key. What cannot be kept is free again after its deadline."""
        await self._late.offer(kept(self._store, made.key, KeptAnswer.of(reply, made.digest), made.keep_ms,
                                    made.hold_ms))

    async def give_up(self, hearing: Hearing) -> None:
        """Free the key of a call that was refused after all, unless whoever tried again has it by now."""
        made, claimed = hearing.case.claim, hearing.case.claimed
        if made is None or claimed is None:
            return
        await self._late.offer(freed(self._store, made.key, claimed, made.hold_ms))


def _judged(hearing: Hearing, claimed: KeptAnswer, kept: KeptAnswer | None) -> Decision | KeptAnswer | None:
    """`claimed`: what was to stand there; `kept`: what stood there already."""
    case = hearing.case
    refusal = may_run(case, hearing.holder, kept)
    if refusal is not None:
        return Decision(refusal, case.version)
    if kept is not None and not kept.is_running:
        return kept
    # what was claimed by an earlier delivery of this record may belong to an execution that runs
    case.claimed = claimed if kept is None else None
    return None
