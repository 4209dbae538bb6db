"""The whole cluster on one machine, from wheels and jars alone.

In:    a state folder, ports, how many of each service.
Out:   broker, store and services as processes under one supervisor.
Never: Java, Maven, Docker or Redis installed beforehand.
"""
