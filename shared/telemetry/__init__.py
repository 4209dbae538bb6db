"""Traces, metrics and logs.

In:    names, settings.
Out:   spans for the spans topic, Prometheus text, JSON log lines.
Never: a slower or failed request because of any of them.
"""
