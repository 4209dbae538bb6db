"""Kafka for more than one machine: who may do what on which topic.

In:    `shared/names/topics.py`.
Out:   rules for the broker.
Never: a rule that the list of topics does not imply.
"""
