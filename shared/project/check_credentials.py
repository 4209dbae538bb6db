"""Rules over `credentials.yaml`: what steps name is declared, once, and of a kind that they can use.

In:    the declared credentials with their source; workflows with theirs.
Out:   problems with their places.
Never: a value; whether one is set, which the cluster alone knows.
"""

from collections.abc import Iterator, Sequence

from shared.project.check_access import check_names
from shared.project.model import DeclaredCredential, Workflow
from shared.project.places import Problem, Source
from shared.project.steps.base import steps_in
from shared.project.steps.work import OperationSettings


def check_credentials(declared: Sequence[DeclaredCredential], source: Source,
                      workflows: Sequence[tuple[Workflow, Source]]) -> Iterator[Problem]:
    """All problems."""
    yield from check_names("credential", [credential.name for credential in declared], source, "credentials")
    kinds: dict[str, str] = {}
    for credential in declared:
        kinds.setdefault(credential.name, credential.kind)
    for workflow, own in workflows:
        for path, step in steps_in(workflow.steps):
            name = getattr(step.settings, "credential", None)
            place = (*path, step.kind, "credential")
            if name is None:
                continue
            if name not in kinds:
                yield own.problem(place, "dangling", f"{source.file} has no credential {name!r}; it has "
                                  f"{', '.join(kinds) or 'none'}")
            elif isinstance(step.settings, OperationSettings) and kinds[name] != "bearer":
                yield own.problem(place, "misfit", f"an operation takes a token of one of its clients, a credential of "
                                  f"the kind bearer; {name!r} is of the kind {kinds[name]}")
