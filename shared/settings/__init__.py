"""Settings: one frozen class per concern, read from the environment once, at a process's entry.

In:    environment variables `WEIR_*`.
Out:   checked values with units in their names.
Never: reading the environment anywhere else.
"""
