"""One file per step kind; `registry.py` lists them.

In:    a step's settings, then a scene per execution.
Out:   the step's output, or a reply.
Never: knowledge of other steps.
"""
