"""Settings that cannot be are refused before the first record comes."""

import pytest
from pydantic import ValidationError

from services.sinks.settings import SinkSettings


def test_filter_by_what_is_no_dimension_is_refused_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEIR_SINK_WHERE", '{"projct": ["shop"]}')
    with pytest.raises(ValidationError, match="projct"):
        SinkSettings()
    monkeypatch.setenv("WEIR_SINK_WHERE", '{"project": ["shop"], "status": ["4xx"]}')
    assert SinkSettings().where == {"project": ["shop"], "status": ["4xx"]}
