"""Rules over the limits of policies: what two of them would share, what no call can cost.

In:    the model of `access.yaml`, its places.
Out:   problems with their places.
Never: limits that do not compile.

Asked when a project is validated: versions in force may have been there before the questions.
"""

from collections.abc import Iterator

from shared.project.access.budgets import limit_name
from shared.project.access.cel import BadCel, constant_cost
from shared.project.access.limits import Limit
from shared.project.model import Access
from shared.project.places import Key, Problem, Source


def check_limit_names(access: Access, source: Source) -> Iterator[Problem]:
    """Names that stand twice, written or not: answers, usage events and metrics tell limits apart by nothing else."""
    known: dict[str, str] = {}
    for index, policy in enumerate(access.policies):
        for number, limit in enumerate(policy.limits):
            name = limit_name(limit, policy.name, number)
            path = ("policies", index, "limits", number, "name")
            if name not in known:
                known[name] = policy.name
            elif limit.name is not None:
                yield source.problem(path, "duplicate", f"limit {name!r} stands twice: policy {known[name]!r} has one")
            else:
                yield source.problem(path, "duplicate", f"a limit without a name is called {name!r}, and policy "
                                     f"{known[name]!r} has one of that name; give it a `name`")


def check_cost(limit: Limit, source: Source, path: tuple[Key, ...]) -> Iterator[Problem]:
    """A cost that changes nothing; one that is the same for every call, and none, or never let in. `path`: of the
    limit, which compiles."""
    if limit.concurrent is not None and limit.cost != 1:
        yield source.problem((*path, "cost"), "no-effect", "each call takes one place of `concurrent`, whatever "
                                                                "it costs")
        return
    most = limit.burst or limit.limit
    try:
        cost = limit.cost if isinstance(limit.cost, int) else constant_cost(limit.cost)
    except BadCel as exc:
        yield source.problem((*path, "cost"), "rule", str(exc))
        return
    if cost is not None and most is not None and cost > most:
        what = "the bucket holds" if limit.burst else "the limit is"
        yield source.problem((*path, "cost"), "never", f"no call is ever let in: each costs {cost}, and {what} {most}")
