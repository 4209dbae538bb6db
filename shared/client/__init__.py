"""Call an operation by publishing a request and waiting for its answer.

In:    settings, a request record.
Out:   the reply record, or one of our errors.
Never: HTTP; the ingress is one user of this, internal services are others.
"""
