"""Calls that carry proofs of who calls, and those who make such proofs."""

import base64
from typing import Any

from shared.decision.amounts import Amounts
from shared.decision.book import PolicyBook
from shared.decision.case import Case
from shared.decision.decide import Decision, decide
from shared.decision.vault import Vault
from tests.support.calls import NOW, SEAL, book, case
from tests.support.issuer import Issuer

ISSUER, OTHER = Issuer(), Issuer("https://other.example")
URL = "https://id.example/jwks.json"
SECRET, NEXT = (f"whsec_{base64.b64encode(text * 3).decode()}" for text in (b"old secret", b"new secret"))
SCHEME = {"issuer": ISSUER.name, "audience": "weir", "jwks": URL, "roles": "/realm/roles"}
AUTHENTICATION = {"jwt": [SCHEME], "signature": [{"client": "till", "secret": "TILL"}],
                  "certificate": {"CN=depot,O=Acme": "depot"}}
S = NOW // 1000


def known(authentication: dict[str, Any] | None = None, policies: Any = (), **vault: Any) -> PolicyBook:
    """A book whose project takes these kinds of proof; `vault`: what it holds beside the usual."""
    return book(list(policies), Vault(**{"seal": SEAL, "secrets": {"TILL": f"{NEXT} {SECRET}"},
                                         "key_sets": {URL: ISSUER.key_set}, **vault}),
                authentication=authentication or AUTHENTICATION)


def by(sealed: dict[str, str] | None, book_: PolicyBook | None = None, **call: Any) -> tuple[Decision, Case]:
    """What is decided about a call with these credentials, and the call."""
    looked = case(book_ or known(), token=call.pop("token", None), sealed=sealed, **call)
    return decide(looked, Amounts()), looked
