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

    # how long a request record's place is remembered; the request topics keep a day
    seen_hours: PositiveInt = 26
    store_retry_s: PositiveFloat = 0.5
    # one verification reads no more of the topic
    max_verify_envelopes: PositiveInt = 500_000
    # added up before the store is asked once
    batch_events: PositiveInt = 2_000
    # read and not yet counted; then reading waits
    max_waiting_events: PositiveInt = 20_000
    # what happens to whoever walks through projects that nobody has; projects say it for themselves
    stray_action: Literal["observe", "throttle", "block"] = "observe"
    # an address that hears of the signals of all projects, and the variable WEIR_SECRET_<...> that its messages are
    # signed with; the webhook of a project stands in its access.yaml
    signals_webhook: Annotated[str, AfterValidator(_address)] = ""
    signals_secret: SecretName = "SIGNALS"
    # private networks where webhooks may be
    allow_networks: tuple[Network, ...] = ()
    # how far a producer's clock may be ahead of the broker's
    max_ahead_ms: PositiveInt = 600_000
