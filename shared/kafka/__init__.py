"""Kafka, behind one door: batches out, polls in, exact commits, one place for foreign errors.

In:    settings, records from `contracts`.
Out:   outbox, intake, config follower, usage envelopes, dead letters, spans.
Never: aiokafka outside this folder and `shared/client`; a bare commit.
"""
