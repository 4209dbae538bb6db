"""The floor: an aiohttp echo, and a bare echo over three Kafka hops, with the same batching and nothing else.

Roles, each a process: `echo PORT`, `slow PORT MS`, `edge PORT`, `hop`, `worker`. Each prints a line once it is ready.
"""

import asyncio
import sys
from collections.abc import Awaitable, Callable

import uvloop
from aiohttp import web
from aiokafka import AIOKafkaConsumer, TopicPartition

from shared.kafka import connect
from shared.kafka.outbox import Outbox
from shared.names.topics import Topic
from shared.settings.kafka import KafkaSettings

REQUESTS, WORK, REPLIES = "bench.requests", "bench.work", "bench.replies"
TOPICS = [Topic(name=name, value="", writers=(), readers=(), partitions=4 if name != REPLIES else 1,
                configs={"retention.ms": "600000"}) for name in (REQUESTS, WORK, REPLIES)]
ID = "id"


async def serve(handle: Callable[[web.BaseRequest], Awaitable[web.Response]], port: int) -> None:
    """Serve with the low-level server, for ever."""
    runner = web.ServerRunner(web.Server(handle, access_log=None))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port, backlog=1024).start()
    print("ready", flush=True)
    await asyncio.Event().wait()


async def echo(port: int) -> None:
    """HTTP in, HTTP out."""
    async def handle(request: web.BaseRequest) -> web.Response:
        return web.Response(body=await request.read())
    await serve(handle, port)


async def slow(port: int, pause_ms: int) -> None:
    """HTTP in; HTTP out, after a while."""
    async def handle(_: web.BaseRequest) -> web.Response:
        await asyncio.sleep(pause_ms / 1000)
        return web.Response()
    await serve(handle, port)


async def tail(topic: str) -> tuple[AIOKafkaConsumer, Outbox]:
    """A consumer at the end of all partitions of a topic, and an outbox."""
    settings = KafkaSettings()
    outbox = Outbox(settings)
    await outbox.start()
    consumer = await connect.lone_consumer(settings)
    partitions = [TopicPartition(topic, number) for number in await outbox.partitions(topic)]
    consumer.assign(partitions)
    await consumer.seek_to_end(*partitions)
    for partition in partitions:
        await consumer.position(partition)
    return consumer, outbox


async def edge(port: int) -> None:
    """HTTP in, record out; reply record in, HTTP out."""
    consumer, outbox = await tail(REPLIES)
    waiting: dict[bytes, asyncio.Future[bytes]] = {}
    made = 0

    async def handle(request: web.BaseRequest) -> web.Response:
        nonlocal made
        made += 1
        key, body = b"%016x" % made, await request.read()
        answer = waiting[key] = asyncio.get_running_loop().create_future()
        outbox.send(REQUESTS, body, [(ID, key)])
        return web.Response(body=await answer)

    async def read() -> None:
        while True:
            for records in (await consumer.getmany(timeout_ms=1000)).values():
                for record in records:
                    waiting.pop(record.headers[0][1]).set_result(record.value)

    await asyncio.gather(serve(handle, port), read())


async def forward(source: str, target: str) -> None:
    """Records in, the same records out."""
    consumer, outbox = await tail(source)
    print("ready", flush=True)
    while True:
        for records in (await consumer.getmany(timeout_ms=1000)).values():
            for record in records:
                outbox.send(target, record.value, list(record.headers))


if __name__ == "__main__":
    role, *rest = sys.argv[1:]
    roles = {"echo": lambda: echo(int(rest[0])), "slow": lambda: slow(int(rest[0]), int(rest[1])),
             "edge": lambda: edge(int(rest[0])), "hop": lambda: forward(REQUESTS, WORK),
             "worker": lambda: forward(WORK, REPLIES)}
    uvloop.run(roles[role]())
