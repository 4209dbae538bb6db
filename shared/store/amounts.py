"""Amounts spent, in the store: one round trip for all calls of a batch.

In:    what calls demand.
Out:   what is left of each amount. Raises StoreUnavailable.
Never: what the numbers mean; `shared/decision/checks/limits.py` has that.
"""

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import Any

import msgspec

from shared.contracts.ids import request_of
from shared.decision.amounts import Ask, Outcome
from shared.store.late import Offer
from shared.store.redis import Store

_ANSWER = msgspec.json.Decoder(tuple[Any, list[list[Outcome]]])


async def spend(store: Store, asks: Sequence[Ask], now_ms: int, *, take: bool = True) -> list[list[Outcome]]:
    """Take what is demanded, or only look; `now_ms`: by the clock that their times are of, which the store's need not
    be. Raises StoreUnavailable."""
    answer = await store.run("limits", [], [pack(asks), int(take), now_ms])
    return _ANSWER.decode(answer)[1]


async def give_back(store: Store, holder: str, keys: Sequence[str], once: str = "") -> None:
    """Free what a call held; without this it ends with the call's deadline. Raises StoreUnavailable.

    `once`: a key that only one call may hold. Where another has it by now it stays.
    """
    places = store.many([("ZREM", key, holder) for key in keys])
    if once:
        # side by side: what the store is late to answer does not keep the rest
        await asyncio.gather(places, store.run("give_back", [], [once, holder]))
    else:
        await places


def given_back(store: Store, holder: str, keys: Sequence[str], once: str, left_ms: int) -> Offer:
    """The same as an offer; `left_ms`: until what it held ends by itself."""
    return Offer(partial(give_back, store, holder, keys, once), request_of(holder), left_ms,
                 "what a call held counts until its time is over")


def pack(asks: Sequence[Ask]) -> bytes:
    """The script's argument: one text, for a client's cost is by the argument."""
    return msgspec.json.encode(asks)
