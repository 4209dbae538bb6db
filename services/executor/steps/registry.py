"""The step kinds of this executor.

In:    nothing.
Out:   `STEPS`: kind -> what makes a compiled step from its settings.
Never: logic.
"""

from collections.abc import Callable
from typing import Any

from services.executor.steps.base import CompiledStep
from services.executor.steps.http import HttpStep
from services.executor.steps.reply import ReplyStep
from services.executor.steps.transform import TransformStep

STEPS: dict[str, Callable[[Any], CompiledStep]] = {
    "http": HttpStep,
    "transform": TransformStep,
    "reply": ReplyStep,
}
