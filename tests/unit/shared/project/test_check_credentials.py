"""What steps prove themselves with is declared, where a project declares anything."""

import pytest

from shared.project.load import load_project

FILES = {
    "weir.yaml": "name: p\n",
    "operations.yaml": "operations:\n  - { name: o, method: GET, path: /o, workflow: w }\n",
    "workflows/w.yaml": "steps:\n"
                        "  - id: sum\n"
                        "    http: { url: 'https://crm.example', credential: crm }\n"
                        "  - id: other\n"
                        "    operation: { project: shop, operation: list, credential: shop }\n"
                        "  - { id: r, reply: { body: 1 } }\n"}
DECLARED = "credentials:\n  - { name: crm, kind: basic }\n  - { name: shop, kind: bearer, description: a client }\n"


def told(credentials: str) -> list[str]:
    return [str(problem) for problem in load_project({**FILES, "credentials.yaml": credentials}).problems]


def test_what_is_declared_is_part_of_the_project() -> None:
    project = load_project({**FILES, "credentials.yaml": DECLARED}).project
    assert project is not None
    assert [(one.name, one.kind) for one in project.credentials] == [("crm", "basic"), ("shop", "bearer")]
    assert project.model_validate(project.to_document()) == project


def test_nothing_is_asked_for_without_the_file() -> None:
    project = load_project(FILES).project
    assert project is not None
    assert project.credentials == ()
    assert "credentials" not in project.to_document()


@pytest.mark.parametrize(("credentials", "problem"), [
    (DECLARED.replace("crm", "cmr"), "workflows/w.yaml:3:41: credentials.yaml has no credential 'crm'; it has cmr, "
                                     "shop [dangling]"),
    (DECLARED.replace("bearer", "hmac"), "workflows/w.yaml:5:50: an operation takes a token of one of its clients, a "
                                         "credential of the kind bearer; 'shop' is of the kind hmac [misfit]"),
    (DECLARED + "  - { name: crm, kind: hmac }\n", "credentials.yaml:4:7: credential 'crm' stands twice [duplicate]"),
    ("credentials: crm\n", "credentials.yaml:1:1: `credentials` is a list [shape]"),
    ("secrets: []\n", "credentials.yaml:1:1: unknown key 'secrets'; credentials.yaml has credentials [unknown-key]")])
def test_what_does_not_fit_is_told_with_its_place(credentials: str, problem: str) -> None:
    assert problem in told(credentials)


@pytest.mark.parametrize(("text", "place"), [("kind: basic", "2:18"), ("name: crm", "2:7")])
def test_malformed_one_is_told_alone(text: str, place: str) -> None:
    [found] = told(DECLARED.replace(text, f"{text[:6]}'no such thing'"))
    assert found.startswith(f"credentials.yaml:{place}: ")
    assert found.endswith("[shape]")


def test_a_value_has_no_place_there() -> None:
    [found] = told(DECLARED.replace("kind: basic", "kind: basic, secret: hunter2"))
    assert found.startswith("credentials.yaml:2:31: ")
    assert "hunter2" not in found
