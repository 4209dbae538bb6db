"""What has been counted, read.

In:    the store's counters, questions.
Out:   answers: groups of requests, by the dimensions that were asked for.
Never: a count; analytics does that.
"""
