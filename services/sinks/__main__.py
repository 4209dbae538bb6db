"""Entry point of a sink."""

from services.sinks import wire
from services.sinks.settings import SinkSettings
from shared.runtime.service import run_service
from shared.settings.service import ServiceSettings


def main() -> int:
    """Run one sink until a signal; the exit code says whether it drained."""
    service, own = ServiceSettings(), SinkSettings()
    return run_service("sinks", service, lambda: wire.build(service, own))


if __name__ == "__main__":
    raise SystemExit(main())
