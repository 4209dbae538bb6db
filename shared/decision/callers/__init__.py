"""One file a kind of proof of who calls.

In:    a `Case`.
Out:   an `Identity`; a refusal; None when the call carries no such proof.
Never: I/O; a secret in a text.
"""
