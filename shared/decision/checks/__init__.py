"""One file a question that a call has to answer.

In:    a `Case`.
Out:   None, or the refusal.
Never: I/O, a clock; an opinion about the order, which `decide.py` has.
"""
