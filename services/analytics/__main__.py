"""Entry point of the analytics service."""

from services.analytics import wire
from services.analytics.settings import AnalyticsSettings
from shared.runtime.service import run_service
from shared.settings.service import ServiceSettings


def main() -> int:
    """Run one analytics process until a signal; the exit code says whether it drained."""
    service, own = ServiceSettings(), AnalyticsSettings()
    return run_service("analytics", service, lambda: wire.build(service, own))


if __name__ == "__main__":
    raise SystemExit(main())
