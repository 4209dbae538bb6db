"""Dashboards.

In:    the list of metrics.
Out:   JSON files that Grafana loads.
Never: a file changed by hand: a test compares them with what `boards.py` says.
"""
