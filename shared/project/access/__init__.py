"""Policies: what an owner writes in `access.yaml`, and the same compiled.

In:    the models of `policies.py`.
Out:   predicates over the facts of a call.
Never: a decision; `shared/decision` takes it.
"""
