"""Entry point of the analytics service."""

from services.analytics import wire
from services.analytics.settings import AnalyticsSettings
from shared.runtime.service import run_service


def main() -> int:
    """Run one analytics process until a signal; the exit code says whether it drained."""
    return run_service("analytics", AnalyticsSettings, wire.build)


if __name__ == "__main__":
    raise SystemExit(main())
