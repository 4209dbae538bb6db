"""The kinds of steps, as they stand in a workflow file.

In:    mappings from YAML or JSON.
Out:   `Step`, and one frozen settings class per kind; `registry.py` lists the kinds.
Never: what a step does; `services/executor/steps` has that.
"""
