"""Texts that were meant as expressions, and are none. Pure.

In:    settings of a step, values.
Out:   where, and what to write instead.
Never: an expression that is one: `check_workflows.py` compiles those.
"""

import re
from collections.abc import Iterator, Mapping

from shared.project.expressions import SCOPE, outside_of_expressions
from shared.project.steps.base import Path, StepSettings
from shared.project.steps.control import FailSettings, ReplySettings, SwitchSettings
from shared.project.steps.work import HttpSettings, ScriptSettings

# as others write them; where something stands beside it, it may be a template that somebody else fills in, unless it
# reads what only an expression of ours can
_BRACES = re.compile(r"\s*=?\{\{([^{}]*)\}\}\s*")
_OF_OURS = re.compile(rf"\{{\{{\s*((?:{'|'.join(SCOPE)})\.[^{{}}]*)\}}\}}")
# settings that are taken as they stand, and what to do instead
_AS_IT_STANDS = {
    (ScriptSettings, "code"): "a script has what it reads by its `input`, where expressions stand, and knows it as "
                              "`input`; the characters alone are written '{' + '%'",
    (FailSettings, "error"): "`retry` and `errors` know it by this kind; what differs stands in `message`",
    (HttpSettings, "proxy"): "a proxy is the same for all calls; write its URL",
    (ReplySettings, "name"): "a `branch` or a `switch` has a `reply` for each name"}


def as_it_stands(settings: StepSettings, name: str) -> str | None:
    """What to do instead of an expression in a setting that is taken as it stands; None for one that is computed."""
    return _AS_IT_STANDS.get((type(settings), name))


def cases(settings: StepSettings) -> Iterator[tuple[Path, str]]:
    """Names of cases that were meant as expressions; keys from the settings, what to do instead."""
    for name in settings.cases if isinstance(settings, SwitchSettings) else ():
        if "{%" in name:
            yield ("cases", name), ("no expression is computed here: a case is a text that `value` may give; a "
                                    "`branch` compares what is computed")


def misspelled(value: object, path: Path = ()) -> Iterator[tuple[Path, str]]:
    """What is wrong with a value in which expressions may stand: keys from there, what to write instead."""
    if isinstance(value, str):
        yield from ((path, says) for says in _in_text(value))
    elif isinstance(value, Mapping):
        for key, item in value.items():
            # settings of a connector may have others than texts
            name = str(key)
            if "{%" in name:
                yield (*path, name), ("the name of a member is taken as it stands; an object with names that are "
                                      "computed is one expression as a whole: \"{% {trigger.body.name: 1} %}\"")
            yield from misspelled(item, (*path, name))
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield from misspelled(item, (*path, index))


def _in_text(text: str) -> Iterator[str]:
    if "{%" in outside_of_expressions(text):
        yield ("an expression begins here and does not end: write {% trigger.body.name %}, with both its ends. The "
               "characters alone are what an expression gives: {% '{%' %}")
    braces = _BRACES.fullmatch(text) or _OF_OURS.search(outside_of_expressions(text))
    if braces is not None:
        quote = "'" if '"' in text else '"'
        yield (f"this is a text as it stands; an expression is written {{% {braces[1].strip()[:100]} %}}. Where the "
               f"text is meant, let an expression give it: {{% {quote}{text.strip()[:100]}{quote} %}}")
