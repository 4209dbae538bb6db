"""Who decides which requests leave a trace."""

from shared.contracts.traceparent import TraceContext
from shared.telemetry.sampling import Sampler
from shared.telemetry.span import Kind, Resource, Span
from tests.support.fakes import StoppedClock


def fresh() -> TraceContext:
    return TraceContext.new(sampled=False)


def sampler(clock: StoppedClock, chance: float = 0.5, **more: float) -> Sampler:
    settings = {"ratio": 0.1, "max_per_s": 2, **more}
    return Sampler(clock, ratio=settings["ratio"], max_per_s=int(settings["max_per_s"]), chance=lambda: chance)


def test_the_projects_ratio_goes_before_the_settings() -> None:
    assert not sampler(StoppedClock()).head(fresh(), None).sampled
    assert sampler(StoppedClock()).head(fresh(), 0.6).sampled
    assert sampler(StoppedClock(), ratio=0.6).head(fresh(), None).sampled
    assert not sampler(StoppedClock(), chance=0.0).head(fresh(), 0.0).sampled


def test_no_more_than_so_many_a_second_whoever_asks_for_them() -> None:
    clock = StoppedClock()
    made = sampler(clock, chance=0.0)
    caller = TraceContext("a" * 32, "b" * 16, sampled=True)
    assert [made.head(one, 1).sampled for one in (fresh(), caller, fresh())] == [True, True, False]
    kept = made.head(caller, 1)
    assert (kept.trace_id, kept.span_id, kept.sampled) == (caller.trace_id, caller.span_id, False)
    clock.now += 500
    assert [made.head(fresh(), 1).sampled for _ in range(2)] == [True, False]


def test_who_may_ask_for_a_trace_has_it_past_every_bound() -> None:
    made = sampler(StoppedClock(), chance=1.0, max_per_s=1)
    caller = TraceContext("a" * 32, "b" * 16, sampled=False)
    assert all(made.head(fresh(), 0, forced=True).sampled for _ in range(5))
    assert made.head(caller, 0, forced=True) == TraceContext("a" * 32, "b" * 16, sampled=True)


def test_a_caller_who_does_not_sample_is_not_sampled() -> None:
    caller = TraceContext("a" * 32, "b" * 16, sampled=False)
    assert sampler(StoppedClock(), chance=0.0).head(caller, 1) == caller


def test_that_an_id_was_made_by_chance_goes_on_with_it_sampled_or_not() -> None:
    for random in (False, True):
        caller = TraceContext("a" * 32, "b" * 16, sampled=False, random=random)
        forced = sampler(StoppedClock()).head(caller, 0, forced=True)
        under = Span("s", Kind.SERVER, forced, Resource("weir"), lambda _: None).context
        assert [str(one)[-2:] for one in (caller, forced, under)] == (["02", "03", "03"] if random else
                                                                      ["00", "01", "01"])
