"""What a workflow may answer, as far as its file tells.

In:    a project, its operations.
Out:   by operation its replies (name, status, media type of a body) and the statuses of its `fail` steps.
Never: an expression's value: what one gives is not known before a call.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from shared.names.headers import CONTENT_TYPE, JSON
from shared.project.calls import called_first
from shared.project.model import Operation, Project
from shared.project.steps.base import Step, steps_in
from shared.project.steps.control import CallSettings, FailSettings, ReplySettings

ANY_MEDIA = "*/*"


@dataclass(frozen=True, slots=True)
class Replied:
    """One `reply` step. `media`: of its body, `*/*` where an expression says it; None where it has no body."""

    name: str
    status: int
    media: str | None


class Outcomes:
    """Of one project."""

    def __init__(self, project: Project) -> None:
        """Each workflow is gone through once."""
        self._project = project
        ends = {name: list(_uncaught(workflow.steps)) for name, workflow in project.workflows.items()}
        self._fails = {name: {end for end in found if isinstance(end, int)} for name, found in ends.items()}
        self._calls = {name: [end for end in found if isinstance(end, str)] for name, found in ends.items()}

    def replies(self, operation: Operation) -> list[Replied]:
        """In the order of the file."""
        workflow = self._project.workflows.get(operation.workflow)
        found = [] if workflow is None else [step.settings for _, step in steps_in(workflow.steps)
                                             if isinstance(step.settings, ReplySettings)]
        named = operation.replies_by_status()
        return list(dict.fromkeys(_replied(operation, one, one.name or named.get(one.status or 0, "success"))
                                  for one in found))

    def failures(self, operation: Operation) -> list[int]:
        """Statuses with which `fail` steps may end it, those of workflows that it calls, too."""
        names = called_first([operation.workflow], lambda name: self._calls.get(name, ()))
        return sorted(set[int]().union(*(self._fails.get(name, ()) for name in names)))


def _replied(operation: Operation, settings: ReplySettings, name: str) -> Replied:
    said = next((value for header, value in settings.headers.items() if header.lower() == CONTENT_TYPE), JSON)
    media = ANY_MEDIA if "{%" in said else said.partition(";")[0].strip().lower()
    return Replied(name, settings.status or operation.reply_status(name) or 200,
                   None if settings.body is None else media)


def _uncaught(steps: Sequence[Step]) -> Iterator[int | str]:
    """How steps end their workflow early: statuses, names of workflows that they call."""
    for step in steps:
        if step.handles == "fail":
            if isinstance(step.settings, FailSettings):
                yield step.settings.status
            elif isinstance(step.settings, CallSettings) and step.settings.wait:
                yield step.settings.workflow
            for block in step.settings.blocks():
                yield from _uncaught(block.steps)
        yield from _uncaught(step.catch)
