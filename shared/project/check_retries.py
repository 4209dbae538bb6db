"""Errors that are to be tried again, and that no step of the project fails with. Pure.

In:    the workflows of a project; a step.
Out:   keys from the step, and what there is.
Never: a word about kinds that connectors have: nobody else knows them.
"""

import re
from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from functools import lru_cache

from shared.names.reasons import STEP_ERRORS
from shared.project.model import Workflow
from shared.project.steps.base import Path, Step, steps_in
from shared.project.steps.control import FailSettings
from shared.project.steps.registry import BUILT_IN

# of the owner's own
_MOST_TOLD = 50
_STATUSES = re.compile("[1-5](?:xx|[0-9][0-9])")


def kinds_in(workflows: Sequence[Workflow]) -> frozenset[str] | None:
    """Kinds of errors that the owner has given names; None where a connector may have more."""
    steps = [step for workflow in workflows for _, step in steps_in(workflow.steps)]
    if any(step.kind not in BUILT_IN for step in steps):
        return None
    return frozenset(step.settings.error for step in steps if isinstance(step.settings, FailSettings))


def check_retry(step: Step, own: frozenset[str] | None) -> Iterator[tuple[Path, str]]:
    """`own`: as `kinds_in` tells."""
    if step.retry is None or own is None:
        return
    for index, name in enumerate(step.retry.on):
        if name not in STEP_ERRORS and name not in own and _STATUSES.fullmatch(name) is None:
            there = _told(own)
            meant = "".join(f", perhaps {one!r} is meant" for one in get_close_matches(name[:80], there, 1))
            more = len(own | STEP_ERRORS) - len(there)
            yield ("retry", "on", index), (f"no step fails with {name[:80]!r}{meant}. There are statuses like 503, "
                                           f"classes of them like 5xx, and the kinds {', '.join(there)}"
                                           f"{f', and {more} more of this project' if more else ''}")


@lru_cache(maxsize=10)
def _told(own: frozenset[str]) -> Sequence[str]:
    """Kinds that there are: as many as somebody reads, for each of them is compared with each one that is wrong."""
    return [*sorted(kind[:80] for kind in own - STEP_ERRORS)[:_MOST_TOLD], *sorted(STEP_ERRORS)]
