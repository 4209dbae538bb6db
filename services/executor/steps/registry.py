"""The step kinds of this executor.

In:    nothing.
Out:   `STEPS`: kind -> what makes a compiled step from its settings.
Never: logic.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

from services.executor.steps.base import CompiledStep, Compiler
from services.executor.steps.branch import BranchStep
from services.executor.steps.call import CallStep
from services.executor.steps.connector import ConnectorStep, connector_of
from services.executor.steps.delay import DelayStep
from services.executor.steps.emit import EmitStep
from services.executor.steps.http import HttpStep
from services.executor.steps.leaps import FailStep, LeapStep
from services.executor.steps.loop import LoopStep
from services.executor.steps.operation import OperationStep
from services.executor.steps.parallel import ParallelStep
from services.executor.steps.publish import PublishStep
from services.executor.steps.reply import ReplyStep
from services.executor.steps.script import ScriptStep
from services.executor.steps.storage import StorageStep
from services.executor.steps.switch import SwitchStep
from services.executor.steps.transform import TransformStep
from shared.project.connectors import connectors

STEPS: dict[str, Callable[[Any, Compiler], CompiledStep]] = {
    **{name: partial(ConnectorStep, connector_of(name, kind)) for name, kind in connectors().items()},
    "http": HttpStep,
    "transform": TransformStep,
    "branch": BranchStep,
    "switch": SwitchStep,
    "loop": LoopStep,
    "break": LeapStep,
    "continue": LeapStep,
    "parallel": ParallelStep,
    "call": CallStep,
    "operation": OperationStep,
    "delay": DelayStep,
    "publish": PublishStep,
    "emit": EmitStep,
    "script": ScriptStep,
    "storage": StorageStep,
    "reply": ReplyStep,
    "fail": FailStep,
    "stop": LeapStep,
}
