"""The cluster's key comes from the environment, or from a file that the environment names."""

import base64
import os
from pathlib import Path

import pytest

from shared.contracts.sealed import Seal
from shared.settings.secrets import ClusterKey
from shared.settings.wrong import WrongSetting

SECRETS = {"jwt": "a.b.c"}


def key() -> str:
    return base64.urlsafe_b64encode(os.urandom(32)).decode()


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.delenv("WEIR_CLUSTER_KEY", raising=False)
    monkeypatch.delenv("WEIR_CLUSTER_KEY_FILE", raising=False)
    return monkeypatch


def opens(text: str) -> bool:
    seal = ClusterKey().seal()
    assert seal is not None
    return seal.open(text, "r") == SECRETS


def test_without_a_key_nothing_is_sealed(environment: pytest.MonkeyPatch) -> None:
    assert ClusterKey().seal() is None


def test_key_stands_in_a_file_with_the_one_that_it_replaces(environment: pytest.MonkeyPatch, tmp_path: Path) -> None:
    old, new, file = key(), key(), tmp_path / "key"
    file.write_text(f"{new},{old}\n")
    environment.setenv("WEIR_CLUSTER_KEY_FILE", str(file))
    assert opens(Seal(old).close(SECRETS, "r"))
    sealed = ClusterKey().seal()
    assert sealed is not None
    assert Seal(new).open(sealed.close(SECRETS, "r"), "r") == SECRETS


def test_what_the_environment_says_itself_goes_before_the_file(environment: pytest.MonkeyPatch, tmp_path: Path) -> None:
    own, file = key(), tmp_path / "key"
    file.write_text(key())
    environment.setenv("WEIR_CLUSTER_KEY_FILE", str(file))
    environment.setenv("WEIR_CLUSTER_KEY", own)
    assert opens(Seal(own).close(SECRETS, "r"))


def test_file_that_is_not_there_is_no_key_that_is_not_wanted(environment: pytest.MonkeyPatch, tmp_path: Path) -> None:
    environment.setenv("WEIR_CLUSTER_KEY_FILE", str(tmp_path / "none"))
    with pytest.raises(WrongSetting, match="WEIR_CLUSTER_KEY_FILE"):
        ClusterKey().seal()
