"""Load the example once the cluster is ready, and say what to try.

In:    a running local cluster.
Out:   the example in force, a demo token, three commands.
Never: a second token where one is kept.
"""

import asyncio
import os
from pathlib import Path

from deploy.local.cluster import EXAMPLES, ClusterPlan
from services.console.cli import admin
from services.console.cli.projects import read_folder
from shared.kafka.topics import ensure_topics
from shared.names.topics import MINUTE_MS, REQUESTS_INTERNAL, Topic
from shared.settings.kafka import KafkaSettings

_PROJECT, _CLIENT = "employee-directory", "intranet"
EXAMPLE = EXAMPLES / _PROJECT
_REPLIES = Topic(name="replies.demo", value="reply body, raw", writers=("policy", "executor"), readers=("kcat",),
                 partitions=1, configs={"cleanup.policy": "delete", "retention.ms": str(10 * MINUTE_MS)})

# what workflows of the examples publish
_ORDERS = Topic(name="examples.orders", value="order, JSON", writers=("executor",), readers=("kcat",), partitions=1)


async def load_example(plan: ClusterPlan) -> list[str]:
    """Apply the example and make its demo token; returns the commands to try. Raises Failure."""
    os.environ.update(WEIR_STATE_DIR=str(plan.state_dir), WEIR_CONTROL_URL=plan.control_url)
    await ensure_topics(KafkaSettings(bootstrap=plan.bootstrap), [_REPLIES, _ORDERS])
    await asyncio.to_thread(_apply, plan.state_dir)
    state = _relative(plan.state_dir)
    return [
        f'curl -H "Authorization: Bearer $(cat {state}/demo-token)" {plan.ingress_url}/{_PROJECT}/employees/e-100',
        f"echo '{{}}' | kcat -b {plan.bootstrap} -P -t {REQUESTS_INTERNAL} -H weir-project={_PROJECT} "
        "-H weir-method=GET -H weir-path=/employees/e-101 "
        f'-H "weir-token-digest=$(cat {state}/demo-digest)" -H weir-correlation-id=1 '
        f"-H weir-reply-topic={_REPLIES.name} && kcat -b {plan.bootstrap} -C -t {_REPLIES.name} -o -1 -c 1 "
        "-f '%h\\n%s\\n'",
        f".venv/bin/weir usage {_PROJECT}    # also: weir trace <X-Request-Id>, weir status, weir --help",
    ]


def _apply(state_dir: Path) -> None:
    admin.ask("POST", ("projects", _PROJECT, "versions"), {"files": read_folder(EXAMPLE), "note": "the example"})
    token, digest = state_dir / "demo-token", state_dir / "demo-digest"
    if token.exists() and digest.exists():
        return
    made = admin.ask("POST", ("projects", _PROJECT, "clients", _CLIENT, "tokens"), {})
    for path, text in ((token, made["token"]), (digest, made["internal_digest"])):
        path.touch(mode=0o600)
        path.write_text(text)


def _relative(folder: Path) -> Path:
    here = Path.cwd()
    return folder.relative_to(here) if folder.is_relative_to(here) else folder
