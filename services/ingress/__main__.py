"""Entry point of the ingress service."""

from services.ingress import wire
from services.ingress.settings import IngressSettings
from shared.runtime.service import run_service


def main() -> int:
    """Run one ingress process until a signal; the exit code says whether it drained."""
    return run_service("ingress", IngressSettings, wire.build)


if __name__ == "__main__":
    raise SystemExit(main())
