"""What crosses a topic: one class per record, each with its wire form in both directions.

In:    names, errors, the project model.
Out:   frozen dataclasses with `to_headers` / `from_headers`, and the fold of the config topic.
Never: asyncio, a client library, a clock.
"""
