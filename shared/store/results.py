"""Results of executions in the store.

In:    a project, an execution's result.
Out:   the same, one by one or as a listing. Raises StoreUnavailable.
Never: who may read it.
"""

import asyncio
from typing import NamedTuple

from shared.contracts.execution_result import ExecutionResult, State
from shared.runtime.tasks import Tasks
from shared.store.connection import Argument
from shared.store.redis import Store, StoreUnavailable

# the store does nothing else meanwhile: 3 us for each
_AT_ONCE = 200
# a listing reads so many results at a time, at the least and at the most, and looks no farther than so many back
_LEAST, _PAGE, _FARTHEST = 50, 200, 20_000


async def put(store: Store, project: str, result: ExecutionResult, keep_ms: int) -> None:
    """Keep how an execution stands."""
    await store.run("result", [], _arguments(project, result, keep_ms))


class ResultWriter:
    """Puts results, many in one round trip: while the store takes some, the next ones gather."""

    def __init__(self, store: Store, tasks: Tasks) -> None:
        """Nothing to put yet."""
        self._store, self._tasks = store, tasks
        self._waiting: list[tuple[list[Argument], asyncio.Future[None]]] = []
        self._writing = False

    async def put(self, project: str, result: ExecutionResult, keep_ms: int) -> None:
        """Keep how an execution stands; what is put later stands later. Raises StoreUnavailable.

        The first end stands, unless the execution was resumed since: another walk may have told it. So does what
        another client has started under this id.
        """
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((_arguments(project, result, keep_ms), done))
        if not self._writing:
            self._writing = True
            self._tasks.spawn(self._write(), "results")
        await done

    async def _write(self) -> None:
        while self._waiting:
            some, self._waiting = self._waiting[:_AT_ONCE], self._waiting[_AT_ONCE:]
            error: StoreUnavailable | None = None
            try:
                await self._store.run("result", [], [argument for arguments, _ in some for argument in arguments])
            except StoreUnavailable as exc:
                error = exc
            for _, done in some:
                if done.done():
                    # nobody waits any more
                    continue
                if error is None:
                    done.set_result(None)
                else:
                    done.set_exception(error)
        self._writing = False


async def get(store: Store, project: str, execution: str) -> ExecutionResult | None:
    """How an execution stands; None for one that is not known, or no more."""
    found = await store.command("GET", _key(project, execution))
    return None if found is None else ExecutionResult.from_bytes(found)


async def project_of(store: Store, execution: str) -> str | None:
    """Whose execution it is; None for one that is not known, or no more."""
    found = await store.command("GET", f"weir:execution-of:{execution}")
    return None if found is None else str(found, "utf-8")


class Newest(NamedTuple):
    """Executions, newest first. `looked_at`: so many of the newest were, where older ones may fit, too; else None."""

    results: list[ExecutionResult]
    looked_at: int | None = None


async def newest(store: Store, project: str, count: int, state: State | None = None) -> Newest:
    """The executions of a project whose results are kept; with a state, those that stand so."""
    found: dict[str, ExecutionResult] = {}
    size = _PAGE if state is not None else min(_PAGE, max(count, _LEAST))
    for start in range(0, _FARTHEST, size):
        ids = await store.command("ZREVRANGE", f"weir:executions:{project}", start, start + size - 1)
        values = await store.command("MGET", *(_key(project, one.decode()) for one in ids)) if ids else []
        results = [ExecutionResult.from_bytes(value) for value in values if value is not None]
        # one that begins meanwhile moves the others on: the last of a page comes again
        found |= {one.id: one for one in results if state in (None, one.state)}
        if len(found) >= count or len(ids) < size:
            return Newest(list(found.values())[:count])
    return Newest(list(found.values()), _FARTHEST)


def _arguments(project: str, result: ExecutionResult, keep_ms: int) -> list[Argument]:
    return [project, result.id, result.to_bytes(), keep_ms, result.accepted, result.resumed, result.client]


def _key(project: str, execution: str) -> str:
    return f"weir:execution:{project}:{execution}"
