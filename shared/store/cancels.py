"""Executions that are to end before their end.

In:    an execution, and why.
Out:   what was said since the last look. Raises StoreUnavailable.
Never: an execution that ends by this: the executor that runs it does that.
"""

from typing import Literal

from shared.store.redis import Store

Why = Literal["operator", "client-gone"]
# more than can be said within a millisecond, less than a script may give
_AT_ONCE = 2_000


async def cancel(store: Store, execution: str, why: Why) -> None:
    """Say that an execution is to end; said for an hour."""
    await store.run("cancel", [], ["say", why, execution])


async def cancelled(store: Store, cursor: int) -> tuple[int, dict[str, str]]:
    """Executions that are to end, with why, said since `cursor` (0: all); and the next cursor."""
    said: dict[str, str] = {}
    while True:
        following, *found = await store.run("cancel", [], ["read", cursor, _AT_ONCE])
        said.update((execution, why) for why, _, execution in (one.decode().partition(" ") for one in found))
        cursor = int(following)
        if len(found) < _AT_ONCE:
            return cursor, said
