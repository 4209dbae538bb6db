"""The fold of the config topic, and what is refused before it."""

from dataclasses import replace
from typing import Any

import orjson
import pytest

from shared.contracts import config
from shared.contracts.catalogue import Catalogue
from shared.contracts.codec import MAX_NAME, header_map
from shared.contracts.config import Client, DroppedVersion, OldVersion, ProjectVersion, Token
from shared.contracts.execution import ExecutionRecord
from shared.contracts.origin import Origin
from shared.contracts.request import RequestRecord
from shared.errors import BadRecord
from shared.project.model import Project

VERSION = ProjectVersion(project="p", version=1, document={"name": "p"}, files={}, time=0)
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


def renewed(known: Catalogue, **before: int) -> dict[str, int]:
    """Versions in force after all that is known of p."""
    known.renew(before, [VERSION], version_of)
    return before


def test_newest_version_that_compiles_is_in_force() -> None:
    broken = {"broken": True}
    known = catalogue(*(replace(VERSION, version=number, document=broken if number in (3, 4) else {"good": True})
                        for number in (4, 1, 3, 2)))
    assert renewed(known) == {"p": 2}
    assert [version.version for version in known.history("p")] == [1, 2]


def test_project_that_was_removed_has_no_operations_for_a_release_that_knows_no_removal() -> None:
    record = config.to_value(replace(VERSION, version=2, document={}))
    assert Project.model_validate(orjson.loads(record)["document"]).operations == ()
    known = config.from_record(b"project/p/2", record)
    assert isinstance(known, ProjectVersion)
    assert known.removes


def test_older_version_is_as_it_was_in_little_memory_in_whatever_order_they_come() -> None:
    document = {"operations": [{"name": f"o{number}"} for number in range(300)], "workflows": {"w": {"ü": None}}}
    old = replace(VERSION, document=document, files={"weir.yaml": "ü" * 9}, time=7, author="a", note="n")
    for numbers in ((1, 2), (2, 1)):
        known = catalogue(*(replace(old, version=number) for number in numbers))
        kept, newest = known.history("p")
        assert isinstance(kept, OldVersion)
        assert len(kept.content) < len(config.to_value(old)) / 5
        assert (kept.operation_count, kept.workflow_names, kept.time, kept.author, kept.note) == (
            300, ("w",), 7, "a", "n") == (
            newest.operation_count, newest.workflow_names, newest.time, newest.author, newest.note)
        assert known.version("p", 1) == old
        assert known.newest("p") is newest


def test_version_that_is_dropped_is_gone_and_the_one_in_force_stays() -> None:
    known = catalogue(VERSION, replace(VERSION, version=2))
    for dropped in (DroppedVersion(project="p", version=1), DroppedVersion(project="p", version=2),
                    DroppedVersion(project="p", version=9), DroppedVersion(project="q", version=1)):
        known.put(dropped)
    assert [version.version for version in known.history("p")] == [2]
    assert known.projects() == ["p"]


@pytest.mark.parametrize(("key", "version"), [
    (b"project/shop/7", 7), (b"project/shop", None), (b"project/shop/x", None), (b"project/shop/-1", None), (b"", None),
    (None, None), (b"client/shop/7", None), (b"project/shop/" + b"9" * 5_000, None), ("project/shop/٣".encode(), None)])
def test_record_without_a_value_drops_what_its_key_says(key: bytes | None, version: int | None) -> None:
    assert config.removed(key) == (version and DroppedVersion(project="shop", version=version))


def test_token_that_is_dropped_is_known_by_nothing() -> None:
    known = Catalogue()
    known.put(TOKEN)
    for dropped in (config.removed(b"token/other"), config.removed(TOKEN.key)):
        assert dropped is not None
        known.put(dropped)
    assert (known.tokens, known.tokens_by_digest) == ({}, {})


def test_project_without_any_version_that_compiles_is_not_in_force() -> None:
    known = catalogue(replace(VERSION, document={"broken": True}))
    assert renewed(known) == {}
    known.put(replace(VERSION, version=2))
    assert renewed(known) == {"p": 2}


def test_project_that_is_removed_is_in_force_no_more_and_can_be_gone_back_to() -> None:
    known = catalogue(VERSION, replace(VERSION, version=2, document={}))
    assert renewed(known, p=1, q=1) == {"q": 1}
    assert renewed(known) == {}
    known.put(replace(VERSION, version=3))
    assert renewed(known, q=1) == {"p": 3, "q": 1}


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


def test_version_in_force_is_held_packed_once_something_was_made_of_it_and_the_next_follows_it() -> None:
    known = catalogue(replace(VERSION, files={"weir.yaml": "name: p\n"}))
    assert renewed(known) == {"p": 1}
    assert [type(version) for version in known.history("p")] == [OldVersion]
    assert known.newest("p") == replace(VERSION, files={"weir.yaml": "name: p\n"})
    known.put(replace(VERSION, version=2))
    assert renewed(known, p=1) == {"p": 2}
    known.put(replace(VERSION, version=3, document={"name": "p", "broken": True}))
    assert renewed(known, p=2) == {"p": 2}
