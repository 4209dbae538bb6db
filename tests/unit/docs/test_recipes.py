"""The recipes of the page on policies do what they say."""

import re
from typing import Any

from ruamel.yaml import YAML

from shared.decision.amounts import Amounts
from shared.decision.book import PolicyBook
from shared.decision.decide import Decision, decide
from shared.names import topics
from shared.names.reasons import Reason
from tests.support.calls import NOW, book, case
from tests.support.platform import ROOT

RECIPES = (ROOT / "docs/policies.md").read_text().partition("## Recipes\n")[2].partition("\n## ")[0]
PAYROLL = [{"name": "payroll", "method": "GET", "path": "/payroll", "workflow": "w", "public": True}]


def recipe(title: str, **more: Any) -> dict[str, Any]:
    """The file that stands under a title."""
    found = re.search(rf"\*\*{title}.*?```yaml\n(.*?)```", RECIPES, re.DOTALL)
    assert found is not None
    return {**YAML(typ="safe").load(found[1]), **more}


def known(written: dict[str, Any], *roles: str) -> PolicyBook:
    """In force, for a caller with roles."""
    return book(**{**written, "clients": [{"name": "c", "roles": list(roles)}]})


def test_gold_plan_has_its_own_limit_and_nobody_else_has_it() -> None:
    written = recipe("More for some plans")

    def admitted(*roles: str) -> int:
        here, amounts = known(written, *roles), Amounts()
        return [decide(case(here), amounts).reason for _ in range(1_001)].count(Reason.OK)
    assert (admitted("gold"), admitted()) == (1_000, 60)


def test_maintenance_lets_operators_in_alone_until_its_time() -> None:
    written = recipe("Closed for maintenance")

    def told(*roles: str, now_ms: int = NOW) -> Decision:
        return decide(case(known(written, *roles), now_ms=now_ms))
    refused = told().refusal
    assert refused is not None
    assert (refused.status, str(refused)) == (423, "closed for maintenance until 14:00 UTC")
    # 2030-05-01T14:00:00Z
    assert [told("operator").reason, told(now_ms=1_903_874_399_999).reason, told(now_ms=1_903_874_400_000).reason] == [
        Reason.OK, Reason.ACCESS_REJECTED, Reason.OK]


def test_operation_for_services_inside_is_reached_over_the_internal_topic_alone() -> None:
    here = known(recipe("For services inside alone", operations=PAYROLL))
    outside, inside = case(here, "payroll"), case(here, "payroll", token=None)
    inside.topic = topics.REQUESTS_INTERNAL
    assert [decide(one).reason for one in (outside, inside)] == [Reason.ACCESS_REJECTED, Reason.OK]
