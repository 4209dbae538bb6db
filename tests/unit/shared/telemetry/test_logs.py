"""Lines are JSON, say which request they are about, and hold no secret."""

import ast
import asyncio
import json
import logging
import sys
import time
from itertools import count

import pytest

from shared.contracts.config import LogLevel
from shared.contracts.token import new_token
from shared.names import actions
from shared.telemetry import logs
from shared.telemetry.access import AccessLog, Ending
from shared.telemetry.verbosity import Verbosity
from tests.support.platform import ROOT

TOKEN = new_token()


def line(message: str, *args: object, **extra: object) -> dict[str, object]:
    record = logging.makeLogRecord({"name": "services.x", "levelname": "INFO", "msg": message, "args": args, **extra})
    return json.loads(logs.JsonLines({"service": "policy", "instance": "policy-0"}).format(record))  # type: ignore[no-any-return]


@pytest.mark.parametrize("secret", [
    TOKEN, f"Bearer {TOKEN}", "Bearer abc.def", "Basic dXNlcjpwYXNz", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln",
    "redis://user:pass@host/0", "a.eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln", f"x.{TOKEN}.y",
    "key-eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln"], ids=count())
def test_secret_in_a_message_or_member_is_masked(secret: str) -> None:
    raw = secret.removeprefix("Bearer ").removeprefix("Basic ").removeprefix("redis://").partition("@")[0]
    for told in (line("it was %s, really", secret), line("x", detail=f"<{secret}>")):
        assert raw not in json.dumps(told)
        assert logs.MASKED in json.dumps(told)


@pytest.mark.parametrize("name", ["Authorization", "cookie", "password", "token", "x-api-key"])
def test_member_with_the_name_of_a_secret_is_masked(name: str) -> None:
    assert line("x", **{name: "plain"})[name] == logs.MASKED


def test_error_is_masked_and_what_is_no_secret_stays() -> None:
    try:
        raise ValueError(f"Bearer {TOKEN}")
    except ValueError:
        told = line("weir_requests went wrong at https://host/path", exc_info=sys.exc_info())
    assert TOKEN not in str(told["error"])
    assert told["message"] == "weir_requests went wrong at https://host/path"


@pytest.mark.parametrize("word", ["eyJ-", "eyJ.", "weir_-", "x://", "Bearer "])
def test_masking_takes_no_longer_for_words_that_look_like_secrets(word: str) -> None:
    began = time.perf_counter()
    line(word * 50_000)
    # half a minute where each of them is looked at to the end
    assert time.perf_counter() - began < 5


async def test_lines_of_a_request_carry_its_ids_and_those_of_others_do_not() -> None:
    async def work(number: int) -> dict[str, object]:
        logs.about_request(f"r{number}", f"t{number}")
        await asyncio.sleep(0)
        return line("x")
    told = await asyncio.gather(*(asyncio.ensure_future(work(number)) for number in range(3)))
    assert [(one["request_id"], one["trace_id"]) for one in told] == [("r0", "t0"), ("r1", "t1"), ("r2", "t2")]
    assert "request_id" not in line("x")


def test_every_line_that_the_code_writes_has_an_action_of_the_list() -> None:
    known = {name for name in vars(actions) if name.isupper()}
    lines = 0
    files = [path for top in ("services", "shared") for path in (ROOT / top).rglob("*.py")]
    for path in (path for path in files if "console" not in path.parts):
        for node in ast.walk(ast.parse(path.read_text())):
            if (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
                    and isinstance(node.func.value, ast.Name) and node.func.value.id == "log"):
                extra = next((ast.unparse(one.value) for one in node.keywords if one.arg == "extra"), "")
                if extra.isidentifier():
                    extra = path.read_text().partition(f"{extra} = ")[2].partition("\n")[0].replace('"', "'")
                assert "'action': actions." in extra, f"{path}:{node.lineno}"
                assert extra.partition("actions.")[2].split(",")[0].rstrip("}") in known, f"{path}:{node.lineno}"
                lines += 1
    assert lines > 30


def test_access_log_takes_its_part_and_failures_up_to_a_bound() -> None:
    everything, nothing, some = AccessLog(1), AccessLog(0), AccessLog(0.1)
    assert all(everything.wants(200, 0) for _ in range(100))
    assert not any(nothing.wants(status, 0) for status in (200, 503) for _ in range(100))
    assert 100 < sum(some.wants(200, 0) for _ in range(3_000)) < 600
    rare = AccessLog(1e-9)
    assert sum(rare.wants(500, 5_000_000) for _ in range(100)) == 20
    assert rare.wants(504, 6_000_000)


def test_access_line_says_what_ended_how(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO"):
        AccessLog(1).note(Ending(request_id="r", trace_id="t", project="p", operation="o", method="GET", source="edge",
                                 status=404, took_us=1_500, reason="operation-not-found"))
    told = vars(caplog.records[0])
    assert caplog.messages == ["GET p/o 404 in 1.5 ms"]
    assert (told["action"], told["request_id"], told["reason"]) == ("request-ended", "r", "operation-not-found")


async def test_level_changes_for_its_time_and_the_newest_word_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    levels: list[str] = []
    monkeypatch.setattr(logs, "set_level", levels.append)
    verbosity = Verbosity()
    now = verbosity._clock.now_ms()
    verbosity.take([LogLevel(name="*", level="debug", until=now + 60_000, time=now)])
    assert levels == []
    verbosity.belongs_to("policy", "INFO")
    verbosity.take([LogLevel(name="executor", level="error", until=now + 60_000, time=now + 1)])
    verbosity.take([LogLevel(name="*", level="debug", until=now + 60_000, time=now),
                    LogLevel(name="policy", level="warning", until=now + 150, time=now + 1)])
    verbosity.take([LogLevel(name="*", level="error", until=now - 1, time=now + 2)])
    assert levels == ["warning", "warning"]
    await asyncio.sleep(0.3)
    assert levels[-1] == "INFO"
