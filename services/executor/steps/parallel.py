"""The `parallel` step: several lists of steps at the same time.

In:    lists of steps by name.
Out:   by name, the output of the last step of each.
Never: a branch that goes on after another has failed.
"""

from typing import Any

from services.executor.scene import Scene
from services.executor.steps.base import Compiler, Walk
from services.executor.together import together
from shared.project.steps.control import ParallelSettings


class ParallelStep:
    """Runs all, and waits for all."""

    holds = True

    def __init__(self, settings: ParallelSettings, compiler: Compiler) -> None:
        """Compiles all."""
        self._branches = {name: compiler.block(steps) for name, steps in settings.branches.items()}

    async def run(self, scene: Scene) -> dict[str, Any]:
        """Outputs by branch. Raises what the first failing branch raises."""
        found: dict[str, Any] = dict.fromkeys(self._branches)

        async def branch(name: str, steps: Walk) -> None:
            own = scene.beside()
            await steps.walk(own)
            found[name] = own.last
        await together([branch(name, steps) for name, steps in self._branches.items()])
        return found
