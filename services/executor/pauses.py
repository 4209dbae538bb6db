"""The pause before a step is tried again, and that of an execution which runs on and on.

In:    how often a step was tried, how long the pause is; the scene of the step. Of a delay: when it ends.
Out:   a return once it is over, or `Parked`: a durable execution holds no worker for a long one.
Never: a pause that begins anew, or tries that are counted anew, when an execution that was put aside is taken up.
"""

import asyncio

from services.executor.scene import Parked, Scene

# a record that is open keeps its partition's offset down: after a crash all behind it is read again, to be passed over
_LONGEST_MS = 300_000


async def hand_on(scene: Scene) -> None:
    """Before a step: a durable execution that has run for long goes on with another record, at once.

    Raises Parked, Superseded, Unavailable.
    """
    journal = scene.journal
    if journal is not None and journal.worked_ms > _LONGEST_MS and _is_alone(scene):
        await journal.settled()
        raise Parked(scene.surroundings.clock.now_ms())


async def rest(scene: Scene, tried: int, wait_ms: int) -> None:
    """After so many tries. Raises Parked, Superseded, Unavailable."""
    surroundings, journal = scene.surroundings, scene.journal
    now_ms = surroundings.clock.now_ms()
    before, until_ms = _noted(scene)
    if before > tried:
        # a later one was noted, so this one is over
        return
    if before < tried:
        until_ms = now_ms + wait_ms
    if journal is not None and await leaves(scene, until_ms):
        journal.note(_place(scene), {"output": [tried, until_ms]})
        await journal.settled()
        raise Parked(until_ms)
    await asyncio.sleep(max(0, until_ms - surroundings.clock.now_ms()) / 1000)


async def leaves(scene: Scene, until_ms: int) -> bool:
    """Whether the execution is put aside until then. What nobody waits for may run for longer than that: it ends first,
    or the time comes."""
    surroundings, beside = scene.surroundings, scene.tally.beside
    while scene.parks and (left_ms := until_ms - surroundings.clock.now_ms()) > surroundings.park_after_ms:
        if not beside:
            return True
        await asyncio.wait(tuple(beside), timeout=left_ms / 1000)
    return False


async def tries_before(scene: Scene) -> int:
    """How often a step was tried before its execution was put aside; the pause after that is over. As `rest`."""
    tried, _ = _noted(scene)
    if tried:
        await rest(scene, tried, 0)
    return tried


def tries_over(scene: Scene) -> None:
    """There is no further try: an execution that is resumed has all of them again."""
    if scene.journal is not None and _noted(scene)[0]:
        scene.journal.note(_place(scene), {"output": [0, 0]})


def _is_alone(scene: Scene) -> bool:
    """Whether nothing runs beside it that it would have to wait for before it is put aside, for days maybe."""
    return not scene.tally.beside


def _noted(scene: Scene) -> tuple[int, int]:
    """Tries, and unix ms until when it waits then; nothing noted: 0, 0."""
    noted = None if scene.journal is None else scene.journal.noted(_place(scene))
    if noted is None:
        return 0, 0
    tried, until_ms = noted["output"]
    return tried, until_ms


def _place(scene: Scene) -> str:
    return f"{scene.path}pause"
