"""Ingress: the HTTP face of the cluster.

In:    HTTP on one port; `weir.config`; replies on its own partition of `weir.replies`.
Out:   `weir.requests.edge`; HTTP answers; usage events for what ends at the edge.
Never: a decision about access; a raw secret past its own memory.
"""
