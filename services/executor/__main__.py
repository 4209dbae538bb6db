"""Entry point of the executor service."""

from services.executor import wire
from services.executor.settings import ExecutorSettings
from shared.runtime.service import run_service


def main() -> int:
    """Run one executor process until a signal; the exit code says whether it drained."""
    return run_service("executor", ExecutorSettings, wire.build)


if __name__ == "__main__":
    raise SystemExit(main())
