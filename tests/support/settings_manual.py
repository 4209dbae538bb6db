"""The manual of all settings, made from their classes: `python -m tests.support.settings_manual > docs/settings.md`."""

import ast
import inspect
import json
import sys
import textwrap
from pathlib import Path
from typing import Any

from pydantic_core import PydanticUndefined
from pydantic_settings import BaseSettings

from deploy.local.cluster import LocalSettings
from services.analytics.settings import AnalyticsSettings
from services.control.settings import ControlSettings
from services.executor.settings import ExecutorSettings
from services.ingress.settings import IngressSettings
from services.policy.settings import PolicySettings
from services.sinks.settings import SinkSettings
from shared.settings.kafka import KafkaSettings
from shared.settings.redis import RedisSettings
from shared.settings.secrets import ClusterKey
from shared.settings.service import ServiceSettings
from shared.settings.telemetry import TraceSettings
from shared.settings.usage import QuerySettings

CLASSES: tuple[type[BaseSettings], ...] = (
    LocalSettings, ServiceSettings, TraceSettings, ClusterKey, KafkaSettings, RedisSettings, IngressSettings,
    PolicySettings, ExecutorSettings, AnalyticsSettings, QuerySettings, ControlSettings,
    SinkSettings)
INTRODUCTION = """# Settings

Every setting is an environment variable, read once, when a process starts. `_ms` and `_s` are milliseconds and seconds,
`_bytes` bytes; lists and mappings are JSON. A value that cannot be ends the process, which says the variable and what
it expects. Secrets that a project's files name, and must not have in them, stand in `WEIR_SECRET_<NAME>`.
"""


def variables() -> set[str]:
    """Names of all variables."""
    return {name for settings in CLASSES for name, _, _ in rows(settings)}


def manual() -> str:
    """The page."""
    parts = [INTRODUCTION]
    for settings in CLASSES:
        about = (sys.modules[settings.__module__].__doc__ or "").splitlines()[0]
        parts.append(f"## {settings.__name__.removesuffix('Settings')}\n\n{about}\n")
        parts.append("| variable | default | what it is |\n| --- | --- | --- |")
        parts += [f"| `{name}` | {default} | {meaning} |" for name, default, meaning in rows(settings)]
        parts.append("")
    return "\n".join(parts)


def rows(settings: type[BaseSettings]) -> list[tuple[str, str, str]]:
    """Variable, default and meaning of each field."""
    prefix, meaning = settings.model_config.get("env_prefix", ""), meanings(settings)
    return [(f"{prefix}{name}".upper(), shown(field.default), meaning.get(name, ""))
            for name, field in settings.model_fields.items()]


def meanings(settings: type[BaseSettings]) -> dict[str, str]:
    """What is written below each field, of the classes above it, too."""
    found: dict[str, str] = {}
    for one in reversed(settings.__mro__):
        if issubclass(one, BaseSettings) and one is not BaseSettings:
            body = ast.parse(textwrap.dedent(inspect.getsource(one))).body[0]
            assert isinstance(body, ast.ClassDef)
            for field, below in zip(body.body, body.body[1:], strict=False):
                if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and isinstance(
                        below, ast.Expr) and isinstance(below.value, ast.Constant):
                    found[field.target.id] = " ".join(str(below.value.value).split())
    return found


def shown(default: Any) -> str:
    """A default as an environment has it."""
    if default is PydanticUndefined:
        return "made at the start"
    if default is None or default == "":
        return "none"
    return f"`{default if isinstance(default, str | Path) else json.dumps(default)}`"


if __name__ == "__main__":
    print(manual())
