"""A wrong setting is told by its variable, in one line, by every process."""

import logging

import pytest

from services.analytics.settings import AnalyticsSettings
from services.control.settings import ControlSettings
from services.executor.settings import ExecutorSettings
from services.ingress.settings import IngressSettings
from shared.runtime import service
from shared.runtime.service import Service, run_service
from shared.settings.kafka import KafkaSettings
from shared.settings.redis import RedisSettings
from shared.settings.secrets import ClusterKey
from shared.settings.service import ServiceSettings
from shared.settings.telemetry import TraceSettings

PROXIES = "WEIR_INGRESS_TRUSTED_PROXIES"


async def built(_: ServiceSettings, __: object) -> Service:
    KafkaSettings()
    RedisSettings()
    TraceSettings()
    ClusterKey().seal()
    raise RuntimeError("nothing is wrong with the settings")


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    monkeypatch.setattr(service.logs, "configure", lambda *_: None)
    caplog.set_level(logging.ERROR)
    return caplog


@pytest.mark.parametrize(("kind", "name", "value", "says"), [
    (ControlSettings, "WEIR_DRAIN_MS", "soon", "WEIR_DRAIN_MS: has to be a whole number"),
    (ControlSettings, "WEIR_LOG_LEVEL", "chatty", "WEIR_LOG_LEVEL: has to be debug, info, warning or error"),
    (ControlSettings, "WEIR_CONTROL_PORT", "80800", "WEIR_CONTROL_PORT: has to be less than or equal to 65535"),
    (IngressSettings, PROXIES, "10.0.0.0/8", f'{PROXIES}: has to be JSON, as in ["a", "b"]'),
    (IngressSettings, PROXIES, '["10.0.0"]', f"{PROXIES}.0: '10.0.0' is no network"),
    (ExecutorSettings, "WEIR_EXECUTOR_ALLOW_NETWORKS", '["lan"]',
     "WEIR_EXECUTOR_ALLOW_NETWORKS.0: 'lan' is no network"),
    (AnalyticsSettings, "WEIR_ANALYTICS_SIGNALS_SECRET", "whsec_c2VjcmV0",
     "WEIR_ANALYTICS_SIGNALS_SECRET: has to be the name of a secret, not the secret: capitals, digits, _, as ALERTS"),
    (AnalyticsSettings, "WEIR_ANALYTICS_SIGNALS_WEBHOOK", "http://alerts.example.com",
     "WEIR_ANALYTICS_SIGNALS_WEBHOOK: a webhook is called over https://"),
    # these are read where the service is built
    (ControlSettings, "WEIR_KAFKA_BOOTSTRAP", "a:9092,b:c", "WEIR_KAFKA_BOOTSTRAP: 'b:c': expected host:port"),
    (ControlSettings, "WEIR_KAFKA_PARTITIONS", "8", "WEIR_KAFKA_PARTITIONS: has to be a mapping"),
    (ControlSettings, "WEIR_KAFKA_SECURITY_PROTOCOL", "SASL_SSL", "SASL_SSL needs WEIR_KAFKA_SASL_USERNAME and"),
    (ControlSettings, "WEIR_KAFKA_SSL_CA_FILE", "/none/here", "WEIR_KAFKA_SSL_CA_FILE: there is no file /none/here"),
    (ControlSettings, "WEIR_REDIS_URL", "127.0.0.1:6379", "WEIR_REDIS_URL: has to begin with redis://"),
    (ControlSettings, "WEIR_TRACE_OTLP_HEADERS", "x-scope=weir,authorization=Bearer a\r\nb",
     "WEIR_TRACE_OTLP_HEADERS: header 2 of it cannot be sent: expected name=value"),
    (ControlSettings, "WEIR_TRACE_OTLP_HEADERS", "=weir", "WEIR_TRACE_OTLP_HEADERS: header 1 of it cannot be sent"),
    (ControlSettings, "WEIR_CLUSTER_KEY", "short", "the cluster key (WEIR_CLUSTER_KEY) is 32 random bytes"),
    (ControlSettings, "WEIR_CLUSTER_KEY_FILE", "/none/here", "WEIR_CLUSTER_KEY_FILE: /none/here cannot be read"),
])
def test_service_says_in_one_line_which_setting_keeps_it_from_starting(
        kind: type, name: str, value: str, says: str, monkeypatch: pytest.MonkeyPatch,
        told: pytest.LogCaptureFixture) -> None:
    monkeypatch.setenv(name, value)
    if "SSL_CA" in name:
        # with another protocol nobody reads it
        KafkaSettings()
        monkeypatch.setenv("WEIR_KAFKA_SECURITY_PROTOCOL", "SSL")
    assert run_service("control", kind, built) == 1
    [line] = told.records
    assert line.getMessage().startswith(f"control cannot start: {says}")
    assert line.exc_info is None


def test_password_that_looks_like_a_port_is_not_told(monkeypatch: pytest.MonkeyPatch,
                                                     told: pytest.LogCaptureFixture) -> None:
    monkeypatch.setenv("WEIR_REDIS_URL", "redis://:open/sesame@store:6379/0")
    assert run_service("control", ControlSettings, built) == 1
    [line] = told.records
    assert "WEIR_REDIS_URL: has no number for its port" in line.getMessage()
    assert "open" not in line.getMessage()


def test_what_is_about_no_setting_is_told_with_the_way_that_led_there(told: pytest.LogCaptureFixture) -> None:
    assert run_service("control", ControlSettings, built) == 1
    [line] = told.records
    assert line.exc_info
    assert line.getMessage() == "control cannot start: nothing is wrong with the settings"
