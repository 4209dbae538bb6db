"""What is told of a wrong setting has no secret in it: it stands in the last words of a process."""

import traceback

import pytest
from pydantic_settings import BaseSettings

from shared.settings.kafka import KafkaSettings
from shared.settings.redis import RedisSettings


@pytest.mark.parametrize(("settings", "environment", "told"), [
    (KafkaSettings, {"WEIR_KAFKA_SECURITY_PROTOCOL": "SASL_SSL", "WEIR_KAFKA_SASL_PASSWORD": "h1dden"},
     "WEIR_KAFKA_SASL_USERNAME"),
    (RedisSettings, {"WEIR_REDIS_URL": "redis://:h1dden/2@127.0.0.1:6380/0"}, "percent-encoded"),
    (RedisSettings, {"WEIR_REDIS_URL": "redis://:h1dden#2@127.0.0.1:6380/0"}, "percent-encoded"),
    (RedisSettings, {"WEIR_REDIS_URL": "redis://:h1dden@127.0.0.1:none/0"}, "port")])
def test_wrong_setting_is_told_without_its_secret(monkeypatch: pytest.MonkeyPatch, settings: type[BaseSettings],
                                                  environment: dict[str, str], told: str) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ValueError, match=told) as found:
        settings()
    assert "h1dden" not in "".join(traceback.format_exception(found.value))
