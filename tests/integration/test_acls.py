"""With the access rules that the list of topics implies the cluster works whole, and nobody does more than it must."""

import asyncio
import dataclasses
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import ClientSession
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import TopicAuthorizationFailedError

from deploy.kafka.acls import MAKER
from deploy.local import cluster
from deploy.local.supervisor import Supervisor
from shared.kafka import connect
from shared.kafka.topics import ensure_topics
from shared.names import headers as H
from shared.names import topics
from shared.names.topics import Topic
from tests.support.guarded_broker import environment_of, guarded_broker, settings_of
from tests.support.platform import Platform, eventually, free_ports, free_run

ORDERS, REPLIES = "orders", "replies.orders"
PROJECT = {
    "weir.yaml": "name: shop\n",
    "access.yaml": "clients: [{ name: web }, { name: orders }]\n",
    "operations.yaml": "operations:\n  - { name: greet, method: GET, path: /greet, workflow: greet }\n",
    "workflows/greet.yaml": "steps:\n  - id: tell\n    publish: { topic: shop.greetings, value: hello }\n"
                            "  - id: answer\n    reply: { body: hello }\n"}


@pytest.fixture(scope="module")
async def guarded(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Platform]:
    """The whole cluster, each service as a principal of its own."""
    folder = tmp_path_factory.mktemp("guarded")
    with guarded_broker(folder / "kafka", [ORDERS], ["shop."]) as bootstrap, pytest.MonkeyPatch.context() as patch:
        redis, ingress, control, stub = free_ports(4)
        # whoever starts the cluster makes the topics
        for name, value in environment_of(bootstrap, MAKER).items():
            patch.setenv(name, value)
        patch.setenv("WEIR_EXECUTOR_PUBLISH_TOPICS", '["shop."]')
        plan = cluster.plan(cluster.LocalSettings(
            state_dir=Path(folder), kafka_bootstrap=bootstrap, redis_port=redis, ingress_port=ingress,
            control_port=control, stub_hr_port=stub, health_port_base=free_run(100, 11_000, 20_000) - 9_100), [], {},
            example=False)
        services = [dataclasses.replace(service, env={
            **service.env, **environment_of(bootstrap, f"weir-{service.name.rpartition('-')[0]}")})
            for service in plan.services]
        ready = asyncio.Event()

        async def when_ready() -> None:
            ready.set()
        guarded_plan = dataclasses.replace(plan, services=services)
        running = asyncio.ensure_future(Supervisor(guarded_plan, lambda _: None, lambda: guarded_plan).run(when_ready))
        await asyncio.wait([running, asyncio.ensure_future(ready.wait())], return_when=asyncio.FIRST_COMPLETED)
        if running.done():
            running.result()
        await ensure_topics(settings_of(bootstrap, MAKER), [
            Topic(name=name, value="", writers=(), readers=(), partitions=1) for name in ("shop.greetings", REPLIES)])
        yield Platform(state_dir=Path(folder), bootstrap=bootstrap, redis_url=plan.redis_url, ingress=plan.ingress_url,
                       control=plan.control_url, stub_hr="", env={"WEIR_STATE_DIR": str(folder),
                                                                  "WEIR_CONTROL_URL": plan.control_url,
                                                                  **environment_of(bootstrap, "weir-operators")})
        running.cancel()
        await asyncio.wait([running])


async def test_cluster_works_whole(guarded: Platform, http: ClientSession) -> None:
    await asyncio.to_thread(guarded.admin, "POST", "/projects/shop/versions", {"files": PROJECT})
    made = await asyncio.to_thread(guarded.admin, "POST", "/projects/shop/clients/web/tokens", {})
    headers = {"Authorization": f"Bearer {made['token']}"}

    async def greeted() -> bool:
        async with http.get(f"{guarded.ingress}/shop/greet", headers=headers) as answer:
            return answer.status == 200 and await answer.json() == "hello"
    await eventually(greeted)

    async def counted() -> bool:
        done = await asyncio.to_thread(guarded.weir, "usage", "shop", "--json")
        return any(row["requests"] for row in json.loads(done.stdout))
    await eventually(counted)


async def test_internal_service_asks_and_is_answered(guarded: Platform) -> None:
    made = await asyncio.to_thread(guarded.admin, "POST", "/projects/shop/clients/orders/tokens", {})
    settings = settings_of(guarded.bootstrap, ORDERS)
    headers = [(H.PROJECT, b"shop"), (H.OPERATION, b"greet"), (H.TOKEN_DIGEST, made["internal_digest"].encode()),
               (H.CORRELATION_ID, b"1"), (H.REPLY_TOPIC, REPLIES.encode())]
    producer = await connect.producer(settings)
    await producer.send_and_wait(topics.REQUESTS_INTERNAL, b"", headers=headers)
    await producer.stop()
    consumer = AIOKafkaConsumer(**connect.access(settings), auto_offset_reset="earliest")
    await consumer.start()
    consumer.assign([TopicPartition(REPLIES, 0)])
    reply = await asyncio.wait_for(consumer.getone(), 20)
    await consumer.stop()
    assert json.loads(reply.value) == "hello"


@pytest.mark.parametrize(("principal", "topic"), [
    (ORDERS, topics.REQUESTS_EDGE), (ORDERS, topics.EXECUTIONS), (ORDERS, topics.CONFIG), (ORDERS, topics.REPLIES),
    (ORDERS, topics.SIGNALS), ("weir-ingress", topics.REQUESTS_INTERNAL), ("weir-ingress", topics.EXECUTIONS),
    ("weir-executor", topics.REQUESTS_EDGE), ("weir-executor", topics.CONFIG), ("weir-policy", topics.CONFIG)])
async def test_nobody_writes_where_it_has_nothing_to_write(guarded: Platform, principal: str, topic: str) -> None:
    producer = await connect.producer(settings_of(guarded.bootstrap, principal))
    with pytest.raises(TopicAuthorizationFailedError):
        await asyncio.wait_for(producer.send_and_wait(topic, b"x"), 20)
    await producer.stop()
