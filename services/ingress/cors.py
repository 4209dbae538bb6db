"""Which pages may call from a browser (Fetch standard, CORS protocol).

In:    the `Origin` of a request, what the owner allows.
Out:   headers of the answer; the answer to a preflight.
Never: an origin echoed that the owner has not named.
"""

import re
from collections.abc import Iterable, Mapping, Sequence

from shared.names import headers as H
from shared.project.access.traffic import Cors

ORIGIN, WANTED_METHOD = "origin", "access-control-request-method"
_WANTED_HEADERS = "access-control-request-headers"
_NAME = re.compile(f"{H.TCHAR}{{1,100}}")
_VARY = "vary"
# who may read an answer is said here, and by nobody else
_OWNED = frozenset({"access-control-allow-origin", "access-control-allow-credentials"})


def allowed(rules: Iterable[Cors], origin: str) -> Cors | None:
    """The first rule that names an origin."""
    return next((rule for rule in rules if any(_is(origin.lower(), named) for named in rule.origins)), None)


def answer_headers(rules: Iterable[Cors], origin: str | None) -> dict[str, str]:
    """What every answer of an operation gets, its errors too."""
    rules = tuple(rules)
    if not rules:
        return {}
    rule = allowed(rules, origin) if origin else None
    if rule is None or origin is None:
        return {"Vary": "Origin"}
    return {**_origin(rules, rule, origin), "Access-Control-Expose-Headers": ", ".join(rule.expose)}


def added(headers: Mapping[str, str], rules: Iterable[Cors], origin: str | None) -> Mapping[str, str]:
    """Headers of an answer, and what it gets: in place of what it says of that itself, and beside its own `Vary`."""
    own = answer_headers(rules, origin)
    if not own:
        return headers
    varies = [value for name, value in (*headers.items(), *own.items()) if name.lower() == _VARY]
    if varies:
        own["Vary"] = ", ".join(dict.fromkeys(varies))
    replaced = _OWNED | {name.lower() for name in own}
    return {**{name: value for name, value in headers.items() if name.lower() not in replaced}, **own}


def preflight(rules: Iterable[Cors], headers: Mapping[str, str], methods: Iterable[str]) -> dict[str, str]:
    """The headers of the answer to an OPTIONS request; no permission in them when the origin has none."""
    origin, rules = headers.get(ORIGIN, ""), tuple(rules)
    rule = allowed(rules, origin)
    if rule is None:
        return {"Vary": "Origin"}
    names = _asked_for(headers) if rule.headers is None else rule.headers
    return {**_origin(rules, rule, origin), "Access-Control-Allow-Methods": ", ".join(rule.methods or methods),
            **({"Access-Control-Allow-Headers": ", ".join(names)} if names else {}),
            "Access-Control-Max-Age": str(rule.max_age_ms // 1000)}


def _asked_for(headers: Mapping[str, str]) -> list[str]:
    """The headers that a page wants to send."""
    return [name for part in headers.get(_WANTED_HEADERS, "").split(",") if _NAME.fullmatch(name := part.strip())]


def _origin(rules: Sequence[Cors], rule: Cors, origin: str) -> dict[str, str]:
    granted = {"Access-Control-Allow-Origin": "*" if "*" in rule.origins else origin}
    if len(rules) > 1 or rule.origins != ("*",):
        # a cache that many share would tell one page what was said to another
        granted["Vary"] = "Origin"
    return {**granted, "Access-Control-Allow-Credentials": "true"} if rule.credentials else granted


def _is(origin: str, named: str) -> bool:
    if named == "*" or origin == named:
        return True
    scheme, star, domain = named.partition("://*.")
    return bool(star) and origin.startswith(f"{scheme}://") and origin.endswith(f".{domain}")
