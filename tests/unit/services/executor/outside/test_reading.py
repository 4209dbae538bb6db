"""What outside systems say, as values."""

import codecs
import time
from typing import Any

import pytest

from services.executor.outside.reading import headers_of, json_of, text_of


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
    begin = time.perf_counter()
    assert len(text_of(b"a" * 1_000_000, "punycode")) == 1_000_000
    assert time.perf_counter() - begin < 1


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
