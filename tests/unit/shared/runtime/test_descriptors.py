"""How many connections a process may have."""

import resource

import pytest

from shared.runtime import descriptors


def test_process_takes_all_descriptors_that_it_may_have() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(256, soft // 2), hard))
    try:
        descriptors.take_all()
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (hard, hard)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize(("limit", "callers"), [(20_000, 19_872), (1_024, 896), (100, 50)])
def test_some_are_left_for_all_else(monkeypatch: pytest.MonkeyPatch, limit: int, callers: int) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (limit, limit))
    assert descriptors.for_callers() == callers
