"""Secrets that a version needs and policy does not have are told in its log."""

import pytest

from services.policy.secrets import tell_missing
from shared.contracts.config import Client, Entity, ProjectVersion
from shared.decision.vault import Vault
from tests.support.calls import book

SIGNED = {"authentication": {"signature": [{"client": "c", "secret": "TILL"}, {"client": "c", "secret": "SHOP"}]}}
VERSIONS: list[Entity] = [ProjectVersion(project=name, version=number, document={}, files={}, time=0)
                          for name in ("p", "gone") for number in (2, 3)]


@pytest.mark.parametrize(("known", "entities", "told"), [
    ({}, VERSIONS, ["TILL", "SHOP"]),
    ({"TILL": "whsec_aGVsbG8=", "SHOP": " "}, VERSIONS, ["SHOP"]),
    ({"TILL": "whsec_aGVsbG8=", "SHOP": "whsec_aGVsbG8="}, VERSIONS, []),
    # nothing that makes another version count
    ({}, [Client(project="p", name="c", time=0)], []),
])
def test_each_missing_secret_of_a_version_is_told_once_and_without_its_value(
        known: dict[str, str], entities: list[Entity], told: list[str], caplog: pytest.LogCaptureFixture) -> None:
    tell_missing(book([], Vault(secrets=known), **SIGNED), entities)
    assert [record.getMessage() for record in caplog.records] == [
        f"project p, version 3: messages signed by c get 503, for the secret to verify them with is not set "
        f"(WEIR_SECRET_{name})" for name in told]
