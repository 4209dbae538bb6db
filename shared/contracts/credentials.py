"""What credentials for outside systems are made of.

In:    nothing.
Out:   the members of each kind, and where a sealed one belongs.
Never: a value.
"""

# kind -> (members that it must have, members that it may have), beside its secret
MEMBERS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "bearer": ((), ()), "basic": (("username",), ()), "api_key": ((), ("header", "query")),
    "oauth2": (("token_url", "client_id"), ("scope",)), "hmac": ((), ("header",))}
# the member that is the secret
SECRET_OF = {"bearer": "token", "basic": "password", "api_key": "value", "oauth2": "client_secret", "hmac": "secret"}


def place_of(project: str, name: str) -> str:
    """What a sealed credential is bound to: it opens nowhere else."""
    return f"credential:{project}/{name}"
