"""The access rules of the topics, from the list that says who writes and who reads each: least privilege.

In:    the services, each a Kafka principal of its own (`weir-policy`, ...); internal services by their principals.
Out:   grants; as a program, the `kafka-acls.sh` commands that make them:
       `python -m deploy.kafka.acls --internal orders --internal billing | sh`.
Never: a client: every distribution of Kafka has that script, operators have their own ways.

What it protects: facts that only the edge can know are believed on `weir.requests.edge`, so nobody but the ingress (and
control, which sends dead letters again) may write there; `weir.executions` is past policy, so an internal service that
could write there would need no permission for anything.
"""

import argparse
import shlex
import sys
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from shared.names.topics import QUERIES, REPLIES, REQUESTS_INTERNAL, TOPICS

SERVICES = ("ingress", "policy", "executor", "analytics", "control", "sinks", "collector", "operators")
# who makes topics; `python -m shared.kafka.topics` runs as this one
MAKER = "weir-topics"
# where groups of a service have other names than it has
_GROUPS = {"sinks": "weir-sink-"}
# answers to internal services go to topics of their own
_REPLIES = "replies."


class Grant(NamedTuple):
    """`kind`: topic, group or cluster. A prefixed name stands for all names that begin with it."""

    principal: str
    operation: str
    kind: str
    name: str
    prefixed: bool = False

    def command(self, bootstrap: str, config: str = "") -> str:
        """For Kafka's own script; `config`: its file with how to log in."""
        login = ["--command-config", config] if config else []
        pattern = ["--resource-pattern-type", "prefixed"] if self.prefixed else []
        resource = ["--cluster"] if self.kind == "cluster" else [f"--{self.kind}", self.name]
        return shlex.join(["kafka-acls.sh", "--bootstrap-server", bootstrap, *login, "--add", "--allow-principal",
                           f"User:{self.principal}", "--operation", self.operation, *resource, *pattern])


def grants(internal: Sequence[str] = (), publish: Sequence[str] = ()) -> list[Grant]:
    """All. `internal`: principals of internal services; `publish`: prefixes of topics that workflows write to."""
    found = [*_of_services(), *(Grant("weir-executor", "Write", "topic", prefix, True) for prefix in publish)]
    for principal in internal:
        found += [Grant(principal, "Write", "topic", REQUESTS_INTERNAL), Grant(principal, "Write", "topic", QUERIES),
                  Grant(principal, "Read", "topic", f"{_REPLIES}{principal}", True),
                  Grant(principal, "Read", "group", principal, True)]
    found += [Grant(MAKER, operation, "cluster", "kafka-cluster") for operation in ("Create", "Describe")]
    found += [Grant(MAKER, operation, "topic", topic.name) for topic in TOPICS
              for operation in ("Create", "Describe", "Alter")]
    return found


def _of_services() -> Iterator[Grant]:
    for topic in TOPICS:
        for service in SERVICES:
            if service in topic.writers:
                yield Grant(f"weir-{service}", "Write", "topic", topic.name)
                if topic.name == REPLIES:
                    yield Grant(f"weir-{service}", "Write", "topic", _REPLIES, True)
            if service in topic.readers:
                yield Grant(f"weir-{service}", "Read", "topic", topic.name)
    for service in SERVICES:
        yield Grant(f"weir-{service}", "Read", "group", _GROUPS.get(service, f"weir-{service}"), True)


def main() -> None:
    """Print the commands."""
    parser = argparse.ArgumentParser(prog="python -m deploy.kafka.acls", description="Print the commands that let each "
                                     "of Weir's services, and internal ones, do what they have to and nothing else.")
    parser.add_argument("--bootstrap", default="127.0.0.1:9092")
    parser.add_argument("--command-config", default="", help="file with how the commands log in")
    parser.add_argument("--internal", action="append", default=[], help="principal of an internal service; repeatable")
    parser.add_argument("--publish", action="append", default=[], help="prefix of topics that workflows publish to")
    options = parser.parse_args()
    for grant in grants(options.internal, options.publish):
        sys.stdout.write(grant.command(options.bootstrap, options.command_config) + "\n")


if __name__ == "__main__":
    main()
