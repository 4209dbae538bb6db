"""Recorded traffic, honest and not: usage events as a day could have brought them, made from a seed.

`python -m tests.support.traffic FOLDER` writes one file per recording: JSON lines, one usage event each, in the order
of their time. The first line of a file says what has to be found in it, and when that began.
"""

import random
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import orjson

from shared.contracts.paths import path_class
from shared.contracts.token import mark
from shared.contracts.usage import UsageEvent

START = 1_800_000_000_000
SECOND, MINUTE, HOUR = 1_000, 60_000, 3_600_000
ICONS = ("/favicon.ico", "/robots.txt", "/apple-touch-icon.png", "/apple-touch-icon-precomposed.png",
         "/static/app.js.map", "/manifest.json")
WORDS = ("admin", "login", "wp-login.php", ".env", ".git/config", "phpmyadmin", "api/users", "backup.zip",
         "config.json", "console", "actuator/health", "server-status", "cgi-bin/test", "old", "test", "db.sql",
         "shell.php", "setup.php", "wp-admin", "xmlrpc.php", ".aws/credentials", "debug", "metrics", "swagger.json",
         "graphql", "jenkins")
Events = Iterator[dict[str, Any]]


class Recording(NamedTuple):
    """`wanted`: (detector, kind, subject) of what has to be found, None for honest traffic; `began`: when it began."""

    name: str
    wanted: tuple[str, str, str] | None
    began: int
    events: tuple[UsageEvent, ...]


def ok(time: float, **more: Any) -> dict[str, Any]:
    """An answered call of client `shop`."""
    return {"time": int(time), "client": "shop", "token": "tk-shop", "address": "198.51.100.10", "status": 200,
            "reason": "ok", "bytes_in": 40, **more}


def refused(time: float, reason: str, **more: Any) -> dict[str, Any]:
    """A refusal, by default of somebody unknown."""
    status = {"credentials-invalid": 401, "operation-not-found": 404, "rate-limited": 429, "input-invalid": 400,
              "workflow-failed": 500, "upstream-failed": 502, "blocked": 403}[reason]
    return {"time": int(time), "client": "", "address": "203.0.113.5", "status": status, "reason": reason,
            "bytes_in": 40, **more}


def every(step: float, seconds: float, start: float = 0, jitter: float = 0.0,
          chance: random.Random | None = None) -> Iterator[float]:
    """Times, one each `step` seconds."""
    at = start
    while at < start + seconds:
        yield START + (at + (chance.uniform(0, jitter) if chance else 0)) * SECOND
        at += step


def burst_that_waits(chance: random.Random) -> Events:
    """Two thousand calls in ten seconds, many of them over the limit; then it waits as it is told, three times over."""
    for start in (0, 90, 180):
        for number, time in enumerate(every(0.005, 10, start)):
            yield (ok(time) if number % 5 < 2 else
                   refused(time, "rate-limited", client="shop", token="tk-shop", address="198.51.100.10"))


def stale_token(chance: random.Random) -> Events:
    """A retry loop with one token that has been revoked, five times a second for five minutes."""
    for time in every(0.2, 300):
        yield refused(time, "credentials-invalid", proof=mark("stale"))


def office_on_monday(chance: random.Random) -> Events:
    """Forty people behind one address, fifteen of them with last week's token, all with browsers that ask for icons."""
    for person in range(40):
        begin = chance.uniform(0, 600)
        for path in chance.sample(ICONS, 4):
            yield refused(START + (begin + 1) * SECOND, "operation-not-found", path=path_class(path))
        if person < 15:
            for attempt in range(3):
                yield refused(START + (begin + attempt * 5) * SECOND, "credentials-invalid",
                              proof=mark(f"old-{person}"))
        for time in every(2, 120, begin):
            yield ok(time, client="", token=f"tk-{person}", address="203.0.113.5")


def batch_with_bad_rows(chance: random.Random) -> Events:
    """A thousand rows, sixty wrong ones in a row, and every fifteenth beside them."""
    for row, time in enumerate(every(0.1, 100)):
        if 400 <= row < 460 or row % 15 == 0:
            yield refused(time, "input-invalid", client="shop", token="tk-shop", bytes_in=100 + row,
                          operation="put-row")
        else:
            yield ok(time, operation="put-row")


def upstream_away(chance: random.Random) -> Events:
    """An outside system is away for two minutes: every call fails, and it is nobody's fault."""
    for time in every(0.1, 120):
        yield refused(time, "upstream-failed", client="shop", token="tk-shop", bytes_in=chance.randrange(1000))


def many_machines(chance: random.Random) -> Events:
    """One service on twelve machines that come and go, in two data centres with IPv6."""
    for number, time in enumerate(every(0.5, 600)):
        one = chance.randrange(1, 9999)
        yield ok(time, address=f"198.51.100.{number % 12}" if number % 3 else f"2001:db8:0:{number % 2}::{one:x}")


def nightly_rush(chance: random.Random) -> Events:
    """Three calls a minute by day; each night at two, ten minutes with nine hundred."""
    for minute in range(50 * 60):
        rush = minute % (24 * 60) in range(2 * 60, 2 * 60 + 10)
        for time in every(60 / (900 if rush else 3), 60, minute * 60):
            yield ok(time)


def new_client(chance: random.Random) -> Events:
    """A client that nobody knows begins with a thousand calls a minute."""
    for time in every(0.06, 180):
        yield ok(time, client="new")


def credential_stuffing(chance: random.Random) -> Events:
    """Another token each time, ten times a second, among honest calls."""
    for time in every(0.1, 60):
        yield refused(time, "credentials-invalid", proof=mark(str(chance.random())))
        yield ok(time, address="198.51.100.10")


def slow_stuffing(chance: random.Random) -> Events:
    """Another token every two seconds."""
    for time in every(2, 180):
        yield refused(time, "credentials-invalid", proof=mark(str(chance.random())))


def stuffing_from_a_network(chance: random.Random) -> Events:
    """Another token and another IPv6 address each time, all of one network."""
    for time in every(0.2, 60):
        yield refused(time, "credentials-invalid", proof=mark(str(chance.random())),
                      address=f"2001:db8:7:7:{chance.randrange(65536):x}::{chance.randrange(65536):x}")


def path_scan(chance: random.Random) -> Events:
    """Three paths a second that scanners try."""
    for number, time in enumerate(every(0.33, 60)):
        yield refused(time, "operation-not-found", path=path_class("/" + WORDS[number % len(WORDS)]))


def path_scan_with_numbers(chance: random.Random) -> Events:
    """Names that nobody could guess to be there, two a second."""
    for time in every(0.5, 60):
        yield refused(time, "operation-not-found", path=path_class(f"/x/{chance.randrange(10**9)}"))


def shared_token(chance: random.Random) -> Events:
    """One token from forty addresses, one after the other, four seconds apart."""
    for number in range(40):
        for time in every(5, 60, number * 4):
            yield ok(time, address=f"203.0.113.{number + 1}")


def hammering(chance: random.Random) -> Events:
    """Ten calls a second, one of ten admitted, and no pause."""
    for number, time in enumerate(every(0.1, 90)):
        yield (ok(time) if number % 10 == 0 else
               refused(time, "rate-limited", client="shop", token="tk-shop", address="198.51.100.10"))


def baseline_jump(chance: random.Random) -> Events:
    """Twenty calls a minute for a day, then twelve hundred."""
    for time in every(3, 86_400):
        yield ok(time)
    for time in every(0.05, 120, 86_400):
        yield ok(time)


def error_payloads(chance: random.Random) -> Events:
    """Five strange inputs a second, some of which break the workflow."""
    for time in every(0.2, 60):
        yield refused(time, chance.choice(["input-invalid", "input-invalid", "workflow-failed"]), client="shop",
                      token="tk-shop", bytes_in=chance.randrange(5000), operation=chance.choice(["get", "put"]))


def calm(chance: random.Random) -> Events:
    """A day in the life of a shop, one minute of it."""
    for time in every(0.05, 60, 0, 0.04, chance):
        yield ok(time)


def strays(chance: random.Random) -> Events:
    """A walk through projects that nobody has."""
    for number, time in enumerate(every(0.5, 30)):
        yield refused(time, "operation-not-found", path=path_class("/" + WORDS[number % len(WORDS)]), project="")


_V6 = "2001:db8:7:7::/64"
MAKERS: dict[str, tuple[Callable[[random.Random], Events], tuple[str, str, str] | None, int]] = {
    "calm": (calm, None, 0), "burst-that-waits": (burst_that_waits, None, 0), "stale-token": (stale_token, None, 0),
    "office-on-monday": (office_on_monday, None, 0), "batch-with-bad-rows": (batch_with_bad_rows, None, 0),
    "upstream-away": (upstream_away, None, 0), "many-machines": (many_machines, None, 0),
    "nightly-rush": (nightly_rush, None, 50 * HOUR), "new-client": (new_client, None, 0),
    "credential-stuffing": (credential_stuffing, ("credential-burst", "ip", "203.0.113.5"), 0),
    "slow-stuffing": (slow_stuffing, ("credential-burst", "ip", "203.0.113.5"), 0),
    "stuffing-from-a-network": (stuffing_from_a_network, ("credential-burst", "ip", _V6), 0),
    "path-scan": (path_scan, ("path-scan", "ip", "203.0.113.5"), 0),
    "path-scan-with-numbers": (path_scan_with_numbers, ("path-scan", "ip", "203.0.113.5"), 0),
    "strays": (strays, ("path-scan", "ip", "203.0.113.5"), 0),
    "shared-token": (shared_token, ("token-sharing", "token", "tk-shop"), 0),
    "hammering": (hammering, ("hammering", "client", "shop"), 0),
    "baseline-jump": (baseline_jump, ("rate-jump", "client", "shop"), 24 * HOUR),
    "error-payloads": (error_payloads, ("error-payloads", "client", "shop"), 0),
}


def record(name: str, project: str = "p") -> Recording:
    """One recording; the same one each time."""
    make, wanted, began = MAKERS[name]
    found = sorted(make(random.Random(name)), key=lambda one: one["time"])
    events = tuple(UsageEvent(**{"kind": "request", "id": f"{name}-{number}", "project": project, "operation": "get",
                                 "source": "edge", **one}) for number, one in enumerate(found))
    return Recording(name, wanted, START + began, events)


def write(folder: Path, name: str, project: str) -> Path:
    """A recording as a file."""
    made, file = record(name, project), folder / f"{name}.jsonl"
    head = orjson.dumps({"wanted": made.wanted, "began": made.began})
    file.write_bytes(b"\n".join([head, *map(msgspec.json.encode, made.events)]) + b"\n")
    return file


def read(file: Path) -> Recording:
    """A recording from its file."""
    head, *lines = file.read_bytes().splitlines()
    said, decoder = orjson.loads(head), msgspec.json.Decoder(UsageEvent)
    return Recording(file.stem, tuple(said["wanted"]) if said["wanted"] else None, said["began"],
                     tuple(map(decoder.decode, lines)))


if __name__ == "__main__":
    for each in MAKERS:
        print(write(Path(sys.argv[1]), each, "p"))
