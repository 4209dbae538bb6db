"""Which pages may call from a browser (Fetch standard, CORS protocol).

In:    the `Origin` of a request, what the owner allows.
Out:   headers of the answer; the answer to a preflight.
Never: an origin echoed that the owner has not named.
"""

from collections.abc import Iterable, Mapping

from shared.project.access.traffic import Cors

ORIGIN, WANTED_METHOD = "origin", "access-control-request-method"


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
    return {**_origin(rule, origin), "Access-Control-Expose-Headers": ", ".join(rule.expose)}


def preflight(rules: Iterable[Cors], headers: Mapping[str, str], methods: Iterable[str]) -> dict[str, str]:
    """The headers of the answer to an OPTIONS request; no permission in them when the origin has none."""
    origin = headers.get(ORIGIN, "")
    rule = allowed(rules, origin)
    if rule is None:
        return {"Vary": "Origin"}
    return {**_origin(rule, origin), "Access-Control-Allow-Methods": ", ".join(rule.methods or methods),
            "Access-Control-Allow-Headers": ", ".join(rule.headers),
            "Access-Control-Max-Age": str(rule.max_age_ms // 1000)}


def _origin(rule: Cors, origin: str) -> dict[str, str]:
    if "*" in rule.origins:
        return {"Access-Control-Allow-Origin": "*"}
    granted = {"Access-Control-Allow-Origin": origin, "Vary": "Origin"}
    return {**granted, "Access-Control-Allow-Credentials": "true"} if rule.credentials else granted


def _is(origin: str, named: str) -> bool:
    if named == "*" or origin == named:
        return True
    scheme, star, domain = named.partition("://*.")
    return bool(star) and origin.startswith(f"{scheme}://") and origin.endswith(f".{domain}")
