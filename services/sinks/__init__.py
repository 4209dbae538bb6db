"""Sinks: hand usage events to systems of others.

In:    `weir.usage`.
Out:   CloudEvents to a webhook, or Parquet files in a folder.
Never: an event left out in silence; a part of a request's path.
"""
