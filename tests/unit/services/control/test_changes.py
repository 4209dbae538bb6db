"""What a change of configuration writes; the documents of control."""

import re
from pathlib import Path

import pytest
from openapi_spec_validator import validate

from services.control import changes
from services.control.admin_openapi import admin_openapi
from services.control.admin_token import admin_token
from services.control.asyncapi import asyncapi
from services.control.faults import Conflict, NotFound
from services.control.wire import ROUTES
from shared.contracts.catalogue import Catalogue
from shared.contracts.config import ProjectVersion
from shared.errors import InputInvalid
from shared.names import headers, topics

FILES = {
    "weir.yaml": "name: shop\n",
    "operations.yaml": "operations:\n  - {name: stock, method: GET, path: /stock, workflow: stock}\n",
    "workflows/stock.yaml": "steps:\n  - {id: answer, reply: {body: 1}}\n"}


def applied(catalogue: Catalogue, files: dict[str, str], expected: int | None = None) -> int:
    version = changes.next_version(catalogue, "shop", files, expected, 5)
    assert version is not None
    catalogue.put(version)
    return version.version


def test_versions_count_up_and_the_same_files_change_nothing() -> None:
    catalogue = Catalogue()
    assert applied(catalogue, FILES, 0) == 1
    assert changes.next_version(catalogue, "shop", {**FILES, "README.md": "x"}, 1, 5) is None
    assert applied(catalogue, {**FILES, "weir.yaml": "name: shop\ntitle: Shop\n"}, 1) == 2


def test_unexpected_version_is_a_conflict_that_names_the_one_in_force() -> None:
    catalogue = Catalogue()
    applied(catalogue, FILES)
    with pytest.raises(Conflict) as refused:
        changes.next_version(catalogue, "shop", FILES, 7, 5)
    assert refused.value.members == {"current_version": 1}


@pytest.mark.parametrize(("name", "files"), [
    ("shop", {**FILES, "weir.yaml": "name: ["}), ("other", FILES),
    ("weir-x", {**FILES, "weir.yaml": "name: weir-x\n"})], ids=["broken", "other name", "reserved"])
def test_project_that_cannot_be_applied_is_refused(name: str, files: dict[str, str]) -> None:
    with pytest.raises(InputInvalid):
        changes.next_version(Catalogue(), name, files, None, 5)


def test_rollback_is_a_new_version_with_old_content() -> None:
    catalogue = Catalogue()
    applied(catalogue, FILES)
    applied(catalogue, {**FILES, "weir.yaml": "name: shop\ntitle: Shop\n"})
    back = changes.rollback(catalogue, "shop", 1, 2, 9)
    assert (back.version, back.files) == (3, FILES)
    with pytest.raises(NotFound):
        changes.rollback(catalogue, "shop", 9, None, 9)


def test_project_that_is_removed_can_be_gone_back_to_and_applied() -> None:
    catalogue = Catalogue()
    applied(catalogue, FILES)
    with pytest.raises(Conflict):
        changes.removal(catalogue, "shop", 7, 9)
    removed = changes.removal(catalogue, "shop", 1, 9)
    assert (removed.version, removed.removes, removed.note) == (2, True, "removed")
    catalogue.put(removed)
    for name, says in (("shop", "was removed, by its version 2"), ("other", "there is no project")):
        with pytest.raises(NotFound, match=says):
            changes.removal(catalogue, name, None, 9)
    with pytest.raises(NotFound, match="go back to one before it"):
        changes.rollback(catalogue, "shop", 2, None, 9)
    assert changes.rollback(catalogue, "shop", 1, 2, 9).files == FILES
    assert "+name: shop" in changes.diff(catalogue, "shop", FILES)
    assert applied(catalogue, FILES, 2) == 3


def test_version_goes_once_enough_newer_ones_are_there_and_nothing_can_run_with_it() -> None:
    catalogue, day = Catalogue(), topics.DAY_MS
    for number, at in enumerate([0, 1, 2, 50, 70, 71], 1):
        catalogue.put(ProjectVersion(project="shop", version=number, files={}, document={}, time=at * day))

    def gone(keep: int, today: int) -> list[int]:
        return [dropped.version for dropped in changes.outlived(catalogue, "shop", keep, today * day)]

    # 1 and 2 were followed on day 1 and 2, 3 on day 50
    assert [gone(3, today) for today in (61, 62, 63, 64, 112, 400)] == [[], [], [1], [1, 2], [1, 2, 3], [1, 2, 3]]
    assert [gone(keep, 400) for keep in (1, 2, 5, 6, 100)] == [[1, 2, 3, 4, 5], [1, 2, 3, 4], [1], [], []]
    assert changes.outlived(catalogue, "other", 1, 400 * day) == []


def test_rollback_to_what_no_service_could_compile_is_refused() -> None:
    catalogue = Catalogue()
    files = {**FILES, "workflows/stock.yaml": "steps:\n  - {id: a, gone_connector: {x: 1}}\n"}
    catalogue.put(ProjectVersion(project="shop", version=1, files=files, time=0, document={
        "name": "shop", "workflows": {"stock": {"name": "stock", "steps": [{"id": "a", "gone_connector": {"x": 1}}]}}}))
    applied(catalogue, FILES)
    with pytest.raises(InputInvalid, match=r"version 1 cannot be in force.*yaml:2:5: .*has none.*weir export shop"):
        changes.rollback(catalogue, "shop", 1, None, 9)


def test_diff_shows_changed_new_and_removed_files() -> None:
    catalogue = Catalogue()
    applied(catalogue, FILES)
    text = changes.diff(catalogue, "shop", {"weir.yaml": "name: shop\ntitle: x\n", "access.yaml": "roles: []\n"})
    assert "+title: x" in text
    assert "+roles: []" in text
    assert "-steps:" in text
    assert changes.diff(catalogue, "shop", FILES) == ""


def test_diff_names_a_file_that_comes_or_goes_and_has_no_line() -> None:
    catalogue, more = Catalogue(), {**FILES, "access.yaml": ""}
    applied(catalogue, FILES)
    assert changes.diff(catalogue, "shop", more) == "--- (none)\n+++ access.yaml\n"
    assert applied(catalogue, more) == 2, "it is another version"
    assert changes.diff(catalogue, "shop", FILES) == "--- access.yaml (version 2)\n+++ (none)\n"


def test_diff_of_files_without_an_end_of_line_keeps_its_lines_apart() -> None:
    text = changes.diff(Catalogue(), "shop", {"access.yaml": "roles: []", "weir.yaml": "name: shop"})
    assert text == ("--- (none)\n+++ access.yaml\n@@ -0,0 +1 @@\n+roles: []\n\\ No newline at end of file\n"
                    "--- (none)\n+++ weir.yaml\n@@ -0,0 +1 @@\n+name: shop\n\\ No newline at end of file\n")


def test_admin_document_is_valid_and_has_every_route() -> None:
    document = admin_openapi(ROUTES)
    validate(document)
    assert {f"/v1{route.path}" for route in ROUTES} == set(document["paths"])
    # what a client made from it meets: files that are in force already, a table
    assert set(document["paths"]["/v1/projects/{project}/versions"]["post"]["responses"]) == {
        "200", "201", "4XX", "5XX", "default"}
    for path in ("/v1/usage", "/v1/projects/{project}/usage"):
        assert document["paths"][path]["get"]["responses"]["200"]["content"] == {
            "application/json": {"schema": {}}, "text/csv": {"schema": {"type": "string"}}}
    assert document["servers"] == [{"url": "/"}]
    # a number stays one in what clients are made from
    to = document["components"]["schemas"]["Rollback"]["properties"]["to"]
    assert (to["type"], to["minimum"]) == ("integer", 1)


def test_topics_document_has_every_topic_and_only_real_headers() -> None:
    document = asyncapi()
    # that of answers is the caller's own
    assert {channel["address"] for channel in document["channels"].values()} == {
        None, *(topic.name for topic in topics.TOPICS)}
    real = {value for name, value in vars(headers).items() if name.isupper() and isinstance(value, str)}
    for message in document["components"]["messages"].values():
        assert set(message["headers"]["properties"]) <= real
    for reference in re.findall(r"'\$ref': '#/([^']+)'", str(document)):
        here: object = document
        for part in reference.split("/"):
            assert isinstance(here, dict)
            here = here[part]


def test_admin_token_is_made_once_and_readable_by_its_owner_alone(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    made = admin_token(None, folder)
    assert admin_token(None, folder) == made
    assert admin_token("configured", folder) == "configured"
    assert (folder / "admin-token").stat().st_mode & 0o077 == 0


def test_admin_token_is_never_blank(tmp_path: Path) -> None:
    (tmp_path / "admin-token").write_text("\n")
    made = admin_token(" \n", tmp_path)
    assert made.startswith("weiradmin_")
    assert admin_token(None, tmp_path) == made
    assert admin_token("from-a-file\n", tmp_path) == "from-a-file"
    assert [file.name for file in tmp_path.iterdir()] == ["admin-token"]
