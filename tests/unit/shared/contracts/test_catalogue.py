"""The fold of the config topic, and what is refused before it."""

from dataclasses import replace
from typing import Any

import orjson
import pytest

from shared.contracts import config
from shared.contracts.catalogue import Catalogue
from shared.contracts.codec import MAX_NAME, header_map
from shared.contracts.config import Client, ProjectVersion, Token
from shared.contracts.execution import ExecutionRecord
from shared.contracts.origin import Origin
from shared.contracts.request import RequestRecord
from shared.errors import BadRecord

VERSION = ProjectVersion(project="p", version=1, document={}, files={}, time=0)
TOKEN = Token(id="t", project="p", client="c", digests={"a": "b"}, created=0)


def version_of(found: ProjectVersion) -> int:
    if found.document.get("broken"):
        raise ValueError("broken on purpose")
    return found.version


def catalogue(*versions: ProjectVersion) -> Catalogue:
    made = Catalogue()
    for version in versions:
        made.put(version)
    return made


def test_newest_version_that_compiles_is_in_force() -> None:
    broken = {"broken": True}
    known = catalogue(*(replace(VERSION, version=number, document=broken if number in (3, 4) else {})
                        for number in (4, 1, 3, 2)))
    assert known.compile_newest("p", version_of) == 2
    assert [version.version for version in known.history("p")] == [1, 2]


def test_project_without_any_version_that_compiles_is_not_in_force() -> None:
    known = catalogue(replace(VERSION, document={"broken": True}))
    assert known.compile_newest("p", version_of) is None
    assert known.compile_newest("q", version_of) is None
    known.put(replace(VERSION, version=2))
    assert known.compile_newest("p", version_of) == 2


def test_revoked_token_replaces_the_valid_one() -> None:
    known = Catalogue()
    for token in (TOKEN, replace(TOKEN, revoked=5)):
        known.put(token)
    assert known.tokens_by_digest["b"].revoked == 5


@pytest.mark.parametrize(("entity", "member", "wrong"), [
    (VERSION, "version", "1"), (VERSION, "version", True), (VERSION, "document", []), (VERSION, "files", None),
    (VERSION, "author", 1), (TOKEN, "digests", ["b"]), (TOKEN, "expires", "soon"), (TOKEN, "created", None),
    (Client(project="p", name="c", time=0), "roles", "r")])
def test_config_member_of_the_wrong_type_is_refused(entity: config.Entity, member: str, wrong: Any) -> None:
    document = orjson.loads(config.to_value(entity)) | {member: wrong}
    with pytest.raises(BadRecord, match=member):
        config.from_record(entity.key, orjson.dumps(document))


def test_request_id_that_is_no_uuid_is_refused() -> None:
    with pytest.raises(BadRecord, match="weir-request-id"):
        RequestRecord.from_headers({"weir-project": b"p", "weir-operation": b"o", "weir-request-id": b"7"}, b"",
                                   edge=False)


@pytest.mark.parametrize("member", ["request_id", "project", "operation", "source"])
def test_names_are_bounded(member: str) -> None:
    fields: dict[str, Any] = {
        "request_id": "r", "project": "p", "version": 1, "operation": "o", "client": "c", "source": "edge",
        "origin": Origin("t", 0, 0), "deadline_ms": 5}
    longest = ExecutionRecord(**{**fields, member: "x" * MAX_NAME})
    assert ExecutionRecord.from_headers(header_map(longest.to_headers()), b"") == longest
    too_long = ExecutionRecord(**{**fields, member: "x" * (MAX_NAME + 1)})
    with pytest.raises(BadRecord, match=f"{MAX_NAME}.*{member}"):
        ExecutionRecord.from_headers(header_map(too_long.to_headers()), b"")
