"""What was verified once is remembered as long as the key set stands that it was verified with, and no longer."""

import pytest
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, Key, KeySet, OctKey, OKPKey, RSAKey

from shared.decision import jwt_verifier
from shared.decision.jwt_verifier import JwtVerifier
from shared.project.access.authentication import Jwt
from tests.support.calls import NOW
from tests.support.issuer import Issuer

ISSUER, OTHER = Issuer(), Issuer("https://other.example")
SCHEME = Jwt.model_validate({"issuer": ISSUER.name, "audience": "weir", "jwks": "https://id.example/keys"})
# another key under the same id: the signature alone tells them apart
SAME_ID = Issuer(ISSUER.name)


def accepted(verifier: JwtVerifier, token: str, keys: KeySet, scheme: Jwt = SCHEME) -> bool:
    try:
        return verifier.claims(token, scheme, keys)["iss"] == ISSUER.name
    except (JoseError, ValueError, LookupError):
        return False


@pytest.mark.parametrize("after", [OTHER, SAME_ID])
def test_token_of_a_withdrawn_key_is_refused_however_many_key_sets_come(after: Issuer) -> None:
    verifier, token = JwtVerifier(), ISSUER.token(NOW)
    let_in = []
    for _ in range(50):
        assert accepted(verifier, token, ISSUER.key_set)
        # each is made where the one before it lay
        let_in += [accepted(verifier, token, after.key_set) for _ in range(20)]
    assert not any(let_in)


def test_token_is_verified_once_a_key_set(monkeypatch: pytest.MonkeyPatch) -> None:
    verified = []
    decode = jwt_verifier.jwt.decode
    monkeypatch.setattr(jwt_verifier.jwt, "decode", lambda token, *rest, **more: (
        verified.append(token), decode(token, *rest, **more))[1])
    verifier, token, keys = JwtVerifier(), ISSUER.token(NOW), ISSUER.key_set
    assert all(accepted(verifier, token, keys) for _ in range(9))
    assert len(verified) == 1
    fresh = ISSUER.key_set
    assert all(accepted(verifier, token, fresh) for _ in range(9))
    assert len(verified) == 2


def test_what_one_scheme_takes_another_with_fewer_algorithms_does_not() -> None:
    verifier, token, keys = JwtVerifier(), ISSUER.token(NOW, "ES256"), ISSUER.key_set
    narrow = SCHEME.model_copy(update={"algorithms": ("RS256",)})
    assert accepted(verifier, token, keys)
    assert not accepted(verifier, token, keys, narrow)


def test_only_so_many_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jwt_verifier, "_MAX_VERIFIED", 3)
    verifier, keys = JwtVerifier(), ISSUER.key_set
    assert all(accepted(verifier, ISSUER.token(NOW, jti=str(number)), keys) for number in range(10))
    assert len(verifier._verified) <= 3


UNFIT: list[tuple[str, Key]] = [
    ("ES256", ECKey.generate_key("P-384")), ("EdDSA", OKPKey.generate_key("X25519")),
    ("Ed25519", OKPKey.generate_key("Ed448")), ("RS256", RSAKey.generate_key(2048, {"alg": "RS512"})),
    ("RS256", RSAKey.generate_key(2048, {"alg": "RSA-OAEP"})),
    ("RS256", RSAKey.generate_key(2048, {"key_ops": ["encrypt"]})),
    # a secret that somebody publishes
    ("RS256", OctKey.generate_key(256))]


@pytest.mark.parametrize(("algorithm", "unfit"), UNFIT)
def test_key_that_is_for_something_else_hides_no_key_that_fits(algorithm: str, unfit: Key) -> None:
    told = unfit.as_dict(private=isinstance(unfit, OctKey))
    published = [told, *ISSUER.published["keys"]]
    token = ISSUER.token(NOW, algorithm)
    without_kid = ISSUER.token(NOW, algorithm, {"kid": None})
    for keys in (published, published[::-1]):
        for text in (token, without_kid):
            assert accepted(JwtVerifier(), text, KeySet.import_key_set({"keys": keys}))
            assert not accepted(JwtVerifier(), text, KeySet.import_key_set({"keys": [told]}))


@pytest.mark.parametrize(("others", "taken"), [(19, True), (20, False)])
def test_token_that_names_no_key_is_not_tried_with_very_many(others: int, taken: bool) -> None:
    other = OTHER.published["keys"][1]
    published = [*({**other, "kid": str(number)} for number in range(others)), *ISSUER.published["keys"]]
    keys = KeySet.import_key_set({"keys": published})
    assert accepted(JwtVerifier(), ISSUER.token(NOW), keys)
    assert accepted(JwtVerifier(), ISSUER.token(NOW, header={"kid": None}), keys) is taken
    if not taken:
        with pytest.raises(ValueError, match="21 keys"):
            JwtVerifier().claims(ISSUER.token(NOW, header={"kid": None}), SCHEME, keys)
