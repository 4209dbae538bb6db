"""Tokens of clients: what is left of them when several people change them at once."""

import asyncio

from services.control.resources.clients import (
    NewClient,
    NewToken,
    Rotation,
    create_client,
    create_token,
    revoke_token,
    rotate_token,
)
from shared.names.topics import DAY_MS
from tests.unit.services.control.desk import Desks


async def test_of_rotations_at_once_the_token_of_the_last_one_goes_on() -> None:
    desks = Desks()
    desks.put(1, {})
    await create_client(desks.call(NewClient(name="c")))
    await create_token(desks.call(Rotation(), client="c"))
    await asyncio.gather(*(rotate_token(desks.call(Rotation(overlap_s=60), client="c")) for _ in range(3)))
    ends = [token.expires for token in desks.registry.catalogue.tokens.values()]
    overlap = desks.clock.now_ms() + 60_000
    assert sorted(ends, key=str) == [overlap, overlap, overlap, None]


async def test_client_that_rotates_daily_keeps_the_tokens_of_the_last_days() -> None:
    desks = Desks()
    desks.put(1, {})
    for client in ("c", "other"):
        await create_client(desks.call(NewClient(name=client)))
    kept = [(await create_token(desks.call(NewToken(), client="c"))).body["id"],
            (await create_token(desks.call(NewToken(expires_in_s=3600), client="other"))).body["id"]]
    revoked = (await create_token(desks.call(NewToken(), client="c"))).body["id"]
    await revoke_token(desks.call(token=revoked))
    made = []
    for _ in range(40):
        desks.clock.now += DAY_MS
        made.append((await create_token(desks.call(NewToken(expires_in_s=3600), client="c"))).body["id"])
        await asyncio.sleep(0)
    catalogue = desks.registry.catalogue
    # a day's token ends an hour later, and is told of for thirty days
    assert set(catalogue.tokens) == {*kept, *made[-31:]}
    assert {token.id for token in catalogue.tokens_by_digest.values()} == set(catalogue.tokens)
    assert len(catalogue.tokens_by_digest) == 2 * len(catalogue.tokens)
    await rotate_token(desks.call(Rotation(expires_in_s=60, overlap_s=0), client="c"))
    desks.clock.now += 31 * DAY_MS
    await create_token(desks.call(NewToken(), client="c"))
    await asyncio.sleep(0)
    assert set(catalogue.tokens) & {*kept, *made} == {kept[1]}
