"""Policy: decides whether a request may run.

In:    `weir.requests.edge`, `weir.requests.internal`; `weir.config`.
Out:   `weir.executions` for admitted requests, `weir.replies` for refused ones, usage events for the latter.
Never: HTTP, a workflow, a secret passed on.
"""
