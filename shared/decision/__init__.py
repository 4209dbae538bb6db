"""May this call run, and why not?

In:    a request record, what the config topic says, amounts spent, the time.
Out:   a `Decision`. Pure: policy decides with it, control explains and replays with it.
Never: I/O, a clock, logging.
"""
