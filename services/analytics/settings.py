"""Settings of the analytics service.

In:    `WEIR_ANALYTICS_*`.
Out:   `AnalyticsSettings`.
Never: detectors' thresholds; those are a project's own.
"""

from typing import Annotated, Literal

from pydantic import AfterValidator, PositiveFloat, PositiveInt
from pydantic_settings import BaseSettings, SettingsConfigDict

from shared.project.base import SecretName
from shared.project.webhook import secure
from shared.settings.kinds import Network


def _address(url: str) -> str:
    return secure(url) if url else url


class AnalyticsSettings(BaseSettings):
    """Environment: WEIR_ANALYTICS_<FIELD>."""

    model_config = SettingsConfigDict(env_prefix="WEIR_ANALYTICS_", frozen=True, extra="ignore")

    seen_hours: PositiveInt = 26
    """How long a request's place in its topic is remembered, so that it is counted once; the request topics keep a
    day."""
    store_retry_s: PositiveFloat = 0.5
    """The pause before a store that failed is asked again."""
    max_verify_envelopes: PositiveInt = 500_000
    """One verification reads no more envelopes of the topic."""
    batch_events: PositiveInt = 2_000
    """Events that are added up before the store is asked once."""
    max_waiting_events: PositiveInt = 20_000
    """Events that are read and not yet counted; then reading waits."""
    stray_action: Literal["observe", "throttle", "block"] = "observe"
    """What happens to whoever walks through projects that nobody has: `observe`, `throttle` or `block`. Projects say it
    for themselves."""
    signals_webhook: Annotated[str, AfterValidator(_address)] = ""
    """An address that hears of the signals of all projects; the webhook of one project stands in its `access.yaml`."""
    signals_secret: SecretName = "SIGNALS"
    """The name of the variable `WEIR_SECRET_<name>` whose secret signs those messages."""
    allow_networks: tuple[Network, ...] = ()
    """Private networks where webhooks may be, as JSON: `["10.1.0.0/16"]`."""
    max_ahead_ms: PositiveInt = 600_000
    """How far a producer's clock may be ahead of the broker's; what is further ahead is a dead letter."""
