"""Executor: runs the workflow behind an operation.

In:    `weir.executions`; `weir.config`.
Out:   replies to where the caller waits, usage events, calls to outside systems.
Never: a decision about access; a credential of a caller.
"""
