"""Entry point of a sink."""

from services.sinks import wire
from services.sinks.settings import SinkSettings
from shared.runtime.service import run_service


def main() -> int:
    """Run one sink until a signal; the exit code says whether it drained."""
    return run_service("sinks", SinkSettings, wire.build)


if __name__ == "__main__":
    raise SystemExit(main())
