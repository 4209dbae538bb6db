"""One thin file per resource of the admin API.

In:    a `Call`.
Out:   a `Result`, or one of our errors.
Never: aiohttp; Kafka but through the desk.
"""
