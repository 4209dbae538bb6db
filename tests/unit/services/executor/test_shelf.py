"""Which versions of a project stay compiled."""

from typing import Any

import pytest

from services.analytics.abuse_book import AbuseBook
from services.executor import shelf as module
from services.executor.shelf import Shelf
from shared.contracts.config import Client, ProjectVersion, Token
from shared.errors import Unavailable


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Titles of the versions that were compiled, in turn."""
    found: list[str] = []

    def compile_plans(project: Any, _: Any) -> dict[str, Any]:
        found.append(project.title)
        return {"o": project.title}
    monkeypatch.setattr(module, "compile_plans", compile_plans)
    return found


def shelf_of(versions: int) -> Shelf:
    shelf = Shelf({}, 100, lambda _: None, lambda _: None)
    for number in range(1, versions + 1):
        shelf.take([ProjectVersion(project="p", version=number, files={}, time=0,
                                   document={"name": "p", "title": f"v{number}"})])
    return shelf


def test_clients_and_tokens_are_not_held_where_nobody_asks_for_them() -> None:
    shelf, book = shelf_of(1), AbuseBook("observe")
    for keeper in (shelf, book):
        keeper.take([Client(project="p", name="c", time=0),
                     Token(id="t", project="p", client="c", digests={"a": "b"}, created=0)])
        assert (keeper._catalogue.clients, keeper._catalogue.tokens_by_digest) == ({}, {})
    assert shelf._catalogue.version("p", 1) is not None


def test_old_version_that_executions_have_waited_with_is_compiled_once_for_all_of_them(compiled: list[str]) -> None:
    shelf = shelf_of(20)
    compiled.clear()
    for _ in range(10):
        assert [str(shelf.known("p", number, "o")) for number in (1, 2, 3, 4)] == ["v1", "v2", "v3", "v4"]
    assert compiled == ["v1", "v2", "v3", "v4"]


def test_newest_versions_stay_compiled_however_many_older_ones_are_asked_for(compiled: list[str]) -> None:
    shelf = shelf_of(20)
    for number in range(1, 17):
        shelf.known("p", number, "o")
    compiled.clear()
    assert [str(shelf.known("p", number, "o")) for number in (17, 18, 19, 20)] == ["v17", "v18", "v19", "v20"]
    assert compiled == []


def test_no_more_than_a_few_versions_stay_compiled(compiled: list[str]) -> None:
    shelf = shelf_of(20)
    for number in range(1, 21):
        shelf.known("p", number, "o")
    compiled.clear()
    for number in range(20, 0, -1):
        shelf.known("p", number, "o")
    assert len(compiled) == 12


async def test_old_version_that_can_no_longer_be_read_fails_its_own_executions_alone(
        monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    def compile_plans(project: Any, _: Any) -> dict[str, Any]:
        if project.title == "v1":
            raise ValueError("there is no step kind 'gone'")
        return {"o": project.title}
    monkeypatch.setattr(module, "compile_plans", compile_plans)
    shelf = Shelf({}, 100, lambda _: None, lambda _: None)
    shelf.take([ProjectVersion(project="p", version=number, files={}, time=0,
                               document={"name": "p", "title": f"v{number}"}) for number in (1, 2)])
    assert (shelf.known("p", 1, "o"), str(shelf.known("p", 2, "o"))) == (None, "v2")
    assert "version 1 of project p is passed over: there is no step kind 'gone'" in caplog.text
    with pytest.raises(Unavailable, match="cannot be read here"):
        await shelf.plan("p", 1, "o")
