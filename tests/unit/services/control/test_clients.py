"""Tokens of clients: what is left of them when several people change them at once."""

import asyncio

from services.control.resources.clients import NewClient, Rotation, create_client, create_token, rotate_token
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
