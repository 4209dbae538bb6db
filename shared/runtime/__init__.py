"""How a service process lives and dies.

In:    the parts that a composition root built.
Out:   start in order, readiness, drain, stop in the reverse order.
Never: knowledge of what the parts do.
"""
