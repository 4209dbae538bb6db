"""Entry point of the policy service."""

from services.policy import wire
from services.policy.settings import PolicySettings
from shared.runtime.service import run_service


def main() -> int:
    """Run one policy process until a signal; the exit code says whether it drained."""
    return run_service("policy", PolicySettings, wire.build)


if __name__ == "__main__":
    raise SystemExit(main())
