"""What a project's owner configures: the model, its loader, its checks. Pure.

In:    texts of YAML files, or the canonical JSON document.
Out:   a `Project`, or problems with their places; compiled expressions, routes, schemas.
Never: files, a clock, asyncio, a client library.
"""
