"""A credential is set as its project declares it."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from services.control.api import Call, Desk
from services.control.resources.credentials import NewCredential, set_credential
from shared.contracts.config import ProjectVersion
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
