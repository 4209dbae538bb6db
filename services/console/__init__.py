"""Console: how people use the cluster.

In:    commands; later a browser.
Out:   calls to the admin API and to the API itself.
Never: Kafka topics behind control's back.
"""
