"""The journals of durable executions: a step that was finished is not run again.

In:    what steps give.
Out:   what they gave before this process, or another, died.
Never: a step with an effect outside that begins before everything it may have read is noted; two walks of one
       execution that both note.

Notes of all executions go to the store together: one round trip while the next one fills.
"""

import asyncio
import logging
from collections.abc import Sequence
from typing import Any

import orjson

from shared.contracts.sealed import Seal, SealBroken
from shared.errors import ReplyInvalid, TimedOut, Unavailable, UpstreamFailed, WeirError, WorkflowFailed
from shared.names import actions
from shared.project.written import to_json
from shared.runtime.tasks import Tasks, heard
from shared.store.journal import Note, begin, begun, keep, write
from shared.store.redis import Store, StoreUnavailable

log = logging.getLogger(__name__)
# a journal outlives the deadline of its execution, for the record may be delivered again until it is committed
_GRACE_MS = 3_600_000


class Superseded(Exception):  # nothing is wrong: the execution goes on elsewhere
    """A record was delivered again, and another walk of the same execution goes on from what this one has noted."""

    harmless = True


class Journals:
    """The journals of this process."""

    def __init__(self, store: Store, tasks: Tasks, seal: Seal | None = None) -> None:
        """`seal`: for what is masked."""
        self._store, self._tasks, self.seal = store, tasks, seal
        self._waiting: list[tuple[Note, asyncio.Future[None]]] = []
        self._writing = False

    async def open(self, project: str, execution: str, left_ms: int) -> "Journal":
        """The journal of an execution, with what it has noted already; whoever had it before is superseded.

        Raises Unavailable.
        """
        key, keep_ms = _key(project, execution), left_ms + _GRACE_MS
        try:
            walk, noted = await begin(self._store, key, keep_ms)
        except StoreUnavailable as exc:
            raise _away(exc) from exc
        return Journal(self, (key, walk), keep_ms, {path: orjson.loads(value) for path, value in noted.items()})

    async def has(self, project: str, execution: str) -> bool:
        """Whether an execution has begun, here or elsewhere. Raises Unavailable."""
        try:
            return await begun(self._store, _key(project, execution))
        except StoreUnavailable as exc:
            raise _away(exc) from exc

    def note(self, note: Note) -> "asyncio.Future[None]":
        """Done when the store has it; fails with Unavailable, Superseded."""
        noted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        # nobody waits for the last notes of an execution
        noted.add_done_callback(heard)
        self._waiting.append((note, noted))
        if not self._writing:
            self._writing = True
            self._tasks.spawn(self._write(), "journal")
        return noted

    async def last_for(self, project: str, execution: str, keep_ms: int) -> None:
        """Keep the journal of an execution that is over for so long from now on. Raises StoreUnavailable."""
        await keep(self._store, _key(project, execution), keep_ms)

    async def _write(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting, []
            ends: Sequence[Exception | None]
            try:
                taken = await write(self._store, [note for note, _ in batch])
                ends = [None if ours else Superseded("another walk goes on with this execution") for ours in taken]
            except StoreUnavailable as exc:
                ends = [_away(exc)] * len(batch)
            for (_, noted), error in zip(batch, ends, strict=True):
                if not noted.done():
                    noted.set_exception(error) if error is not None else noted.set_result(None)
        self._writing = False


class Journal:
    """One execution's notes, by step path: {"output": ...} or {"error": {reason, detail, status, members}}."""

    def __init__(self, journals: Journals, walk: tuple[str, int], keep_ms: int, noted: dict[str, Any]) -> None:
        """`walk`: its place in the store, and how often it was opened; `noted`: what stands there from before."""
        self._journals, (self._key, self._walk), self._keep_ms, self._noted = journals, walk, keep_ms, noted
        self._open: set[asyncio.Future[None]] = set()
        self._broken: BaseException | None = None
        self._since_s: float | None = None

    @property
    def key(self) -> str:
        """Its place in the store."""
        return self._key

    @property
    def worked_ms(self) -> float:
        """Since the first note of this walk: before that it has only found what was noted."""
        return 0.0 if self._since_s is None else (asyncio.get_running_loop().time() - self._since_s) * 1_000

    def noted(self, path: str) -> dict[str, Any] | None:
        """What a step gave, if it was finished."""
        note: dict[str, Any] | None = self._noted.get(path)
        if note is None or "sealed" not in note:
            return note
        seal = self._journals.seal
        try:
            members = {} if seal is None else seal.open(note["sealed"], self._place(path))
        except SealBroken:
            members = {}
        # what cannot be read any more is done again
        opened: dict[str, Any] | None = orjson.loads(members["note"]) if members else None
        return opened

    def note(self, path: str, what: dict[str, Any], *, mask: bool = False) -> None:
        """Note what a step gave; `settled` waits until it is safe. What is masked is sealed, or not noted at all."""
        self._since_s = self._since_s or asyncio.get_running_loop().time()
        if mask:
            seal = self._journals.seal
            if seal is None:
                return
            what = {"sealed": seal.close({"note": to_json(what).decode()}, self._place(path))}
        noting = self._journals.note((self._key, self._walk, path, to_json(what), self._keep_ms))
        self._open.add(noting)
        noting.add_done_callback(self._noted_now)

    def _noted_now(self, noting: "asyncio.Future[None]") -> None:
        self._open.discard(noting)
        if not noting.cancelled():
            self._broken = self._broken or noting.exception()

    def _place(self, path: str) -> str:
        return f"{self._key}/{path}"

    def over(self) -> None:
        """The execution has ended well: what was to last for days lasts until its record is committed."""
        if self._keep_ms > 2 * _GRACE_MS:
            self._journals.note((self._key, self._walk, "over", b"{}", _GRACE_MS))

    async def goes_on_elsewhere(self) -> bool:
        """Whether another walk has opened the journal; no, where the store cannot tell."""
        if self._broken is not None:
            # its notes have been told already, or the store is not there to ask
            return isinstance(self._broken, Superseded)
        try:
            await self._journals.note((self._key, self._walk, "failed", b"{}", self._keep_ms))
        except Superseded:
            return True
        except Unavailable:
            pass
        return False

    async def settled(self) -> None:
        """Wait for all notes, those too that steps beside this one wait for. Raises Superseded.

        And Unavailable, from the first note on that was not taken: without its journal, a durable execution must not go
        on, in none of its branches.
        """
        if self._open:
            await asyncio.wait(self._open)
        if self._broken is not None:
            raise self._broken


def _key(project: str, execution: str) -> str:
    return f"weir:journal:{project}:{execution}"


_BY_REASON: dict[str, type[WeirError]] = {
    str(kind.reason): kind for kind in (WorkflowFailed, ReplyInvalid, UpstreamFailed, TimedOut)}


def error_to_doc(error: WeirError) -> dict[str, Any]:
    """An error of a step as a note."""
    return {"reason": str(error.reason), "detail": str(error), "status": error.status, "members": dict(error.members)}


def error_from_doc(doc: dict[str, Any]) -> WeirError:
    """The same error again."""
    error = _BY_REASON.get(doc["reason"], WorkflowFailed)(doc["detail"])
    error.status, error.members = doc["status"], doc["members"]
    return error


def _away(error: StoreUnavailable) -> Unavailable:
    # where the store is, and what it said, is not for callers
    log.warning("durable executions do not go on: %s", error, extra={"action": actions.STORE_AWAY})
    return Unavailable("the store is away that keeps the journal of a durable execution; try again shortly",
                       headers={"Retry-After": "2"})
