"""Clients and their tokens: what is left of them when several people change them at once, or they are removed."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from services.console.cli import access, admin
from services.control.api import Call, Result
from services.control.faults import Conflict, NotFound
from services.control.resources.clients import (
    NewClient,
    NewToken,
    Roles,
    Rotation,
    change_client,
    check_client,
    create_client,
    create_token,
    list_clients,
    remove_client,
    revoke_token,
    rotate_token,
)
from shared.contracts.token import topic_digest
from shared.names import topics
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
    gone = {revoked, *made[:-31]}
    assert sorted(desks.store.forgotten) == sorted(gone)
    # a day's token ends an hour later, and is told of for thirty days
    assert set(catalogue.tokens) == {*kept, *made[-31:]}
    assert {token.id for token in catalogue.tokens_by_digest.values()} == set(catalogue.tokens)
    assert len(catalogue.tokens_by_digest) == 2 * len(catalogue.tokens)
    await rotate_token(desks.call(Rotation(expires_in_s=60, overlap_s=0), client="c"))
    desks.clock.now += 31 * DAY_MS
    await create_token(desks.call(NewToken(), client="c"))
    await asyncio.sleep(0)
    assert set(catalogue.tokens) & {*kept, *made} == {kept[1]}


class Unread(dict[Any, Any]):
    """What may be asked for one of its members alone."""

    def _refuse(self) -> Any:
        raise AssertionError("all of it was gone through")

    __iter__ = values = items = _refuse


async def test_clients_and_tokens_of_other_projects_are_not_gone_through_for_those_of_one() -> None:
    desks = Desks()
    desks.put(1, {})
    catalogues = desks.registry.catalogue, desks.book._catalogue
    for catalogue in catalogues:
        catalogue.clients, catalogue.tokens = Unread(catalogue.clients), Unread(catalogue.tokens)
    await create_client(desks.call(NewClient(name="c")))
    token = (await create_token(desks.call(NewToken(), client="c"))).body["id"]
    await rotate_token(desks.call(Rotation(), client="c"))
    check_client(desks.call(), "p", "c")
    assert await listed(desks) == {"c": ([], "command")}
    assert {token.client for token in desks.registry.catalogue.tokens_of("p")} == {"c"}
    assert len(desks.registry.catalogue.tokens_of("p")) == 2
    await revoke_token(desks.call(token=token))
    await remove_client(desks.call(client="c"))
    assert all(token.revoked for token in desks.registry.catalogue.tokens_of("p"))
    assert {**desks.registry.catalogue.clients_of("p")} == {}


async def listed(desks: Desks) -> dict[str, tuple[list[str], str]]:
    found = (await list_clients(desks.call())).body
    return {one["name"]: (one["roles"], one["made_by"]) for one in found}


async def shows(desks: Desks, client: str) -> Callable[[], tuple[str, set[str]] | None]:
    """Who shows a new token of a client, whenever it is asked."""
    shown = (await create_token(desks.call(NewToken(), client=client))).body["token"]

    def now() -> tuple[str, set[str]] | None:
        owner = desks.book.owner(topic_digest(shown, topics.REQUESTS_EDGE))
        assert owner is not None
        token, identity = owner
        return None if identity is None or token.revoked else (identity.client, set(identity.roles))
    return now


async def test_client_that_was_made_by_the_command_is_changed_and_removed() -> None:
    desks = Desks()
    desks.put(1, {})
    await create_client(desks.call(NewClient(name="c", roles=["admin"])))
    who = await shows(desks, "c")
    assert who() == ("c", {"admin"})
    await change_client(desks.call(Roles(roles=["reader"]), client="c"))
    assert (who(), await listed(desks)) == (("c", {"reader"}), {"c": (["reader"], "command")})
    await remove_client(desks.call(client="c"))
    assert (who(), await listed(desks)) == (None, {})
    # somebody else who is called the same
    await create_client(desks.call(NewClient(name="c", roles=["admin"])))
    assert who() is None


async def test_role_that_the_project_does_not_declare_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    desks = Desks()
    desks.put(1, {"access.yaml": "roles: [reader, editor]\n"})
    answers = [await create_client(desks.call(NewClient(name="c", roles=["reader", "raeder"]))),
               await change_client(desks.call(Roles(roles=["writer"]), client="c")),
               await change_client(desks.call(Roles(roles=["editor"]), client="c"))]
    assert [answer.body.get("undeclared_roles") for answer in answers] == [["raeder"], ["writer"], None]
    app = typer.Typer()
    access.register(app)
    for answer, told in zip(answers, ("declares no role 'raeder'", "declares no role 'writer'", ""), strict=True):
        monkeypatch.setattr(admin, "ask", lambda *_, answer=answer: answer.body)
        found = CliRunner().invoke(app, ["client", "change", "p", "c"])
        assert (told in found.stderr, bool(found.stderr)) == (True, bool(told))


@pytest.mark.parametrize("make", [create_token, rotate_token])
async def test_client_that_goes_meanwhile_leaves_no_token_to_whoever_is_called_the_same_later(
        make: Callable[[Call], Awaitable[Result]]) -> None:
    desks = Desks()
    desks.put(1, {})
    await create_client(desks.call(NewClient(name="c")))
    removal = asyncio.ensure_future(remove_client(desks.call(client="c")))
    await asyncio.sleep(0)
    with pytest.raises(NotFound, match="has no client 'c'"):
        await make(desks.call(Rotation(), client="c"))
    await removal
    assert desks.registry.catalogue.tokens == {}


async def test_removed_client_that_the_files_declare_is_as_they_say() -> None:
    desks = Desks()
    desks.put(1, {})
    await create_client(desks.call(NewClient(name="c", roles=["admin"])))
    who = await shows(desks, "c")
    desks.put(2, {"access.yaml": "roles: [reader]\nclients: [{ name: c, roles: [reader] }]\n"})
    assert (who(), await listed(desks)) == (("c", {"admin"}), {"c": (["admin"], "command")})
    await remove_client(desks.call(client="c"))
    assert (who(), await listed(desks)) == (("c", {"reader"}), {"c": (["reader"], "access.yaml")})
    for act in (remove_client, change_client):
        with pytest.raises(Conflict, match=r"stands in the access\.yaml of 'p'"):
            await act(desks.call(Roles(roles=[]), client="c"))
        with pytest.raises(NotFound, match="has no client 'd'"):
            await act(desks.call(Roles(roles=[]), client="d"))
