"""Entry point of the policy service."""

from services.policy import wire
from services.policy.settings import PolicySettings
from shared.runtime.service import run_service
from shared.settings.service import ServiceSettings


def main() -> int:
    """Run one policy process until a signal; the exit code says whether it drained."""
    service, own = ServiceSettings(), PolicySettings()
    return run_service("policy", service, lambda: wire.build(service, own))


if __name__ == "__main__":
    raise SystemExit(main())
