"""A desk of control with its real registry and book; a fake outbox hands the config topic back."""

import asyncio
from types import SimpleNamespace
from typing import Any, cast

from services.control.api import Call, Desk
from services.control.registry import Registry
from shared.contracts.config import ProjectVersion, from_record, removed
from shared.decision.book import PolicyBook
from shared.decision.vault import Vault
from shared.names import topics
from shared.project.load import load_project
from tests.support.calls import NOW, SEAL
from tests.support.fakes import StoppedClock


class Forgetting:
    """The store, as far as tokens go that are kept no longer."""

    def __init__(self) -> None:
        self.forgotten: list[str] = []

    async def command(self, name: str, key: str, *tokens: str) -> int:
        """Only that."""
        assert (name, key) == ("HDEL", "weir:token:used")
        self.forgotten += tokens
        return len(tokens)


class Desks:
    """One desk; `topic`: keys and values of the config topic."""

    def __init__(self) -> None:
        self.clock, self.book = StoppedClock(NOW), PolicyBook(Vault(seal=SEAL))
        self.store = Forgetting()
        self.registry = Registry(cast(Any, self), self.clock)
        self.desk = cast(Desk, SimpleNamespace(
            outbox=self, registry=self.registry, book=self.book, clock=self.clock, store=self.store,
            max_project_bytes=450_000, keep_versions=2))

    def send(self, topic: str, value: bytes | None, _: Any, key: bytes, partition: int = 0) -> "asyncio.Future[None]":
        """As the outbox: it is acknowledged, and read back a moment later."""
        loop = asyncio.get_running_loop()
        done: asyncio.Future[None] = loop.create_future()
        done.set_result(None)
        if topic == topics.CONFIG:
            entity = removed(key) if value is None else from_record(key, value)
            assert entity is not None
            loop.call_soon(lambda: (self.book.take([entity]), self.registry.take([entity])))
        return done

    def call(self, body: Any = None, query: dict[str, str] | None = None, **path: str) -> Call:
        """A request about project p."""
        return Call(desk=self.desk, path={"project": "p", **path}, query=query or {}, body=body)

    def put(self, version: int, files: dict[str, str]) -> None:
        """A version of project p that is in force."""
        project = load_project({"weir.yaml": "name: p\n", **files}).project
        assert project is not None
        entity = ProjectVersion(project="p", version=version, files=files, time=0, document=project.to_document())
        self.book.take([entity])
        self.registry.take([entity])
