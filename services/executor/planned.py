"""A step as the walk over a plan has it.

In:    what the plan compiled.
Out:   `PlannedStep`.
Never: a step kind.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from services.executor.scene import Scene
from services.executor.steps.base import CompiledStep, Leap, Walk
from shared.project.expressions import Template
from shared.project.steps.base import OnError, Retry


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedStep:
    """One step: its condition, if any, what it does, and what a failure of it leads to.

    `effect`: it changes something outside; `holds`: it runs other steps, which are noted by themselves. `now`: what it
    does, where that is done at once: in one try, without a coroutine.
    `mask`: what it gives is no business of those who operate Weir.
    """

    id: str
    kind: str
    work: CompiledStep
    condition: Template | None = None
    timeout_ms: int | None = None
    retry: Retry | None = None
    handles: OnError = "fail"
    fallback: Template | None = None
    catch: Walk | None = None
    effect: bool = False
    holds: bool = False
    mask: bool = False
    now: Callable[[Scene], Any | Leap] | None = None
