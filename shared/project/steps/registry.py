"""The kinds of steps.

In:    nothing.
Out:   `STEP_SETTINGS`: kind -> the class of its settings.
Never: logic.
"""

from shared.project.connectors import connectors
from shared.project.steps import control, work
from shared.project.steps.base import StepSettings

BUILT_IN: dict[str, type[StepSettings]] = {
    "http": work.HttpSettings,
    "transform": work.TransformSettings,
    "branch": control.BranchSettings,
    "switch": control.SwitchSettings,
    "loop": control.LoopSettings,
    "break": control.BreakSettings,
    "continue": control.ContinueSettings,
    "parallel": control.ParallelSettings,
    "call": control.CallSettings,
    "operation": work.OperationSettings,
    "delay": work.DelaySettings,
    "publish": work.PublishSettings,
    "emit": work.EmitSettings,
    "script": work.ScriptSettings,
    "storage": work.StorageSettings,
    "reply": control.ReplySettings,
    "fail": control.FailSettings,
    "stop": control.StopSettings,
}
# what comes with Weir cannot be replaced by a package
STEP_SETTINGS: dict[str, type[StepSettings]] = {
    **{name: connector.Settings for name, connector in connectors().items()}, **BUILT_IN}
