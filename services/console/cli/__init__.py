"""The `weir` command: one file per group of commands.

In:    arguments.
Out:   text or JSON; exit code 0, or 1 with one sentence on standard error.
Never: a traceback for what a person can mend.
"""
