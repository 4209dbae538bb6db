"""Rules over `access.yaml`: what names something that is not there, what can never match, what does not compile.

In:    the file's model, its places, the project's operations.
Out:   problems with their places.
Never: YAML, files.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from fnmatch import fnmatchcase
from functools import partial

from shared.project.access.budgets import compile_limit
from shared.project.access.cel import BadCel, check_texts
from shared.project.access.forms import compile_matches
from shared.project.access.networks import BadNetwork, Networks, network_of
from shared.project.access.policies import Comparison, Policy, Rule
from shared.project.access.problems import BadRule
from shared.project.access.rules import compile_rule
from shared.project.base import SECRETS
from shared.project.check_headers import check_headers
from shared.project.check_limits import check_cost, check_limit_names
from shared.project.check_named import METHODS, check_expressions, named
from shared.project.check_rules import check_rule, check_together
from shared.project.model import Access, Operation
from shared.project.places import Key, Problem, Source

# statuses that say nothing without their header (RFC 9110; RFC 6585); what limits refuse with 429 has its own
_NEEDED = {405: "Allow", 407: "Proxy-Authenticate", 426: "Upgrade", 429: "Retry-After"}


def check_access(access: Access, source: Source, operations: Sequence[Operation],
                 names: Collection[str]) -> Iterator[Problem]:
    """All problems of the file. `names`: of all operations, the malformed ones, too."""
    yield from check_names("client", [client.name for client in access.clients], source, "clients")
    yield from check_names("policy", [policy.name for policy in access.policies], source, "policies")
    for index, client in enumerate(access.clients):
        yield from _roles(client.roles, access, source, ("clients", index, "roles"))
    for name, networks in access.networks.items():
        for index, network in enumerate(networks):
            yield from _is_network(network, source, ("networks", name, index))
    for index, network in enumerate(access.abuse.exempt.networks):
        if network not in access.networks:
            yield from _is_network(network, source, ("abuse", "exempt", "networks", index))
    yield from _traffic(access, source, names)
    yield from _callers(access, source)
    yield from check_headers(access, source)
    yield from check_limit_names(access, source)
    for index, policy in enumerate(access.policies):
        path: tuple[Key, ...] = ("policies", index)
        yield from check_operations(policy.operations, names, source, path)
        yield from _methods(policy, operations, source, path)
        yield from _status(policy, source, path)
        yield from check_together(policy, source, path)
        yield from check_expressions(policy, access, names, source, path)
        yield from _parts(policy, access, source, path)


def _status(policy: Policy, source: Source, path: tuple[Key, ...]) -> Iterator[Problem]:
    header = _NEEDED.get(policy.status or 0)
    if header is not None:
        yield source.problem((*path, "status"), "rule", f"an answer with {policy.status} has to say `{header}`, and a "
                                                        "policy cannot tell what in it; 403 says no")


def _parts(policy: Policy, access: Access, source: Source, path: tuple[Key, ...]) -> Iterator[Problem]:
    # a rule may name a list whatever is wrong in it
    lists = dict.fromkeys(access.networks, Networks(()))
    for index, rule in enumerate(policy.rules):
        place = (*path, "rules", index)
        problems = list(_compiles(partial(compile_rule, rule, lists), source, place))
        # of what does not compile nothing else is asked
        problems = problems or list(_texts(rule.when or "", source, (*place, "when")))
        yield from problems or check_rule(rule, source, place)
        yield from _roles(named(rule.role), access, source, (*place, "role"))
    for index, limit in enumerate(policy.limits):
        place = (*path, "limits", index)
        problems = list(_compiles(partial(compile_limit, limit, "", policy.name, index, enforced=True), source, place))
        problems = problems or list(_texts(str(limit.cost), source, (*place, "cost")))
        yield from problems or check_cost(limit, source, place)


def _roles(named: Iterable[str], access: Access, source: Source, path: tuple[Key, ...]) -> Iterator[Problem]:
    for role in named:
        if role not in access.roles:
            yield source.problem(path, "dangling", f"there is no role {role!r}; `roles` has "
                                                   f"{', '.join(access.roles) or 'none'}")


def _is_network(text: str, source: Source, path: tuple[Key, ...]) -> Iterator[Problem]:
    try:
        network_of(text)
    except BadNetwork as exc:
        yield source.problem(path, "rule", str(exc))


def _compiles(make: Callable[[], object], source: Source, path: tuple[Key, ...]) -> Iterator[Problem]:
    try:
        make()
    except BadRule as exc:
        yield source.problem((*path, *exc.path), "rule", str(exc))


def _texts(cel: str, source: Source, path: tuple[Key, ...]) -> Iterator[Problem]:
    try:
        check_texts(cel)
    except BadCel as exc:
        yield source.problem(path, "rule", str(exc))


def check_names(what: str, names: Sequence[str], source: Source, key: str) -> Iterator[Problem]:
    """Names that stand twice in the list under a key."""
    for index, name in enumerate(names):
        if name in names[:index]:
            yield source.problem((key, index, "name"), "duplicate", f"{what} {name!r} stands twice")


def _callers(access: Access, source: Source) -> Iterator[Problem]:
    """Proofs stand for clients that the file declares."""
    proofs: list[tuple[str, tuple[Key, ...]]] = [
        (scheme.client, ("authentication", "signature", index, "client"))
        for index, scheme in enumerate(access.authentication.signature)]
    signing: dict[str, str] = {}
    for index, scheme in enumerate(access.authentication.signature):
        place = ("authentication", "signature", index, "secret")
        yield from check_secret(scheme.secret, source, place)
        if scheme.secret in signing:
            yield source.problem(place, "duplicate", f"{scheme.secret} stands with client {signing[scheme.secret]!r} "
                                 f"already: no message would be one of {scheme.client!r}")
        signing.setdefault(scheme.secret, scheme.client)
    if access.abuse.webhook is not None:
        yield from check_secret(access.abuse.webhook.secret, source, ("abuse", "webhook", "secret"))
    proofs += [(client, ("authentication", "certificate", subject))
               for subject, client in access.authentication.certificate.items()]
    declared = {client.name for client in access.clients}
    for client, path in proofs:
        if client not in declared:
            yield source.problem(path, "dangling", f"there is no client {client!r} under `clients`")


def check_secret(name: str, source: Source, path: tuple[Key, ...]) -> Iterator[Problem]:
    """The name of a secret that stands there as its whole variable is called."""
    short = name.removeprefix(SECRETS)
    if short != name:
        yield source.problem(path, "rule", f"write {short or 'what comes after it'}: {SECRETS} is put before the name, "
                                           f"so that this variable would be {SECRETS}{name}")


def _traffic(access: Access, source: Source, names: Collection[str]) -> Iterator[Problem]:
    for kind in ("headers", "cors", "bounds"):
        for index, one in enumerate(getattr(access, kind)):
            yield from check_operations(one.operations, names, source, (kind, index))
    for index, policy in enumerate(access.headers):
        yield from _compiles(partial(compile_matches, policy), source, ("headers", index))


def check_operations(globs: Sequence[str], names: Collection[str], source: Source,
                     path: tuple[Key, ...]) -> Iterator[Problem]:
    """What the globs under `operations` match nothing with."""
    for index, glob in enumerate(globs):
        if glob != "*" and not any(fnmatchcase(name, glob) for name in names):
            what = "no operation matches" if set(glob) & set("*?[") else "there is no operation"
            yield source.problem((*path, "operations", index), "dangling", f"{what} {glob!r}")


def _methods(policy: Policy, operations: Sequence[Operation], source: Source,
             path: tuple[Key, ...]) -> Iterator[Problem]:
    if all(rule.method is None for rule in policy.rules):
        return
    methods: set[str] = {operation.method for operation in operations if policy.speaks_of(operation.name)}
    for index, rule in enumerate(policy.rules):
        if rule.method is not None and methods and not _could_be(rule, methods):
            yield source.problem((*path, "rules", index, "method"), "never", "this can never hold: the operations of "
                                 f"this policy have the method{'s' if len(methods) > 1 else ''} "
                                 f"{', '.join(sorted(methods))}")
        else:
            for name in named(rule.method):
                if name not in METHODS:
                    yield source.problem((*path, "rules", index, "method"), "dangling",
                                         f"there is no method {name!r}; there is {', '.join(METHODS)}")


def _could_be(rule: Rule, methods: set[str]) -> bool:
    wanted = set(_wanted(rule.method))
    return not wanted or bool(wanted & methods)


def _wanted(comparison: Comparison | None) -> list[str]:
    """The values that a comparison asks for by name."""
    if comparison is None:
        return []
    return [str(value) for value in (*(comparison.in_ or ()), *(() if comparison.is_ is None else (comparison.is_,)))]
