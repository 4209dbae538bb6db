"""A broker or a store that hangs takes connections, and is not well for that."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from deploy.local import asking, doctor
from deploy.local.state import ClusterState, ProcessState, myself
from shared.settings.kafka import KafkaSettings


@asynccontextmanager
async def listening(*, says: bytes) -> AsyncIterator[int]:
    """A server that says this to whatever it is asked; its port."""
    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(100):
            writer.write(says)
        writer.close()
    async with await asyncio.start_server(listen, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]
        # they hear that whoever asked has gone
        await asyncio.sleep(0.01)


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "_PATIENCE_S", 0.05)
    monkeypatch.setattr(doctor, "_PATIENCE_S", 0.05)


@pytest.mark.parametrize("name", ["kafka", "valkey"])
async def test_server_that_takes_connections_and_says_nothing_hangs(name: str) -> None:
    async with listening(says=b"+PONG\r\n") as port:
        assert await asking.why_silent(name, port) is None
    async with listening(says=b"") as port:
        assert "it hangs" in str(await asking.why_silent(name, port))
    assert await asking.why_silent(name, port) == "its port does not answer"


async def test_running_broker_that_hangs_is_found_by_the_doctor() -> None:
    async with listening(says=b"") as port:
        known = ClusterState(supervisor=myself("supervisor"), processes=[
            ProcessState(name="kafka", port=port, log="kafka.log"), ProcessState(name="ingress-0", ready_url="http://x")])
        found = await doctor.foundation(known)
        outside = await doctor.broker_outside(KafkaSettings(bootstrap=f"127.0.0.1:{port}"))
    assert [(one.check, one.ok) for one in found] == [("running kafka", False)]
    assert "kafka.log" in found[0].finding
    assert not outside.ok
    assert "WEIR_KAFKA_BOOTSTRAP" in outside.finding
