"""Entry point of the executor service."""

from services.executor import wire
from services.executor.settings import ExecutorSettings
from shared.runtime.service import run_service
from shared.settings.service import ServiceSettings


def main() -> int:
    """Run one executor process until a signal; the exit code says whether it drained."""
    service, own = ServiceSettings(), ExecutorSettings()
    return run_service("executor", service, lambda: wire.build(service, own))


if __name__ == "__main__":
    raise SystemExit(main())
