"""Calls that are answered before they run, and the question what became of them.

In:    admitted hearings.
Out:   202 with a link once the store knows the execution; how an execution stands, to whoever started it.
Never: a link that leads nowhere: without the store such calls are refused.
"""

from shared.contracts.execution_result import ExecutionResult
from shared.contracts.ids import is_request_id
from shared.contracts.reply import ReplyRecord
from shared.decision.case import Case
from shared.errors import ExecutionNotFound, Unavailable
from shared.names.headers import HTTP_PREFERENCE_APPLIED
from shared.project.modes import Answering, result_path
from shared.runtime.tasks import Tasks
from shared.store.redis import Store, StoreUnavailable
from shared.store.results import ResultWriter, get


class Results:
    """Executions whose result is kept."""

    def __init__(self, store: Store, tasks: Tasks, keep_ms: int) -> None:
        """`keep_ms`: for how long."""
        self._store, self._writer, self.keep_ms = store, ResultWriter(store, tasks), keep_ms

    async def accept(self, case: Case, request_id: str, how: Answering) -> ReplyRecord:
        """What the caller is told at once. Raises Unavailable."""
        assert case.project is not None
        doc: dict[str, object] = {"execution": request_id, "status": "accepted"}
        headers = {HTTP_PREFERENCE_APPLIED: how.applied} if how.applied else {}
        if how.kept:
            result = ExecutionResult(id=request_id, operation=case.operation, client=case.client, state="accepted",
                                     accepted=case.now_ms)
            try:
                await self._writer.put(case.project.name, result, self.keep_ms)
            except StoreUnavailable as exc:
                raise _away() from exc
            doc["result"] = headers["Location"] = result_path(case.project.name, request_id)
        return ReplyRecord.of_json(request_id, 202, doc, headers)

    async def tell(self, case: Case, request_id: str) -> ReplyRecord:
        """How an execution stands. Raises ExecutionNotFound, Unavailable."""
        assert case.project is not None
        wanted = case.path_params.get("id", "")
        try:
            found = await get(self._store, case.project.name, wanted) if is_request_id(wanted) else None
        except StoreUnavailable as exc:
            raise _away() from exc
        # whether it exists is nobody else's business
        if found is None or (found.client and found.client != case.client):
            raise ExecutionNotFound("there is no such execution of yours; results are kept for "
                                    f"{self.keep_ms // 3_600_000} h")
        return ReplyRecord.of_json(request_id, 200, found.to_doc(), {
            "Cache-Control": "no-store", **({} if found.is_over else {"Retry-After": "1"})})


def _away() -> Unavailable:
    return Unavailable("the store is away that keeps results; try again shortly", headers={"Retry-After": "2"})
