"""Analytics: counts usage, exactly once, and answers questions about it.

In:    `weir.usage`, `weir.queries`.
Out:   counters in Redis, answers to whoever asked, dead letters.
Never: a part of a request's path.
"""
