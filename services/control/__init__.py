"""Control: what owners and operators tell the cluster, and what they ask of it.

In:    the admin API over HTTP; `weir.config`, `otlp_spans`, answers to its questions.
Out:   `weir.config`, `weir.audit`, `weir.queries`.
Never: a part of a request's path.
"""
