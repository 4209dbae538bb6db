"""Access tokens: their text, and the digests that stand for them.

In:    random bytes, a token's text, a topic name.
Out:   text of a new token; digests.
Never: a raw token stored or published: it is shown once, to whoever asked for it.

Text: `weir_` + 43 characters base64url (256 bits) + 6 characters base64url (CRC-32 of what stands before), so that a
typing error is told from an unknown token without a look-up. A caller's token travels as SHA-256 over a domain prefix
per request topic, so a digest read from one topic is of no use on another; of several the digests stand side by side.
What is stored is a SHA-256 of that digest: who reads the config topic cannot call either.
"""

import base64
import hashlib
import re
import secrets
from binascii import b2a_base64
from collections.abc import Sequence
from zlib import crc32

PREFIX = "weir_"
# stands in for a digest when a token came whose checksum does not fit, before what tells it from others
MALFORMED = "malformed"
_MARK_CHARS = 4
# a bearer token, a key in a header, a key in the query
_MOST = 3
_BODY_CHARS = 43
_CHECK_CHARS = 6
_CHARS = len(PREFIX) + _BODY_CHARS + _CHECK_CHARS
_LIKE_ONE = re.compile(rf"{PREFIX}[\w-]{{{_BODY_CHARS + _CHECK_CHARS}}}", re.ASCII)
_URLSAFE = bytes.maketrans(b"+/", b"-_")


def new_token() -> str:
    """A fresh token; 256 random bits."""
    body = PREFIX + base64.urlsafe_b64encode(secrets.token_bytes(32)).rstrip(b"=").decode()
    return body + _check(body)


def looks_right(token: str) -> bool:
    """Whether prefix, length and checksum fit; says nothing about whether the token is known."""
    if len(token) != _CHARS or not token.isascii() or not token.startswith(PREFIX):
        return False
    # what typing errors spoil is no secret
    return _check(token[:-_CHECK_CHARS]) == token[-_CHECK_CHARS:]


def is_in(text: str) -> bool:
    """Whether a token of ours stands anywhere in it: a caller has put it in a wrong place.

    One may begin inside of what only looks like one. Where it does, that is enough: a text may be made of beginnings.
    """
    return PREFIX in text and any(looks_right(one) or PREFIX in one[1:] for one in _LIKE_ONE.findall(text))


def _check(body: str) -> str:
    return b2a_base64(crc32(body.encode()).to_bytes(4), newline=False)[:_CHECK_CHARS].translate(_URLSAFE).decode()


def topic_digest(token: str, topic: str) -> str:
    """What stands for a token on a request topic: 64 hex characters."""
    return hashlib.sha256(f"{topic}\0{token}".encode()).hexdigest()


def malformed(token: str) -> str:
    """What stands for a token whose checksum does not fit."""
    return f"{MALFORMED}-{mark(token)}"


def is_malformed(digest: str) -> bool:
    """Whether a digest stands for such a token."""
    return digest.startswith(MALFORMED)


def mark(proof: str) -> str:
    """Sixteen bits that tell a refused proof from another one; of a token's digest, or of what else was sent."""
    return hashlib.sha256(proof.encode(errors="replace")).hexdigest()[:_MARK_CHARS]


def together(digests: Sequence[str]) -> str | None:
    """What stands for several tokens that came with one call; None for none."""
    return " ".join(digests) or None


def each(digest: str | None) -> list[str]:
    """What stands for each of them: no more than a call over the edge can show, whatever was published."""
    return digest.split(" ", _MOST - 1) if digest else []


def stored_digest(digest: str) -> str:
    """What the config topic keeps of a topic digest: 64 hex characters."""
    return hashlib.sha256(digest.encode()).hexdigest()
