"""Idempotency keys in the store.

In:    claims; answers.
Out:   who has claimed a key, and the answer that was given. Raises StoreUnavailable.
Never: a decision about what stands there.
"""

from collections.abc import Sequence
from functools import partial

from shared.contracts.ids import request_of
from shared.contracts.kept_answer import KeptAnswer
from shared.store.connection import Argument
from shared.store.late import Offer
from shared.store.redis import Store


async def claim(store: Store, claims: Sequence[tuple[str, KeptAnswer, int]]) -> list[KeptAnswer | None]:
    """Claim keys, each for some milliseconds; None for those that are ours now, else what stood there.

    What stood there of an earlier attempt of the same request is no attempt's any more. After StoreUnavailable each may
    be claimed or not.
    """
    arguments: list[Argument] = [part for key, value, hold_ms in claims for part in (key, value.to_bytes(), hold_ms)]
    found = await store.run("claim", [], arguments)
    return [KeptAnswer.from_bytes(value) if value else None for value in found]


async def keep(store: Store, key: str, answer: KeptAnswer, keep_ms: int) -> None:
    """Keep the answer under its key."""
    await store.command("SET", key, answer.to_bytes(), "PX", keep_ms)


async def free(store: Store, key: str, claimed: KeptAnswer) -> None:
    """Free a key that still stands as it was claimed, by that attempt, or by any of the request where none is named.

    Another request's claim and an answer that is kept there by now stay.
    """
    await store.run("give_back", [], [key, claimed.to_bytes()])


def kept(store: Store, key: str, answer: KeptAnswer, keep_ms: int, held_ms: int) -> Offer:
    """`keep` as an offer; `held_ms`: for how long nobody else has the key."""
    return Offer(partial(keep, store, key, answer, keep_ms), answer.request_id, held_ms,
                 "an answer cannot be given again", len(answer.body))


def freed(store: Store, key: str, claimed: KeptAnswer, held_ms: int) -> Offer:
    """`free` as an offer; `held_ms`: until the key is free by itself."""
    return Offer(partial(free, store, key, claimed), request_of(claimed.request_id), held_ms,
                 "an idempotency key is taken until its call's time is over")
