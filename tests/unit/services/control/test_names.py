"""A name that is mistyped is told, and not taken for one of which nothing is known."""

import pytest

from services.control.api import Body, Handler
from services.control.faults import NotFound
from services.control.letter_box import LetterBox
from services.control.resources.allowance import Raise, raise_allowance
from services.control.resources.clients import NewToken, create_token
from services.control.resources.dead_letters import list_letters
from services.control.resources.signals import NewSignal, list_signals, make_signal
from services.control.resources.usage import usage, verify
from shared.errors import InputInvalid
from shared.project.load import load_project
from tests.unit.services.control.desk import Desks

ACCESS = "clients: [{ name: till }]\n"
ISSUER = """authentication:
  jwt: [{ issuer: "https://id.example.com", audience: a, jwks: "https://id.example.com/keys" }]
"""


def desks(access: str = ACCESS, **more: str) -> Desks:
    made = Desks()
    files = {"access.yaml": access, **more}
    assert load_project({"weir.yaml": "name: p\n", **files}).problems == ()
    made.put(1, files)
    return made


@pytest.mark.parametrize("handler", [usage, verify, list_signals])
async def test_project_that_there_is_not_is_told(handler: Handler) -> None:
    with pytest.raises(NotFound, match="there is no project 'q'"):
        await handler(desks().call(project="q"))


@pytest.mark.parametrize(("body", "says"), [
    (NewSignal(kind="client", subject="tlil"), "has no client 'tlil'; it has till"),
    (NewSignal(kind="token", subject="1"), "there is no token '1' here")])
async def test_nobody_is_not_blocked(body: Body, says: str) -> None:
    with pytest.raises(NotFound, match=says):
        await make_signal(desks().call(body))


async def test_whom_an_issuer_may_name_is_blocked() -> None:
    made = await make_signal(desks(ACCESS + ISSUER).call(NewSignal(kind="client", subject="ada")))
    assert made.status == 201


async def test_token_is_blocked_where_it_is_one() -> None:
    here = desks()
    token = await create_token(here.call(NewToken(), client="till"))
    for project in ("p", "*"):
        made = await make_signal(here.call(NewSignal(kind="token", subject=token.body["id"]), project=project))
        assert made.status == 201


async def test_allowance_of_nobody_is_not_raised() -> None:
    here = desks(**{"weir.yaml": "name: p\nallowance: { tasks: 10, by: client }\n"})
    with pytest.raises(NotFound, match="has no client 'tlil'; it has till"):
        await raise_allowance(here.call(Raise(by=5, client="tlil")))
    with pytest.raises(NotFound, match="project 'p' has no allowance; `allowance` in its"):
        await raise_allowance(desks().call(Raise(by=5)))


@pytest.mark.parametrize(("query", "says"), [
    ({"by": "operation,clinet"}, "by is of project, operation, client, source, status, reason, not 'clinet'"),
    ({"per": "year"}, "per is of minute, hour, day, month, not 'year'"), ({"order": "cost"}, "order is of requests, "),
    ({"top": "0"}, "top is a number from 1 to 2000, not 0"), ({"since": "2", "until": "1"}, "since is after until")])
async def test_question_about_usage_that_cannot_be_is_told_in_words(query: dict[str, str], says: str) -> None:
    with pytest.raises(InputInvalid, match=says):
        await usage(desks().call(query=query))


async def test_state_of_letters_that_there_is_not_is_told() -> None:
    here = desks()
    object.__setattr__(here.desk, "letters", LetterBox(1))
    assert (await list_letters(here.call(query={"state": "dropped"}))).body == {
        "letters": [], "total": 0, "older": 0}
    with pytest.raises(InputInvalid, match="state is one of waiting, replayed, dropped, all, not 'waitin'"):
        await list_letters(here.call(query={"state": "waitin"}))
