"""Weir's speed beside the bare transport, in one run on one machine. It measures; it asserts nothing."""
