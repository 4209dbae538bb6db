"""A body is what was meant, whole, or it is refused."""

import gzip
import zlib

import pytest
from multidict import CIMultiDict

from services.ingress import coding
from shared.errors import BodyTooLarge, MediaTypeUnsupported, MessageUnreadable

TEXT = b"name;place\r\n" * 500
PACKED, DEFLATED = gzip.compress(TEXT), zlib.compress(TEXT)
_bare = zlib.compressobj(wbits=-15)
BARE = _bare.compress(TEXT) + _bare.flush()


@pytest.mark.parametrize(("raw", "named"), [
    (TEXT, "identity"), (PACKED, "gzip"), (PACKED, " GZIP "), (DEFLATED, "deflate"), (BARE, "deflate"),
    (gzip.compress(TEXT[:7]) + gzip.compress(TEXT[7:]), "gzip")], ids=range(6))
def test_coding_is_taken_off(raw: bytes, named: str) -> None:
    assert coding.decoded(raw, named, len(TEXT)) == TEXT


@pytest.mark.parametrize(("raw", "named"), [
    (PACKED[:-1], "gzip"), (PACKED[:-20], "gzip"), (PACKED[:5], "gzip"), (DEFLATED[:-3], "deflate"),
    (BARE[:-1], "deflate"), (PACKED + b"x", "gzip"), (TEXT, "gzip"),
    (PACKED[:-8] + b"\0" * 8, "gzip"), (gzip.compress(b"") * 101, "gzip")], ids=range(9))
def test_part_of_a_body_is_not_taken_for_all_of_it(raw: bytes, named: str) -> None:
    with pytest.raises(MessageUnreadable, match=rf"^the body (is|has) .* \(Content-Encoding: {named}\)"):
        coding.decoded(raw, named, 1_000_000)


def test_no_more_is_decoded_than_may_come() -> None:
    bomb = gzip.compress(b" " * 50_000_000)
    with pytest.raises(BodyTooLarge, match="once it is decoded"):
        coding.decoded(bomb, "gzip", 1_000)
    assert len(coding.decoded(PACKED, "gzip", len(TEXT))) == len(TEXT)
    with pytest.raises(BodyTooLarge):
        coding.decoded(PACKED, "gzip", len(TEXT) - 1)


def test_coding_that_is_not_taken_off_is_refused() -> None:
    def of(*fields: tuple[str, str]) -> str | None:
        return coding.of(CIMultiDict(fields))
    assert of(("transfer-encoding", "Chunked"), ("content-encoding", "gzip")) == "gzip"
    assert of() is None
    with pytest.raises(MessageUnreadable, match="transfer coding 'gzip, chunked'"):
        of(("transfer-encoding", "gzip, chunked"))
    with pytest.raises(MediaTypeUnsupported, match="'br'"):
        of(("content-encoding", "br"))
    with pytest.raises(MediaTypeUnsupported, match="'gzip, gzip'"):
        of(("content-encoding", "gzip"), ("content-encoding", "gzip"))
