"""Browsers: a page is let in when its origin is named, and no origin is echoed that is not."""

from typing import Any

import pytest

from services.ingress.cors import added, answer_headers, preflight
from shared.project.access.traffic import Cors

EVERYBODY = {"origins": ["*"]}
NAMED = {"origins": ["https://app.example", "https://*.shop.example"], "credentials": True, "expose": ["x-a"],
         "methods": ["GET", "POST"], "headers": ["X-B"], "max_age": "1h"}


def rules(*settings: dict[str, Any]) -> list[Cors]:
    return [Cors.model_validate(one) for one in settings]


@pytest.mark.parametrize(("origin", "granted"), [
    ("https://app.example", True), ("https://APP.example", True), ("https://till.shop.example", True),
    ("https://a.b.shop.example", True), ("https://shop.example", False), ("http://app.example", False),
    ("https://app.example:8443", False), ("https://evilshop.example", False), ("https://app.example.evil", False),
    ("http://till.shop.example", False), ("https://app.example://.", False), ("null", False), ("", False)])
def test_origin_is_granted_only_by_its_name(origin: str, granted: bool) -> None:
    for headers in (answer_headers(rules(NAMED), origin), preflight(rules(NAMED), {"origin": origin}, ["GET"])):
        assert headers["Vary"] == "Origin"
        assert headers.get("Access-Control-Allow-Origin") == (origin if granted else None)
        assert headers.get("Access-Control-Allow-Credentials") == ("true" if granted else None)


def test_preflight_says_what_is_allowed() -> None:
    headers = preflight(rules(NAMED), {"origin": "https://app.example"}, ["DELETE"])
    assert headers["Access-Control-Allow-Methods"] == "GET, POST"
    assert (headers["Access-Control-Allow-Headers"], headers["Access-Control-Max-Age"]) == ("x-b", "3600")
    assert preflight(rules(EVERYBODY), {"origin": "https://x"}, ["PUT"])["Access-Control-Allow-Methods"] == "PUT"


@pytest.mark.parametrize(("asked", "granted"), [
    ("x-shop, Idempotency-Key,prefer", "x-shop, Idempotency-Key, prefer"), ("", None), (None, None),
    ("x-a, caf\udce9, x b, x-c", "x-a, x-c"), (",, ,", None), ("x" * 101, None)])
def test_page_may_send_what_it_asks_for_where_the_owner_does_not_say(asked: str | None, granted: str | None) -> None:
    wanted = {} if asked is None else {"access-control-request-headers": asked}
    page = {"origin": "https://app.example", **wanted}
    headers = preflight(rules({"origins": ["https://app.example"]}), page, ["GET"])
    assert headers.get("Access-Control-Allow-Headers") == granted
    assert "Access-Control-Allow-Headers" not in preflight(rules(NAMED), {"origin": "https://other", **wanted}, ["GET"])
    assert preflight(rules(NAMED), page, [])["Access-Control-Allow-Headers"] == "x-b"


def test_everybody_is_a_star_and_never_with_credentials() -> None:
    assert answer_headers(rules(EVERYBODY), "https://x.example") == {
        "Access-Control-Allow-Origin": "*",
        "Access-Control-Expose-Headers": "x-request-id, location, retry-after, ratelimit, ratelimit-policy, allowance, "
                                         "idempotency-replayed, preference-applied"}


def test_operation_that_says_nothing_of_browsers_gets_no_header() -> None:
    assert answer_headers([], "https://x.example") == {}


@pytest.mark.parametrize("settings", [(NAMED, EVERYBODY), (EVERYBODY, NAMED), ({"origins": ["https://a", "*"]},)])
def test_answer_that_another_page_would_get_otherwise_says_so_to_caches(settings: tuple[dict[str, Any], ...]) -> None:
    for headers in (answer_headers(rules(*settings), "https://other"),
                    preflight(rules(*settings), {"origin": "https://other"}, ["GET"])):
        assert (headers["Access-Control-Allow-Origin"], headers["Vary"]) == ("*", "Origin")


@pytest.mark.parametrize(("made", "origin", "wanted"), [
    ({"access-control-allow-origin": "*", "ACCESS-CONTROL-EXPOSE-HEADERS": "x-z"}, "https://app.example",
     {"access-control-allow-origin": "https://app.example", "access-control-allow-credentials": "true",
      "access-control-expose-headers": "x-a", "vary": "Origin"}),
    ({"access-control-allow-origin": "*", "Access-Control-Allow-Credentials": "true"}, "https://other",
     {"vary": "Origin"}),
    ({"access-control-allow-origin": "*", "x-y": "1"}, None, {"vary": "Origin", "x-y": "1"}),
    ({"vary": "Accept-Encoding", "Vary": "Accept"}, None, {"vary": "Accept-Encoding, Accept, Origin"}),
    ({"vary": "Origin"}, None, {"vary": "Origin"})],
    ids=["granted", "not granted", "no page", "vary", "said already"])
def test_answers_of_workflows_say_each_thing_once(
        made: dict[str, str], origin: str | None, wanted: dict[str, str]) -> None:
    headers = added(made, rules(NAMED), origin)
    assert {name.lower(): value for name, value in headers.items()} == wanted
    assert len(headers) == len(wanted), "no header twice, whatever its case"


def test_what_an_answer_varies_by_stays_where_everybody_may_read_it() -> None:
    assert added({"vary": "Accept"}, rules(EVERYBODY), "https://x")["Vary"] == "Accept"
    assert added({"vary": "Accept"}, [], "https://x") == {"vary": "Accept"}
