"""Executions that hold no worker: those that wait for a time far away, and failed ones that may be resumed.

In:    their records.
Out:   the same, when their time has come. Raises StoreUnavailable.
Never: a record lost between two executors: one that is taken and not done is due again after a lease.
"""

import msgspec

from shared.contracts.codec import header_map
from shared.contracts.execution import ExecutionRecord
from shared.errors import BadRecord
from shared.store.redis import Store

_LEASE_MS = 30_000
_AT_ONCE = 500
_RECORD = tuple[list[tuple[str, bytes]], bytes]


async def park(store: Store, execution: ExecutionRecord, due_ms: int) -> None:
    """It goes on at a time, unix ms."""
    await store.run("waiting", [], ["park", execution.request_id, _packed(execution), due_ms, execution.project])


async def due(store: Store, now_ms: int, count: int) -> tuple[int, dict[str, ExecutionRecord | BadRecord | None]]:
    """Those whose time has come, why one cannot be read, None for one that is gone; and the lease by which they are
    ours."""
    lease = now_ms + _LEASE_MS
    found = await store.run("waiting", [], ["due", now_ms, lease, count])
    pairs = zip(found[::2], found[1::2], strict=True)
    return lease, {execution.decode(): _readable(record) for execution, record in pairs}


async def done(store: Store, execution: str, project: str, lease: int) -> None:
    """It has gone on."""
    await store.run("waiting", [], ["done", execution, lease, project])


async def forget(store: Store, execution: ExecutionRecord) -> None:
    """It does not go on."""
    await store.run("waiting", [], ["forget", execution.request_id, execution.project])


async def wake_all(store: Store, project: str) -> int:
    """All of a project that wait go on now, some at a time, for others ask the store as well; how many that are."""
    cursor, woken = b"0", 0
    while True:
        cursor, more = await store.run("waiting", [], ["wake-all", project, cursor, _AT_ONCE])
        woken += int(more)
        if cursor == b"0":
            return woken


async def wake(store: Store, execution: str, now_ms: int) -> bool:
    """It goes on now; False when it does not wait."""
    return bool(await store.run("waiting", [], ["wake", execution, now_ms]))


async def keep_failed(store: Store, execution: ExecutionRecord, keep_ms: int) -> None:
    """It may be resumed for so long."""
    await store.command("SET", _failed(execution.project, execution.request_id), _packed(execution), "PX", keep_ms)


async def failed(store: Store, project: str, execution: str) -> ExecutionRecord | None:
    """One that may be resumed, which it stays."""
    found = await store.command("GET", _failed(project, execution))
    return None if found is None else _unpacked(found)


async def take_failed(store: Store, project: str, execution: str) -> ExecutionRecord | None:
    """One that may be resumed; whoever gets it is the only one."""
    found = await store.command("GETDEL", _failed(project, execution))
    return None if found is None else _unpacked(found)


def _failed(project: str, execution: str) -> str:
    return f"weir:failed:{project}:{execution}"


def _packed(execution: ExecutionRecord) -> bytes:
    return msgspec.msgpack.encode((execution.to_headers(), execution.body))


def _readable(value: bytes | None) -> ExecutionRecord | BadRecord | None:
    try:
        return None if value is None else _unpacked(value)
    except BadRecord as exc:
        return exc
    except msgspec.MsgspecError as exc:
        return BadRecord(str(exc))


def _unpacked(value: bytes) -> ExecutionRecord:
    headers, body = msgspec.msgpack.decode(value, type=_RECORD)
    return ExecutionRecord.from_headers(header_map(headers), body)
