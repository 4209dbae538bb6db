"""Walk a list of steps: conditions, tries, what happens when one fails, and what it costs.

In:    compiled steps, a scene.
Out:   outputs in the scene; the leap that ended the walk, if one did.
Never: a step kind.
"""

import asyncio
import random
from collections.abc import Callable, Sequence
from typing import Any

from msgspec.structs import replace

from services.executor.failures import broken, broken_around, fell, in_catch, name
from services.executor.journal import Journal, Superseded, error_to_doc
from services.executor.outputs import check_size
from services.executor.pauses import hand_on, rest, tries_before, tries_over
from services.executor.planned import PlannedStep
from services.executor.retries import kind_of, pause_ms
from services.executor.scene import Laps, Parked, Scene
from services.executor.seen import holds, leads_on, may_be_handled, rendered, told
from services.executor.steps.base import Leap
from shared.errors import Failed, TimedOut, WeirError
from shared.names import spans
from shared.project.expressions import TooLong
from shared.project.steps.base import Retry
from shared.telemetry.span import Span

# bytes of a body over which one step can take as long as a turn of everybody else (`inbox.py`)
LARGE_BODY = 100_000
# steps that are done at once may take so long together before whoever else has a turn gets it, others so long
_LONG_MS, _TURN_US = 100, 10_000
# so often a list of steps that took longer is walked over with turns for others, before it is tried at once again
_SLOW_WALKS = 100


class Steps:
    """A list of steps, ready to run for many executions at once."""

    def __init__(self, steps: Sequence[PlannedStep]) -> None:
        """In order."""
        self._steps = tuple(steps)
        self._plain = tuple((step, step.now) for step in steps if step.now is not None)
        self.at_once = len(self._plain) == len(self._steps)
        self._slow_walks = 0

    def takes_long(self) -> bool:
        """Whether a walk over steps that are done at once should give turns to others; counts the walks that do."""
        self._slow_walks -= self._slow_walks > 0
        return self._slow_walks > 0

    def now(self, scene: Scene, laps: Laps | None = None) -> Leap | None:
        """As `walk`, where all are done at once: unsampled, without a journal. `laps`: where their beginnings go.

        Raises TooLong.
        """
        tally, clock, deadline_ms = scene.tally, scene.surroundings.clock, scene.execution.deadline_ms
        long_ms = clock.now_ms() + _LONG_MS
        for step, work in self._plain:
            tally.at = step.id
            if laps is not None:
                laps.append((step.id, clock.elapsed_us()))
            try:
                if step.condition is not None and not step.condition.holds(scene.scope):
                    continue
                now_ms = clock.now_ms()
                if now_ms >= deadline_ms:
                    scene.left_ms()
                if now_ms > long_ms:
                    raise TooLong
                tally.count()
                outcome = _at_once(step, work, scene)
            except WeirError as error:
                name(step, error)
                raise
            except TooLong:
                self._slow_walks = _SLOW_WALKS
                raise
            except Exception as exc:
                raise broken_around(step, scene, exc) from None
            if isinstance(outcome, Leap):
                return outcome
            scene.scope["steps"][step.id] = scene.last = outcome
        return None

    def _quickly(self, scene: Scene, *, large: bool) -> tuple[Leap | None] | None:
        """As `now`; None where there has to be a turn for others between two steps, or a note or a span of each."""
        if not self.at_once or scene.journal is not None or scene.trace.sampled or large or self.takes_long():
            return None
        before = scene.mark()
        try:
            return (self.now(scene, scene.laps),)
        except TooLong:
            scene.back_to(before)
            return None

    async def walk(self, scene: Scene) -> Leap | None:
        """Run them in order, to the end or to a leap. Raises what a step raises and nobody handles."""
        large = len(scene.execution.body) > LARGE_BODY
        quickly = self._quickly(scene, large=large)
        if quickly is not None:
            return quickly[0]
        clock = scene.surroundings.clock
        turn_us = clock.elapsed_us()
        for step in self._steps:
            if large or clock.elapsed_us() - turn_us > _TURN_US:
                # whoever else has a turn gets it between two steps
                await asyncio.sleep(0)
                turn_us = clock.elapsed_us()
            scene.tally.at = step.id
            if scene.laps is not None:
                scene.laps.append((step.id, clock.elapsed_us()))
            try:
                if step.condition is not None and not await holds(step.condition, _at(step, scene), "if"):
                    continue
                leap = await (_traced(step, scene) if scene.trace.sampled
                              else _one(step, scene, _inside(step, scene, None)))
            except WeirError as error:
                name(step, error)
                raise
            except (Parked, Superseded):
                raise
            except Exception as exc:
                raise broken_around(step, scene, exc) from None
            if leap is not None:
                return leap
        return None


def _at_once(step: PlannedStep, work: Callable[[Scene], Any | Leap], scene: Scene) -> Any | Leap:
    """What a step gives whose work is done at once, or what stands for it."""
    try:
        outcome = work(scene)
        if not step.holds and not isinstance(outcome, Leap):
            check_size(outcome, scene.surroundings.max_output_bytes)
        return outcome
    except TooLong:
        raise
    except Exception as exc:
        error = exc if isinstance(exc, WeirError) else broken(step, scene, exc)
        error.members = {"step": step.id, "attempt": 1, **error.members}
        name(step, error)
        if step.handles == "fail" or not may_be_handled(error, scene):
            raise error from None
        fell(step, scene, error)
        leap = None if step.catch is None else step.catch.now(scene)
        return leap if leap is not None else None if step.fallback is None else _fits(
            step.fallback.render(scene.scope), scene)


async def _traced(step: PlannedStep, scene: Scene) -> Leap | None:
    with scene.surroundings.tracing.span(spans.step(step.id), scene.trace, attributes={
            spans.STEP_ID: step.id, spans.STEP_KIND: step.kind}) as span:
        return await _one(step, scene, _inside(step, scene, span))


def _inside(step: PlannedStep, scene: Scene, span: Span | None) -> Scene:
    return scene.under(span, step.id, handled=step.handles != "fail", mask=step.mask)


def _at(step: PlannedStep, scene: Scene) -> Scene:
    """The place of a step, seen from beside it: what goes wrong here is not the step's to handle."""
    return scene.under(None, step.id, handled=False, mask=step.mask)


async def _one(step: PlannedStep, scene: Scene, inner: Scene) -> Leap | None:
    """`inner`: the place of the step itself, seen from its span."""
    if scene.parks:
        await hand_on(scene)
    scene.left_ms()
    scene.tally.count()
    try:
        outcome = await (_tried(step, inner) if inner.journal is None or step.holds
                         else _once(step, inner, inner.journal))
    except WeirError as error:
        name(step, error)
        if step.handles == "fail" or not may_be_handled(error, scene):
            raise
        return await _handled(step, inner, scene, error)
    if isinstance(outcome, Leap):
        return outcome
    scene.keep(step.id, outcome)
    return None


async def _once(step: PlannedStep, scene: Scene, journal: Journal) -> Any | Leap:
    """What the step gave before, or gives now: in a durable execution it is noted, be it an output or an error.

    An error after which nothing comes is not noted.
    """
    noted = journal.noted(scene.path)
    if noted is not None:
        return told(noted)
    if step.effect:
        await journal.settled()
    try:
        outcome = await _tried(step, scene)
    except Failed as error:
        if leads_on(error, scene):
            journal.note(scene.path, {"error": error_to_doc(error)}, mask=step.mask)
            await journal.settled()
        raise
    if not isinstance(outcome, Leap):
        journal.note(scene.path, {"output": outcome}, mask=step.mask)
        if step.effect:
            await journal.settled()
    return outcome


async def _tried(step: PlannedStep, scene: Scene) -> Any | Leap:
    # what a step holds is walked again from its first try on, and finds what it gave
    tried = 0 if step.retry is None or step.holds else await tries_before(scene)
    while True:
        tried += 1
        try:
            return await _sound(step, scene if step.retry is None else _in_try(step, scene, step.retry, tried))
        except WeirError as error:
            error.members = {"step": step.id, "attempt": tried, **error.members}
            wait_ms = pause_ms(error, tried, step.retry, random.random())
            if wait_ms is None or wait_ms >= scene.left_ms():
                if not step.holds:
                    tries_over(scene)
                raise
            scene.tally.retries += 1
            if scene.span is not None:
                scene.span.event(spans.RETRY, {spans.ATTEMPT: tried, spans.PAUSE_MS: wait_ms,
                                               spans.ERROR_TYPE: kind_of(error)})
            await rest(scene, tried, wait_ms)


def _in_try(step: PlannedStep, scene: Scene, retry: Retry, tried: int) -> Scene:
    """The place of a step in one of its tries: what it holds has effects and notes of its own in each.

    A step that holds none has the same effect in each, under the same key.
    """
    if scene.journal is None or not step.holds:
        return scene
    path = scene.path if tried == 1 else f"{scene.path[:-1]}#{tried}/"
    return replace(scene, path=path, tries=(*scene.tries, (retry, tried)))


async def _sound(step: PlannedStep, scene: Scene) -> Any | Leap:
    """What the step gives, where it can be kept; whatever it raises is an error of this step alone."""
    try:
        outcome = await _timed(step, scene)
    except (WeirError, Parked, Superseded):
        raise
    except Exception as exc:
        raise broken(step, scene, exc) from None
    if not step.holds and not isinstance(outcome, Leap):
        check_size(outcome, scene.surroundings.max_output_bytes)
    return outcome


async def _timed(step: PlannedStep, scene: Scene) -> Any | Leap:
    if step.timeout_ms is None:
        return await step.work.run(scene)
    try:
        async with asyncio.timeout(step.timeout_ms / 1000) as limit:
            # a walk that is taken up later would begin its time anew
            return await step.work.run(replace(scene, parks=False))
    except TimeoutError:
        if not limit.expired():
            raise
        raise TimedOut(f"step {step.id!r} did not finish within {step.timeout_ms} ms") from None


async def _handled(step: PlannedStep, inner: Scene, scene: Scene, error: WeirError) -> Leap | None:
    fell(step, scene, error)
    if step.catch is not None:
        leap = await step.catch.walk(in_catch(step, inner, scene))
        if leap is not None:
            return leap
    scene.keep(step.id, await _instead(step, scene))
    return None


async def _instead(step: PlannedStep, scene: Scene) -> Any:
    return None if step.fallback is None else _fits(await rendered(step.fallback, _at(step, scene), "fallback"), scene)


def _fits(value: Any, scene: Scene) -> Any:
    check_size(value, scene.surroundings.max_output_bytes)
    return value
