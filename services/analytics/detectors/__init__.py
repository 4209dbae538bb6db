"""Detectors of abuse, one file each; `registry.py` lists them.

In:    what was seen of one subject within a detector's window; the project's settings.
Out:   findings.
Never: a clock, a store, a decision what becomes of a finding: `watch.py` has those.
"""
