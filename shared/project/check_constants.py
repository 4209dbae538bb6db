"""Settings of steps that are constant, and with which the step can only fail. Pure.

In:    a step, how long an execution of its workflow may run.
Out:   keys from the step, and what to write instead.
Never: a value with an expression in it: nobody knows before what it gives.
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from shared.names.headers import CONTENT_TYPE
from shared.project.expressions import expressions_in
from shared.project.steps.base import Path, Step, StepSettings
from shared.project.steps.control import LoopSettings, ReplySettings
from shared.project.steps.values import (
    BadValue,
    bytes_of,
    check_loop_over,
    check_proxy,
    is_own_topic,
    media_type_of,
    unix_ms_of,
    url_of,
    whole_number_of,
)
from shared.project.steps.work import DelaySettings, HttpSettings, PublishSettings, StorageSettings

Found = Iterator[tuple[Path, str]]


def check_constants(step: Step, longest_ms: int | None) -> Found:
    """`longest_ms`: None where it is not known."""
    for path, says in _of(step.settings, longest_ms):
        yield (step.kind, *path), says


def _of(settings: StepSettings, longest_ms: int | None) -> Found:
    if isinstance(settings, HttpSettings):
        yield from _http(settings)
    elif isinstance(settings, DelaySettings):
        yield from _delay(settings, longest_ms)
    elif isinstance(settings, LoopSettings):
        yield from _told(("over",), settings.over, check_loop_over)
    elif isinstance(settings, ReplySettings):
        for name, value in settings.headers.items():
            if name.lower() == CONTENT_TYPE:
                yield from _told(("headers", name), value, media_type_of)
    elif isinstance(settings, StorageSettings):
        yield from _storage(settings)
    elif isinstance(settings, PublishSettings) and is_own_topic(settings.topic):
        yield ("topic",), f"{settings.topic} is a topic of Weir's own; a workflow publishes to topics of its company"


def _http(settings: HttpSettings) -> Found:
    yield from _told(("url",), settings.url, url_of)
    yield from _told(("proxy",), settings.proxy, check_proxy)
    yield from _told(("binary",), settings.binary, partial(bytes_of, where="binary"))
    for name, parts in (settings.multipart or {}).items():
        for part in parts if isinstance(parts, list) else [parts]:
            if isinstance(part, dict) and isinstance(part.get("base64"), str):
                yield from _told(("multipart", name), part["base64"],
                                 partial(bytes_of, where=f"multipart.{name}.base64"))


def _storage(settings: StorageSettings) -> Found:
    action, has_value = settings.action, "value" in settings.model_fields_set
    if action == "increment":
        yield from _told(("value",), settings.value, whole_number_of)
    elif action in ("set", "append") and not has_value:
        yield ("action",), f"`{action}` needs a `value`; `delete` forgets the key"
    elif action not in ("set", "append") and has_value:
        yield ("value",), f"`{action}` takes no `value`, and would not write it; `action: set` does, and `append`"


def _delay(settings: DelaySettings, longest_ms: int | None) -> Found:
    yield from _told(("until",), settings.until, unix_ms_of)
    if settings.for_ms is not None and longest_ms is not None and settings.for_ms >= longest_ms:
        yield ("for",), (f"no operation with this workflow runs for so long, the longest for {longest_ms // 1000} "
                         "seconds; `run_timeout` of an operation says how long it may")


def _told(path: Path, value: Any, ask: Callable[[Any], object]) -> Found:
    """What is wrong with a value; nothing of one that is not there, or known only when the step runs."""
    if value is None or expressions_in(value):
        return
    try:
        ask(value)
    except BadValue as exc:
        yield path, str(exc)
