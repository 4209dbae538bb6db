"""Entry point of the control service."""

from services.control import wire
from services.control.settings import ControlSettings
from shared.runtime.service import run_service
from shared.settings.service import ServiceSettings


def main() -> int:
    """Run one control process until a signal; the exit code says whether it drained."""
    service, own = ServiceSettings(), ControlSettings()
    return run_service("control", service, lambda: wire.build(service, own))


if __name__ == "__main__":
    raise SystemExit(main())
