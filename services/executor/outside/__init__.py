"""Outside systems: how they are reached, and which are not.

In:    requests of `http` steps.
Out:   responses, bounded.
Never: a step; a private address that is not listed.
"""
