"""The load of an internal service: no HTTP, calls published to the request topic, so many of them in flight at once.

Run as a process of its own, as `load.py` is: `python -m tests.bench.publisher BOOTSTRAP REPLIES DIGEST PROJECT
OPERATION IN_FLIGHT SECONDS`. The client is Weir's own (`shared/client`), so its CPU counts as a process of the row.
"""

import argparse
import asyncio
import json
import time
from typing import Any

import uvloop

from shared.client.client import WeirClient
from shared.settings.kafka import KafkaSettings
from tests.bench.gauges import threads_switches
from tests.bench.load import until
from tests.bench.projects import BODY
from tests.bench.tally import Tally


async def drive(options: argparse.Namespace) -> dict[str, Any]:
    """Each answer is followed by the next call at once."""
    body, tally = json.loads(BODY), Tally(0.0, 0.0)
    since: dict[int, float] = {}
    async with WeirClient(KafkaSettings(bootstrap=options.bootstrap), reply_topic=options.replies,
                          token_digest=options.digest) as weir:
        async def call_again(number: int) -> None:
            while (now := time.perf_counter()) < tally.end:
                since[number] = now
                reply = await weir.call(options.project, options.operation, body=body)
                tally.note(reply.status, since.pop(number))
        tally.begin = time.perf_counter() + options.warm
        tally.end = tally.begin + options.seconds
        callers = [asyncio.ensure_future(call_again(number)) for number in range(options.in_flight)]
        await until(tally.begin, "begin" if options.marks else "")
        cpu_s, switches = time.process_time(), threads_switches()
        await until(tally.end, "end" if options.marks else "")
        cpu_s, switches = time.process_time() - cpu_s, threads_switches() - switches
        await asyncio.gather(*callers)
        return {**tally.summary(since.values(), time.perf_counter()), "lost": 0, "client_cpu_s": cpu_s,
                "client_switches": switches}


def main() -> None:
    """One load."""
    arguments = argparse.ArgumentParser(prog="python -m tests.bench.publisher", description=__doc__)
    arguments.add_argument("--warm", type=float, default=0.0)
    arguments.add_argument("--marks", action="store_true")
    for name in ("bootstrap", "replies", "digest", "project", "operation"):
        arguments.add_argument(name)
    arguments.add_argument("in_flight", type=int)
    arguments.add_argument("seconds", type=float)
    print(json.dumps(uvloop.run(drive(arguments.parse_args()))), flush=True)


if __name__ == "__main__":
    main()
