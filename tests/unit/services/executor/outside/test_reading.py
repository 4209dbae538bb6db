"""What outside systems say, as values."""

import codecs
import gzip
import time
import zlib
from itertools import count
from typing import Any

import pytest

from services.executor.outside.reading import decoded, headers_of, json_of, text_of


def test_header_that_is_no_utf_8_is_latin_1() -> None:
    name = 'attachment; filename="caf\udce9.pdf"'
    assert headers_of([("Content-Disposition", name), ("X-A", "ü")]) == {
        "content-disposition": 'attachment; filename="café.pdf"', "x-a": "ü"}


def test_header_that_comes_twice_is_one_and_cookies_are_a_list() -> None:
    twice = [("Link", "<a>; rel=next"), ("Set-Cookie", "a=1"), ("LINK", "<b>; rel=last")]
    assert headers_of(twice) == {"link": "<a>; rel=next, <b>; rel=last", "set-cookie": "a=1"}
    assert headers_of([*twice, ("set-cookie", "b=2")])["set-cookie"] == ["a=1", "b=2"]


@pytest.mark.parametrize("charset", [
    None, "utf-8", "nonsense", "x\udcff", "a\0b", "undefined", "idna", "punycode", "utf-7", "unicode_escape",
    "raw_unicode_escape", "hex", "rot13"])
def test_what_is_no_charset_is_utf_8(charset: str | None) -> None:
    assert text_of("ü+2AA-\\ud800".encode() + b"\xff", charset) == "ü+2AA-\\ud800\ufffd"
    assert json_of('{"a":"ü"}'.encode(), charset) == {"a": "ü"}
    with pytest.raises(ValueError, match="line 1"):
        json_of(b"{", charset)


def test_no_charset_takes_long() -> None:
    begin = time.process_time()
    assert len(text_of(b"a" * 1_000_000, "punycode")) == 1_000_000
    assert time.process_time() - begin < 1


@pytest.mark.parametrize(("raw", "charset", "value"), [
    (b"", "utf-8", None), (codecs.BOM_UTF8 + '{"a":"é"}'.encode(), "utf-8", {"a": "é"}),
    (codecs.BOM_UTF8 + b"1", None, 1), ('{"a":"é"}'.encode("latin-1"), "iso-8859-1", {"a": "é"}),
    ('{"a":"é"}'.encode(), "iso-8859-1", {"a": "é"}), ('{"a":"é"}'.encode("utf-16"), "utf-16", {"a": "é"})])
def test_json_is_utf_8_or_what_its_charset_says(raw: bytes, charset: str | None, value: Any) -> None:
    assert json_of(raw, charset) == value


def test_what_is_no_json_in_its_charset_either_is_none() -> None:
    for charset in ("utf-8", "iso-8859-1", "shift_jis"):
        with pytest.raises(ValueError, match=r"line 1|decode"):
            json_of(b'{"a":"\xe9"', charset)


WHOLE = b"id;name\n" * 100
GZIP, DEFLATE = gzip.compress(WHOLE), zlib.compress(WHOLE)


@pytest.mark.parametrize(("raw", "coding"), [
    (WHOLE, ""), (WHOLE, "identity"), (WHOLE, "UTF-8"), (GZIP, "gzip"), (GZIP, "X-GZIP"), (DEFLATE, "deflate"),
    (DEFLATE[2:-4], "deflate"), (gzip.compress(DEFLATE), "deflate, gzip"), (GZIP + b"\0\0", "gzip"),
    (gzip.compress(WHOLE[:9]) + gzip.compress(WHOLE[9:]), "gzip")], ids=count())
def test_body_is_read_without_its_coding(raw: bytes, coding: str) -> None:
    assert decoded(raw, coding, len(WHOLE)) == WHOLE
    assert decoded(b"", coding, 0) == b""
    if raw != WHOLE:
        assert decoded(raw, coding, len(WHOLE) - 1) is None


@pytest.mark.parametrize(("raw", "coding", "says"), [
    *((GZIP[:end], "gzip", "is cut off") for end in (1, 12, len(GZIP) - 9, len(GZIP) - 1)),
    (DEFLATE[:-1], "deflate", "is cut off"), (gzip.compress(b"") + GZIP[:-1], "gzip", "is cut off"),
    (WHOLE, "gzip", "not coded as it says"), (GZIP + b"<html>", "gzip", "not coded as it says"),
    (GZIP[:-8] + bytes(8), "gzip", "not coded as it says"), (WHOLE, "br", "was not asked for"),
    (WHOLE, "gzip, gzip, gzip, gzip", "not coded"),
    (gzip.compress(gzip.compress(gzip.compress(GZIP))), "gzip, gzip, gzip, gzip", "was not asked for"),
    (gzip.compress(b"") * 101, "gzip", "members")], ids=count())
def test_part_of_a_body_is_not_taken_for_the_whole(raw: bytes, coding: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        decoded(raw, coding, 100_000)


def test_body_that_is_coded_to_be_large_takes_no_more_than_it_may() -> None:
    bomb = gzip.compress(bytes(100_000_000))
    begin = time.process_time()
    assert decoded(bomb, "gzip", 900_000) is None
    assert decoded(gzip.compress(bomb), "gzip, gzip", 900_000) is None
    with pytest.raises(ValueError, match="members"):
        decoded(gzip.compress(b"") * 45_000, "gzip", 900_000)
    assert time.process_time() - begin < 1
