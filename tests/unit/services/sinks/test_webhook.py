"""Signatures and pauses of the webhook sink, and receivers that answer in odd ways; a whole one stands in tests/e2e."""

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.sinks.settings import SinkSettings
from services.sinks.webhook import Webhook, WebhookGone, keys_of, pause_s
from shared.clock import SystemClock

KEY = b"k" * 32
SECRET = f"whsec_{base64.b64encode(KEY).decode()}"


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_***", base64.b64encode(KEY).decode(), "whsec_c2hvcnQ="])
def test_secret_that_is_none_is_refused_and_not_repeated(secret: str) -> None:
    with pytest.raises(ValueError, match="WEIR_SINK_SECRET") as raised:
        keys_of(secret)
    assert secret in ("", "whsec_") or secret not in str(raised.value)


def test_address_has_to_be_one_of_http() -> None:
    with pytest.raises(ValueError, match="WEIR_SINK_URL"):
        Webhook(SinkSettings(url="ftp://x", secret=SECRET), SystemClock())


@given(st.integers(1, 10_000), st.floats(0, 1))
def test_pauses_grow_and_stay_within_the_longest(tried: int, chance: float) -> None:
    wait = pause_s(tried, None, 60, chance)
    assert 0.3 < wait <= 60
    assert pause_s(tried + 2, None, 60, 0) >= wait
    assert pause_s(tried, "7", 60, chance) == 7
    assert pause_s(tried, "100000", 60, chance) == 60
    assert pause_s(tried, "²", 60, chance) == wait


def test_webhook_that_asks_for_no_pause_is_not_asked_again_at_once() -> None:
    assert pause_s(1, "0", 60, 0) == 0.5


@asynccontextmanager
async def answering(answer: bytes) -> AsyncIterator[str]:
    """The address of a receiver that says this to each request, and keeps the connection."""
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"[]")
        writer.write(answer)
        await writer.drain()
        await over.wait()
        writer.close()

    over = asyncio.Event()
    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    over.set()
    server.close()
    await server.wait_closed()


async def delivered(url: str, within_s: float) -> Webhook:
    webhook = Webhook(SinkSettings(url=url, secret=SECRET, timeout_s=5), SystemClock())
    await webhook.start()
    try:
        async with asyncio.timeout(within_s):
            await webhook.deliver("m", b"[]")
    except TimeoutError:
        assert webhook.trouble
    finally:
        await webhook.stop()
    return webhook


@pytest.mark.parametrize("rest", [b"", b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n"])
async def test_batch_is_taken_by_its_status_even_if_a_body_never_comes(rest: bytes) -> None:
    async with answering(b"HTTP/1.1 200 OK\r\n" + rest + b"\r\n") as url:
        assert (await delivered(url, 2)).trouble is None


async def test_webhook_that_is_gone_is_gone_even_if_a_body_never_comes() -> None:
    async with answering(b"HTTP/1.1 410 Gone\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc") as url:
        with pytest.raises(WebhookGone):
            await delivered(url, 2)


async def test_what_may_be_secret_in_an_address_is_not_told() -> None:
    async with answering(b"HTTP/1.1 500 x\r\nTransfer-Encoding: chunked\r\n\r\nno number\r\n") as url:
        webhook = await delivered(f"{url.replace('//', '//me:sesame@')}/usage?key=sesame", 1)
    assert webhook.trouble is not None
    assert "/usage" in webhook.trouble
    assert "sesame" not in webhook.trouble
