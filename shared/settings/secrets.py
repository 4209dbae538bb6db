"""What only services know.

In:    `WEIR_CLUSTER_KEY`, or the file that `WEIR_CLUSTER_KEY_FILE` names.
Out:   `ClusterKey`.
Never: a value shown.
"""

from pathlib import Path

from pydantic import SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from shared.contracts.sealed import Seal
from shared.settings.wrong import WrongSetting


class ClusterKey(BaseSettings):
    """Environment: WEIR_<FIELD>. 32 random bytes as base64url; ingress, policy, executor and control share it.

    Several by commas: the first one seals, all open. So a new one is put behind the old one, everywhere, then before
    it, everywhere, and the old one is taken away when nothing is sealed under it any more.
    """

    model_config = SettingsConfigDict(env_prefix="WEIR_", frozen=True, extra="ignore")

    cluster_key: SecretStr | None = None
    """32 random bytes as base64url, which ingress, policy, executor and control share; several by commas while one
    replaces another. Without it no JWT, no signed message and no credential is taken: nothing else may carry them over
    a topic."""
    cluster_key_file: Path | None = None
    """A file with the same, for who shows no secret in an environment."""

    def seal(self) -> Seal | None:
        """What the key closes and opens with. Raises WrongSetting for a key of another form, or without the file."""
        key = "" if self.cluster_key is None else self.cluster_key.get_secret_value()
        try:
            if not key and self.cluster_key_file is not None:
                key = self.cluster_key_file.read_text().strip()
            return Seal(key) if key else None
        except OSError as exc:
            raise WrongSetting(f"WEIR_CLUSTER_KEY_FILE: {self.cluster_key_file} cannot be read "
                               f"({exc.strerror})") from None
        except ValueError as exc:
            raise WrongSetting(str(exc)) from None
