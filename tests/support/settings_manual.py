"""The manual of all settings, made from their classes: `python -m tests.support.settings_manual > docs/settings.md`."""

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
INTRODUCTION = "# Settings\n\nEvery setting is an environment variable, read once, when a process starts.\n"


def variables() -> set[str]:
    """Names of all variables."""
    return {name for settings in CLASSES for name, _ in rows(settings)}


def manual() -> str:
    """The page."""
    parts = [INTRODUCTION]
    for settings in CLASSES:
        parts.append(f"## {settings.__name__.removesuffix('Settings')}\n")
        parts.append("| variable | default |\n| --- | --- |")
        parts += [f"| `{name}` | {default} |" for name, default in rows(settings)]
        parts.append("")
    return "\n".join(parts)


def rows(settings: type[BaseSettings]) -> list[tuple[str, str]]:
    """Variable and default of each field."""
    prefix = settings.model_config.get("env_prefix", "")
    return [(f"{prefix}{name}".upper(), shown(field)) for name, field in settings.model_fields.items()]


def shown(field: Any) -> str:
    """A default as text."""
    if field.default is PydanticUndefined:
        return "made at the start"
    return "none" if field.default is None else f"`{field.default}`"


if __name__ == "__main__":
    print(manual())
