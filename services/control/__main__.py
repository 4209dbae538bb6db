"""Entry point of the control service."""

from services.control import wire
from services.control.settings import ControlSettings
from shared.runtime.service import run_service


def main() -> int:
    """Run one control process until a signal; the exit code says whether it drained."""
    return run_service("control", ControlSettings, wire.build)


if __name__ == "__main__":
    raise SystemExit(main())
