"""Log levels: how much services tell, and until when.

In:    a service, a level, for how long.
Out:   the levels in force; a record on `weir.config`, heard by every process within a second.
Never: a level without an end: debug lines that nobody reads any more cost every request.
"""

from dataclasses import asdict
from typing import Annotated, Literal

from pydantic import Field

from services.control.api import Body, Call, NotTrue, Result, Route, one_of
from shared.contracts.config import EVERY_SERVICE, LogLevel
from shared.errors import InputInvalid

SERVICES = ("ingress", "policy", "executor", "analytics", "control")
_LONGEST_S = 86_400


class NewLevel(Body):
    """`for_s`: after that the service tells what its settings say again; 0 ends a change at once."""

    level: Literal["debug", "info", "warning", "error"]
    for_s: Annotated[int, Field(ge=0, le=_LONGEST_S), NotTrue] = 900


async def list_levels(call: Call) -> Result:
    """The changes in force."""
    now_ms = call.desk.clock.now_ms()
    return Result([asdict(found) for _, found in sorted(call.desk.registry.catalogue.log_levels.items())
                   if found.until > now_ms])


async def set_level(call: Call) -> Result:
    """Tell more or less from now on."""
    service, now_ms = call.path["service"], call.desk.clock.now_ms()
    if service not in (*SERVICES, EVERY_SERVICE):
        raise InputInvalid(f"there is no service {service[:40]!r}; there are {', '.join(SERVICES)}, and * for all")
    level = LogLevel(name=service, level=call.body.level, until=now_ms + call.body.for_s * 1000, time=now_ms)
    async with call.desk.registry.changing() as write:
        await write(level, f"log level {call.body.level}")
    return Result(asdict(level))


ROUTES = (
    Route(method="GET", path="/log-levels", summary="Log levels that are changed, and until when", handler=list_levels),
    Route(method="PUT", path="/log-levels/{service}", summary="Change a service's log level for a while",
          handler=set_level, body=NewLevel, forms={"service": one_of((*SERVICES, EVERY_SERVICE))}),
)
