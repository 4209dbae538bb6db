"""Entry point of the ingress service."""

from services.ingress import wire
from services.ingress.settings import IngressSettings
from shared.runtime.service import run_service
from shared.settings.service import ServiceSettings


def main() -> int:
    """Run one ingress process until a signal; the exit code says whether it drained."""
    service, own = ServiceSettings(), IngressSettings()
    return run_service("ingress", service, lambda: wire.build(service, own))


if __name__ == "__main__":
    raise SystemExit(main())
