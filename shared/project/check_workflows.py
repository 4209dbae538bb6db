"""Rules of workflows: what each step may read, where each path ends, who calls whom.

In:    workflows that are well formed by themselves, with their sources; the operations that use them.
Out:   problems with their places.
Never: YAML, files; what a kind of step does.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from shared.project.check_calls import check_calls, given_by_calls
from shared.project.check_constants import check_constants
from shared.project.check_reads import Known, known_in, misreads
from shared.project.check_retries import check_retry, kinds_in
from shared.project.check_texts import as_it_stands, cases, misspelled
from shared.project.expressions import (
    BadExpression,
    compile_condition,
    compile_value,
    expressions_in,
    is_one_expression,
    names_in,
)
from shared.project.model import Operation, Workflow
from shared.project.modes import answering
from shared.project.places import Problem, Source
from shared.project.schemas import BadSchema, compile_schema
from shared.project.scripts import BadScript, check_script
from shared.project.steps.base import Block, Path, Step, steps_in
from shared.project.steps.control import (
    BranchSettings,
    BreakSettings,
    CallSettings,
    ContinueSettings,
    FailSettings,
    LoopSettings,
    ReplySettings,
    StopSettings,
    SwitchSettings,
)
from shared.project.steps.work import ScriptSettings

# settings that are expressions without braces
_CONDITIONS = {(BranchSettings, "if"), (LoopSettings, "while")}


@dataclass(frozen=True, slots=True)
class _Around:
    """What stands around a list of steps; `known`: what there is to read; `replies`: whether somebody waits for one;
    `longest_ms`: how long an execution may run, None where others call the workflow as well; `kinds`: the owner's names
    of errors, None where not all are known.

    What may end what: `loop`: there is a loop to end; `apart`: steps run beside the workflow's other ones; `beside`:
    passes of the nearest loop run beside this one.
    """

    source: Source
    users: Sequence[Operation]
    known: Known
    replies: bool
    longest_ms: int | None
    kinds: frozenset[str] | None
    loop: bool = False
    apart: bool = False
    beside: bool = False


def check_workflows(workflows: Sequence[tuple[Workflow, Source]], operations: Sequence[Operation], known: set[str],
                    used: set[str], config: frozenset[str] | None) -> list[Problem]:
    """All problems. `known`: names of all workflow files, the malformed ones too; `used`: those that malformed
    operations name.
    """
    by_name = {workflow.name: (workflow, source) for workflow, source in workflows}
    problems: list[Problem] = []
    called = {step.settings.workflow for workflow, _ in workflows for _, step in steps_in(workflow.steps)
              if isinstance(step.settings, CallSettings)}
    # nobody knows whom a malformed one calls
    elsewhere = called | used | (known if known - by_name.keys() else set())
    kinds = None if known - by_name.keys() else kinds_in([workflow for workflow, _ in workflows])
    for workflow, source in workflows:
        users = [operation for operation in operations if operation.workflow == workflow.name]
        replies = (any(operation.mode == "request_response" for operation in users)
                   or (not users and workflow.name not in elsewhere))
        longest_ms = None if workflow.name in elsewhere else max(
            (answering(operation, None, edge=True).run_ms for operation in users), default=None)
        known_there = known_in(workflow.steps, config, given_by_calls(workflow, by_name))
        around = _Around(source, users, known_there, replies, longest_ms, kinds)
        problems += _unique(workflow, source)
        problems += _block(workflow.steps, ("steps",), around, set())
        problems += _schemas(workflow, source)
        if replies and not _ends(workflow.steps):
            problems.append(source.problem(("steps",), "no-reply", f"workflow {workflow.name!r} can end without a "
                                           "reply; its last step should be a `reply` without `if`"))
    return [*problems, *check_calls(by_name, operations, known, used)]


def _unique(workflow: Workflow, source: Source) -> Iterator[Problem]:
    seen: set[str] = set()
    for path, step in steps_in(workflow.steps):
        if step.id in seen:
            yield source.problem((*path, "id"), "duplicate", f"step {step.id!r} stands twice in this workflow")
        seen.add(step.id)


def _block(steps: Sequence[Step], path: Path, around: _Around, done: set[str]) -> Iterator[Problem]:
    """`done`: ids whose outputs may be read; those of this list are added."""
    ended = ""
    for index, step in enumerate(steps):
        here = (*path, index)
        if ended:
            yield around.source.problem(here, "unreachable",
                                        f"step {step.id!r} is never reached: {ended} stands before it")
        yield from _leap(step, here, around)
        yield from _expressions(step, here, around, done)
        for keys, says in (*check_constants(step, around.longest_ms), *check_retry(step, around.kinds)):
            yield around.source.problem((*here, *keys), "shape", says)
        if isinstance(step.settings, ReplySettings):
            yield from _reply(step, step.settings, here, around)
        if isinstance(step.settings, ScriptSettings):
            yield from _script(step.settings, here, around.source)
        before = frozenset(done)
        for block in step.blocks():
            inner = replace(around, known=_known(step, block, around.known),
                            loop=block.loop or (around.loop and not block.apart),
                            apart=around.apart or block.apart,
                            beside=block.apart or (around.beside and not block.loop))
            # what runs beside others reads nothing of theirs: nobody knows which of them is first
            inside = set(before if block.apart else done)
            yield from _block(block.steps, (*here, *block.path), inner, inside)
            if not block.own:
                done |= inside
        done.add(step.id)
        if _always_ends(step):
            ended = f"a {step.kind}"


def _known(step: Step, block: Block, known: Known) -> Known:
    """What there is to read in a list of steps inside a step."""
    return known.inside(step.settings) if block.loop and isinstance(step.settings, LoopSettings) else known


def _leap(step: Step, path: Path, around: _Around) -> Iterator[Problem]:
    settings = step.settings
    if isinstance(settings, BreakSettings | ContinueSettings) and not around.loop:
        yield around.source.problem((*path, step.kind), "misplaced", f"`{step.kind}` stands in no loop")
    elif (around.beside if isinstance(settings, BreakSettings)
          else around.apart and isinstance(settings, ReplySettings | StopSettings)):
        yield around.source.problem(
            (*path, step.kind), "misplaced", f"`{step.kind}` inside steps that run beside others would end those too; "
            "let them finish and decide after them")
    elif around.replies and isinstance(settings, StopSettings):
        yield around.source.problem((*path, step.kind), "no-reply", "`stop` ends this workflow without a reply, and "
                                    "its caller waits for one; a `reply` or a `fail` ends it, too")


def _always_ends(step: Step) -> bool:
    """Whether nothing after this step is ever reached."""
    if step.if_ is not None or step.handles != "fail":
        return False
    settings = step.settings
    if isinstance(settings, ReplySettings | FailSettings | StopSettings | BreakSettings | ContinueSettings):
        return True
    return _all_ways_end(settings, lambda steps: any(_always_ends(one) for one in steps))


def _ends(steps: Sequence[Step]) -> bool:
    """Whether every way through some steps ends with an answer: a reply, or an error. A stop is told by itself."""
    for step in steps:
        if step.if_ is not None or step.handles == "continue":
            continue
        if step.handles == "catch" and not _ends(step.catch):
            continue
        if isinstance(step.settings, ReplySettings | FailSettings | StopSettings):
            return True
        if _all_ways_end(step.settings, _ends):
            return True
    return False


def _all_ways_end(settings: object, ends: Callable[[Sequence[Step]], bool]) -> bool:
    if isinstance(settings, BranchSettings):
        return ends(settings.then) and ends(settings.else_)
    if isinstance(settings, SwitchSettings):
        ways = (*settings.cases.values(), settings.default or ())
        return all(ends(steps) for steps in ways)
    return False


def _expressions(step: Step, path: Path, around: _Around, done: set[str]) -> Iterator[Problem]:
    inner = {block.path[1] for block in step.blocks() if len(block.path) > 1}
    settings = step.settings.model_dump(by_alias=True)
    in_a_pass = _in_a_pass(step, around, done)
    for keys, says in cases(step.settings):
        yield around.source.problem((*path, step.kind, *keys), "expression", says)
    for name, value in settings.items():
        if name in inner or value is None:
            continue
        here, instead = (*path, step.kind, name), as_it_stands(step.settings, name)
        if instead is None:
            there, reads = in_a_pass.get(name, (around, done))
            yield from _expression(here, value, there, reads, is_condition=(type(step.settings), name) in _CONDITIONS)
        elif "{%" in value:
            yield around.source.problem(here, "expression", f"no expression is computed here: {instead}")
    if step.if_ is not None:
        yield from _expression((*path, "if"), step.if_, around, done, is_condition=True)
    yield from _expression((*path, "fallback"), step.fallback, around, done, is_condition=False)


def _in_a_pass(step: Step, around: _Around, done: set[str]) -> dict[str, tuple[_Around, set[str]]]:
    """Of a loop, what a pass begins with and what it collects are computed inside it: what stands around them, and the
    steps that they may read."""
    if not isinstance(step.settings, LoopSettings):
        return {}
    there = replace(around, known=around.known.inside(step.settings))
    ids = {one.id for one in step.settings.steps} | {
        one.id for outer in step.settings.steps for _, one in _inside(outer)}
    return {"while": (there, done), "collect": (there, done | ids)}


def _inside(step: Step) -> Iterator[tuple[Block, Step]]:
    for block in step.blocks():
        for one in block.steps:
            yield block, one
            if not block.own:
                yield from _inside(one)


def _expression(place: Path, value: object, around: _Around, done: set[str], *,
                is_condition: bool) -> Iterator[Problem]:
    misspelled_here = list(misspelled(value))
    for keys, says in misspelled_here:
        yield around.source.problem((*place, *keys), "expression", says)
    if misspelled_here and is_condition:
        # what the compiler says of it is harder to read
        return
    try:
        compile_condition(str(value)) if is_condition else compile_value(value)
    except BadExpression as exc:
        yield around.source.problem(place, "expression",
                                    f"expression {{% {exc.text[:200]} %}} does not compile: {exc}")
        return
    if is_condition and "{%" in str(value) and not is_one_expression(str(value)):
        yield around.source.problem(place, "expression", _one_expression(str(value)))
    for text in expressions_in(value) or ([str(value)] if is_condition else []):
        names = names_in(text)
        for name in sorted(names.unbound):
            yield around.source.problem(place, "unknown-name", f"${name} is read here; JSONata has no function of this "
                                        "name, and the expression gives it no value")
        for code, message in misreads(text, names.scope, around.known, done):
            yield around.source.problem(place, code, message)


def _one_expression(text: str) -> str:
    """What to write instead of a text with expressions inside, where an expression is asked for."""
    meant = " ".join(text.replace("{%", " ").replace("%}", " ").split())
    try:
        compile_condition(meant)
    except BadExpression:
        meant = "..."
    return ("what stands outside of {% %} makes a text of this, and a text holds whatever it says; write one "
            f"expression: {{% {meant[:200]} %}}")


def _script(settings: ScriptSettings, path: Path, source: Source) -> Iterator[Problem]:
    try:
        check_script(settings.code)
    except BadScript as exc:
        yield source.problem((*path, "script", "code"), "script", str(exc)[:400])


def _reply(step: Step, settings: ReplySettings, path: Path, around: _Around) -> Iterator[Problem]:
    if settings.status is not None or settings.name is None:
        return
    for operation in around.users:
        # one that is declared there without a status is told of there
        if settings.name not in operation.replies and operation.reply_status(settings.name) is None:
            yield around.source.problem((*path, step.kind, "name"), "dangling",
                                        f"operation {operation.name!r} declares no reply {settings.name!r}; "
                                        "give it one there, or a `status` here")


def _schemas(workflow: Workflow, source: Source) -> Iterator[Problem]:
    for part, schema in (("input", workflow.input), ("output", workflow.output)):
        if schema is not None:
            try:
                compile_schema(schema)
            except BadSchema as exc:
                yield source.problem((part, *exc.path), "schema", f"not a JSON Schema: {exc}"[:400])


