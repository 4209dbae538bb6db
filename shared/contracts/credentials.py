"""What credentials for outside systems are made of.

In:    the members of one, its secret among them.
Out:   the members of each kind, and where a sealed one belongs; why a call with these could only fail.
Never: a value told.
"""

import base64
import re
from collections.abc import Mapping

from yarl import URL

from shared.names.headers import TCHAR

# kind -> (members that it must have, members that it may have), beside its secret
MEMBERS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "bearer": ((), ()), "basic": (("username",), ()), "api_key": ((), ("header", "query")),
    "oauth2": (("token_url", "client_id"), ("scope",)), "hmac": ((), ("header",))}
# the member that is the secret
SECRET_OF = {"bearer": "token", "basic": "password", "api_key": "value", "oauth2": "client_secret", "hmac": "secret"}


def place_of(project: str, name: str) -> str:
    """What a sealed credential is bound to: it opens nowhere else."""
    return f"credential:{project}/{name}"


def unusable(members: Mapping[str, str]) -> list[str]:
    """What is wrong with members, whatever the kind is that has them."""
    found = [f"{name} has control characters in it, which no header takes" for name, value in members.items()
             if re.search(r"[\x00-\x1f\x7f]", value)]
    if members.get("token_url") and not _is_url(members["token_url"]):
        found.append("token_url is no URL that can be called: it begins with https:// and names a host")
    if members.get("header") and not re.fullmatch(f"{TCHAR}+", members["header"]):
        found.append("header is no name of a header")
    if members.get("header", "").lower() in ("content-length", "transfer-encoding"):
        found.append("header says where a body ends, which follows from the body and is not sent")
    if members.get("header") and members.get("query"):
        found.append("the key goes into a header or into the query: one of the two")
    if ":" in members.get("username", ""):
        found.append("username has a colon in it, which would be taken for its end (RFC 7617)")
    if members.get("secret", "").startswith("whsec_") and not _is_base64(members["secret"].removeprefix("whsec_")):
        found.append("the secret is no base64 behind `whsec_`")
    return found


def _is_url(text: str) -> bool:
    try:
        url = URL(text)
        return url.scheme in ("http", "https") and bool(url.host)
    except ValueError:
        return False


def _is_base64(text: str) -> bool:
    try:
        return bool(base64.b64decode(text, validate=True))
    except ValueError:
        return False
