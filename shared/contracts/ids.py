"""Ids that Weir makes: request ids and correlation ids.

In:    a time in milliseconds, random bytes, or what stands for them.
Out:   UUIDv7 text (RFC 9562, 5.7); correlation ids of 32 hex characters (16 bytes).
Never: a clock.
"""

import hashlib
import os
import re

# the two highest bits of this digit are 10, whatever its chance
_VARIANT = {digit: "89ab"[int(digit, 16) & 3] for digit in "0123456789abcdef"}
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


def request_id(now_ms: int) -> str:
    """A new UUIDv7: sorts by time, unique without coordination."""
    return _version_7(now_ms, os.urandom(10).hex())


def request_id_of(made_ms: int, *told: bytes) -> str:
    """The same UUIDv7 for what says the same: a request that came without one has it again when it comes again."""
    digest = hashlib.blake2b(digest_size=10)
    for part in told:
        digest.update(b"%d " % len(part))
        digest.update(part)
    return _version_7(made_ms, digest.hexdigest())


def _version_7(time_ms: int, chance: str) -> str:
    time = f"{time_ms & 0xFFFF_FFFF_FFFF:012x}"
    return f"{time[:8]}-{time[8:]}-7{chance[:3]}-{_VARIANT[chance[3]]}{chance[4:7]}-{chance[7:19]}"


def made_ms(request_id: str) -> int:
    """When a UUIDv7 was made, unix ms; 0 for another form."""
    return int(request_id[:8] + request_id[9:13], 16) if request_id[14:15] == "7" else 0


def is_request_id(text: str) -> bool:
    """Whether a caller's own request id has the form of a UUID."""
    return _UUID.fullmatch(text) is not None


def holder(request_id: str, place: object) -> str:
    """Who has what a call holds, where a publisher has chosen its id and may choose it again: the record at a place."""
    return f"{request_id}@{place}"


def request_of(holder: str) -> str:
    """The request's id."""
    return holder.partition("@")[0]


class CorrelationIds:
    """Correlation ids of one instance: an 8-byte nonce and an 8-byte counter, as hex."""

    def __init__(self, nonce: bytes | None = None) -> None:
        """`nonce` is 8 bytes; random when left out."""
        self._nonce = (os.urandom(8) if nonce is None else nonce).hex().encode()
        self._next = 0

    @property
    def nonce(self) -> bytes:
        """16 hex characters that open every id of this instance."""
        return self._nonce

    def new(self) -> bytes:
        """The next id."""
        self._next += 1
        return b"%s%016x" % (self._nonce, self._next)

    def is_own(self, correlation_id: bytes) -> bool:
        """Whether an id was made by this instance."""
        return correlation_id.startswith(self._nonce)
