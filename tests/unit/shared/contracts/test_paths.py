"""What is kept of a path that led nowhere."""

import base64
import secrets

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.contracts.paths import path_class


@pytest.mark.parametrize(("path", "kept"), [
    ("/wp-login.php", "/wp-login.php"), ("/.git/config", "/.git/config"), ("/", "/"), ("", "/"),
    ("/actuator/health?token=abc", "/actuator/health"), ("/a/b/c/d/e", "/a/b/c/...")])
def test_plain_words_stand_as_they_are(path: str, kept: str) -> None:
    assert path_class(path) == kept


@pytest.mark.parametrize("path", ["/reset/8f3a91", "/employees/e-100", "/people/rosa@example.com", "/Rosa", "/%2e%2e"])
def test_what_could_be_somebodys_is_veiled(path: str) -> None:
    last = path_class(path).rpartition("/")[2]
    assert (last[0], len(last)) == ("*", 3)


@given(st.binary(min_size=16, max_size=32))
def test_no_secret_of_a_usual_length_passes(data: bytes) -> None:
    for secret in (data.hex(), base64.urlsafe_b64encode(data).rstrip(b"=").decode()):
        assert secret not in path_class(f"/x/{secret}/y")


@given(st.text(max_size=400))
def test_class_is_short_whatever_the_path_is(path: str) -> None:
    assert len(path_class(path)) < 270


def test_another_unknown_name_is_another_class_most_of_the_time() -> None:
    assert len({path_class(f"/{secrets.token_hex(4)}") for _ in range(200)}) > 100
