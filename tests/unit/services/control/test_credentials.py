"""A credential is set as its project declares it."""

from types import SimpleNamespace
from typing import Any, cast

import pytest
from pydantic import SecretStr

from services.control.api import Call, Desk
from services.control.resources.credentials import NewCredential, set_credential
from shared.contracts.config import ProjectVersion
from shared.contracts.credentials import unusable
from shared.errors import InputInvalid
from tests.support.calls import SEAL


async def test_kind_is_the_declared_one() -> None:
    version = ProjectVersion(project="p", version=1, files={}, time=0, document={
        "name": "p", "credentials": [{"name": "crm", "kind": "basic"}]})
    registry = SimpleNamespace(catalogue=SimpleNamespace(newest=lambda _: version))
    desk = cast(Desk, SimpleNamespace(registry=registry, book=SimpleNamespace(vault=SimpleNamespace(seal=SEAL))))
    new: dict[str, Any] = {"name": "crm", "kind": "bearer", "secret": "x"}
    with pytest.raises(InputInvalid, match=r"credentials\.yaml says that 'crm' is of the kind basic, not bearer"):
        await set_credential(Call(desk=desk, path={"project": "p"}, query={}, body=NewCredential(**new)))


@pytest.mark.parametrize(("kind", "members", "secret", "wrong"), [
    ("oauth2", {"token_url": "id.example.com/token", "client_id": "weir"}, "s", "token_url is no URL"),
    ("oauth2", {"token_url": "ftp://id.example.com", "client_id": "weir"}, "s", "token_url is no URL"),
    ("oauth2", {"token_url": "https://", "client_id": "weir"}, "s", "token_url is no URL"),
    ("oauth2", {"token_url": "https://id.example.com/token"}, "s", "client_id is missing$"),
    ("api_key", {"header": "x maps"}, "s", "header is no name"), ("hmac", {"header": "x:"}, "s", "header is no name"),
    ("api_key", {"header": "x-maps", "query": "key"}, "s", "one of the two"),
    ("basic", {"username": "a:b"}, "s", "username has a colon"),
    ("bearer", {}, "pin-4711\nx", "token has control characters"),
    ("hmac", {}, "whsec_pin-4711!", "no base64"), ("hmac", {}, "whsec_", "no base64")])
async def test_what_could_only_fail_is_refused_and_not_told(
        kind: str, members: dict[str, str], secret: str, wrong: str) -> None:
    version = ProjectVersion(project="p", version=1, files={}, time=0, document={"name": "p"})
    registry = SimpleNamespace(catalogue=SimpleNamespace(newest=lambda _: version))
    desk = cast(Desk, SimpleNamespace(registry=registry, book=SimpleNamespace(vault=SimpleNamespace(seal=SEAL))))
    body = NewCredential(name="crm", kind=cast(Any, kind), members=members, secret=SecretStr(secret))
    with pytest.raises(InputInvalid, match=wrong) as refused:
        await set_credential(Call(desk=desk, path={"project": "p"}, query={}, body=body))
    assert "4711" not in str(refused.value)


@pytest.mark.parametrize("members", [
    {"token": "a b"}, {"value": "k", "header": "X-Maps"}, {"value": "k", "query": "key"}, {"username": "ada"},
    {"token_url": "http://127.0.0.1:8000/token?tenant=1", "client_id": "a:b", "client_secret": "s%+é"},
    {"secret": "plain!"}, {"secret": "whsec_AAAA"}, {"value": "k", "header": ""}])
def test_what_can_be_used_is_taken(members: dict[str, str]) -> None:
    assert unusable(members) == []
