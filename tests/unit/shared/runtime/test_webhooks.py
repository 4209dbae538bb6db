"""A webhook is posted to where its name was found to lead when that was checked, and nowhere else."""

import asyncio
import base64
import socket

import pytest
from aiohttp.abc import AbstractResolver, ResolveResult

from shared.clock import SystemClock
from shared.runtime import guarded
from shared.runtime.addresses import Addresses
from shared.runtime.webhooks import NotTaken, Webhooks, why
from tests.support.hook import Hook, listening

KEY = b"k" * 32


class Rebinding(AbstractResolver):
    """A name server that says one address the first time, another one from then on."""

    def __init__(self) -> None:
        self.answers = ["127.0.0.1", "127.0.0.2"]
        self.asked = 0

    async def resolve(self, host: str, port: int = 0,
                      family: socket.AddressFamily = socket.AF_INET) -> list[ResolveResult]:
        answer = self.answers[min(self.asked, 1)]
        self.asked += 1
        return [ResolveResult(hostname=host, host=answer, port=port, family=socket.AF_INET, proto=0, flags=0)]

    async def close(self) -> None:
        """Nothing is open."""


async def post(url: str, allowed: str) -> None:
    """One message by a client that has no connection yet."""
    webhooks = Webhooks({"S": "whsec_" + base64.b64encode(KEY).decode()}, Addresses([allowed]), SystemClock())
    await webhooks.start()
    try:
        await webhooks.post(url, "S", "m", b"{}")
    finally:
        await webhooks.stop()


async def test_name_that_leads_elsewhere_once_it_was_checked_is_posted_to_where_it_was_checked(
        monkeypatch: pytest.MonkeyPatch) -> None:
    names = Rebinding()
    monkeypatch.setattr(guarded, "Lookups", lambda: names)
    async with listening(Hook(KEY)) as hook:
        url = hook.url.replace("127.0.0.1", "hook.example")
        await post(url, "127.0.0.1/32")
        assert (len(hook.taken), names.asked) == (1, 1)
        with pytest.raises(NotTaken, match="WEIR_ANALYTICS_ALLOW_NETWORKS"):
            await post(url, "127.0.0.1/32")
        assert (hook.tried, names.asked) == (1, 2)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "2130706433", "127.1",
                                  "0x7f000001", "0177.0.0.1", "169.254.169.254", "0.0.0.0"])
async def test_private_address_is_not_called_however_it_is_written(host: str) -> None:
    async with listening(Hook(KEY)) as hook:
        # what only the system would read as an address is refused by the HTTP client
        with pytest.raises(NotTaken, match=r"a private one|not a canonical IPv4 address"):
            await post(hook.url.replace("127.0.0.1", host), "192.0.2.0/24")
        assert hook.tried == 0


async def test_webhook_at_a_listed_network_is_called() -> None:
    async with listening(Hook(KEY)) as hook:
        await post(hook.url, "127.0.0.1/32")
        assert len(hook.taken) == 1


async def test_many_webhooks_that_never_answer_keep_no_other_one_from_being_told() -> None:
    # the system takes their connections, and nobody else ever does
    silent, asked = socket.create_server(("127.0.0.1", 0), backlog=200), set[asyncio.Task[None]]()
    url = f"http://127.0.0.1:{silent.getsockname()[1]}"
    webhooks = Webhooks({"S": "whsec_" + base64.b64encode(KEY).decode()}, Addresses(["127.0.0.1/32"]), SystemClock())
    await webhooks.start()
    try:
        async with listening(Hook(KEY)) as hook:
            for number in range(120):
                asked.add(asyncio.create_task(webhooks.post(f"{url}/{number}", "S", "m", b"{}")))
            # all of them wait by now
            await asyncio.sleep(0)
            await asyncio.wait_for(webhooks.post(hook.url, "S", "m", b"{}"), 5)
            assert len(hook.taken) == 1
    finally:
        for task in asked:
            task.cancel()
        await asyncio.gather(*asked, return_exceptions=True)
        await webhooks.stop()
        silent.close()


@pytest.mark.parametrize(("url", "text", "told"), [
    ("http://me:sesame@h/a?key=sesame#f", "no http://h/a?key=sesame", "ValueError: no http://h/a"),
    ("http://me:sesame@h/a?key=sesame", "no http://me:sesame@h/a?key=sesame", "ValueError: no http://h/a"),
    ("http://127.0.0.1:99999/?key=sesame", "no http://127.0.0.1:99999/?key=sesame", "ValueError")])
def test_what_may_be_secret_in_an_address_is_not_told(url: str, text: str, told: str) -> None:
    assert why(ValueError(text), url) == told
