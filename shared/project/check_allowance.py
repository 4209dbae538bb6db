"""Rules over the allowances of `weir.yaml`: what names something that is not there, or stands twice.

In:    allowances, the file's places, the names of the project's operations.
Out:   problems with their places.
Never: names of clients: a client may be made after the project is.
"""

from collections.abc import Collection, Iterator, Sequence

from shared.project.allowance import Allowance
from shared.project.check_access import check_operations, check_secret
from shared.project.places import Key, Problem, Source


def check_allowance(allowances: Sequence[Allowance], source: Source,
                    operations: Collection[str]) -> Iterator[Problem]:
    """All problems. `operations`: the names of all, the malformed ones, too."""
    labels: set[str] = set()
    for index, allowance in enumerate(allowances):
        path: tuple[Key, ...] = ("allowance", index) if _is_list(source) else ("allowance",)
        if allowance.label in labels:
            yield source.problem((*path, *(("name",) if allowance.name else ())), "duplicate",
                                 f"allowance {allowance.label!r} stands twice; give each its own `name`")
        labels.add(allowance.label)
        yield from check_operations(allowance.operations, operations, source, path)
        if allowance.webhook is not None:
            yield from check_secret(allowance.webhook.secret, source, (*path, "webhook", "secret"))


def _is_list(source: Source) -> bool:
    return isinstance(source.data, dict) and isinstance(source.data.get("allowance"), list)
