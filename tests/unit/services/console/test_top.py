"""What `weir top` makes of two looks."""

from services.console.cli.figures import Reading
from services.console.cli.top import seen
from tests.unit.services.console.test_figures import looked_at_twice


def test_process_that_gave_no_answer_to_one_look_has_not_done_everything_since() -> None:
    before, after = looked_at_twice()
    quiet = Reading(before.at_s), Reading(after.at_s)
    hops, _ = seen({"ingress-0": quiet[0]}, {"ingress-0": quiet[1], "policy-0": after})
    assert [(row["processes"], row["per_s"], row["queue_p99_ms"]) for row in hops if row["hop"] == "policy"] == [
        (1, 0.0, None)]


def test_of_a_hop_that_gives_no_answer_nobody_knows_that_nothing_waits() -> None:
    before, after = looked_at_twice()
    hops, _ = seen({"ingress-0": before}, {"ingress-0": after})
    waiting = {row["hop"]: (row["processes"], row.get("in_flight"), row.get("lag")) for row in hops}
    assert waiting["ingress"] == (1, 5, 0)
    assert waiting["policy"] == (0, None, None)
