"""Every workflow of the page runs, and answers what the page says."""

import json
import re
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from ruamel.yaml import YAML

from services.executor.journal import Journals
from shared.errors import WeirError
from shared.kafka.outbox import Outbox
from shared.kafka.topics import ensure_topics
from shared.names.topics import Topic
from shared.project.load import load_project
from shared.project.steps.registry import BUILT_IN
from shared.runtime.tasks import Tasks
from shared.settings.kafka import KafkaSettings
from shared.settings.redis import RedisSettings
from shared.store.redis import Store
from tests.support.platform import ROOT, Platform
from tests.unit.services.executor.test_run import perform

PAGE = (ROOT / "docs/workflows.md").read_text()
RUN = re.compile(r"<!-- run: ([^\n]*) -->\n```yaml\n(.*?)```\n```json\n(.*?)```", re.DOTALL)
CALLED = dict(re.findall(r"<!-- workflow: (\S+) -->\n```yaml\n(.*?)```", PAGE, re.DOTALL))
SNIPPETS = [(json.loads(trigger), text, json.loads(answer)) for trigger, text, answer in RUN.findall(PAGE)]
SHOP = Topic(name="shop.orders", value="", writers=(), readers=(), partitions=3, configs={})
OPERATIONS = "operations:\n  - { name: o, method: POST, path: '/{id}', workflow: w }\n"


@pytest.fixture
async def store(platform: Platform) -> AsyncIterator[Store]:
    made = Store(RedisSettings(url=platform.redis_url), patient=True)
    await made.command("DEL", "weir:storage:p:project:visits-rosa", "weir:journal:p:r")
    yield made
    await made.command("DEL", "weir:journal:p:r")
    await made.stop()


@pytest.fixture
async def outbox(platform: Platform) -> AsyncIterator[Outbox]:
    await ensure_topics(platform.kafka, [SHOP])
    made = Outbox(KafkaSettings(bootstrap=platform.bootstrap))
    await made.start()
    yield made
    await made.stop()


@pytest.fixture
async def outside() -> AsyncIterator[str]:
    async def person(request: web.Request) -> web.Response:
        return web.json_response({"name": f"person {request.match_info['id']}"})

    async def order(_: web.Request) -> web.Response:
        return web.json_response({"number": 1}, status=201)
    application = web.Application()
    application.router.add_get("/people/{id}", person)
    application.router.add_post("/orders", order)
    async with TestServer(application) as server:
        yield str(server.make_url("")).rstrip("/")


def test_page_has_every_kind_of_step_and_every_snippet_is_run() -> None:
    files = len(re.findall(r"```yaml\n(?:operations|credentials):", PAGE))
    assert len(SNIPPETS) + len(CALLED) == PAGE.count("```yaml") - files
    texts = "".join([*(text for _, text, _ in SNIPPETS), *CALLED.values()])
    assert [kind for kind in BUILT_IN if re.search(rf"\b{kind}:", texts) is None] == []


def test_credentials_of_the_page_validate() -> None:
    [declared] = re.findall(r"```yaml\n(credentials:.*?)```", PAGE, re.DOTALL)
    assert load_project({"weir.yaml": "name: p\n", "credentials.yaml": declared}).problems == ()


def test_operations_of_the_page_validate() -> None:
    for text in re.findall(r"```yaml\n(operations:.*?)```", PAGE, re.DOTALL):
        name = str(YAML(typ="safe").load(text)["operations"][0]["workflow"])
        files = {"weir.yaml": "name: p\n", "operations.yaml": text, f"workflows/{name}.yaml": CALLED["silent"]}
        assert load_project(files).problems == ()


@pytest.mark.parametrize(("trigger", "text", "answer"), SNIPPETS, ids=range(len(SNIPPETS)))
async def test_snippet_validates_and_answers_what_the_page_says(
        trigger: Any, text: str, answer: Any, outside: str, store: Store, outbox: Outbox) -> None:
    mode = ", mode: events }" if "emit:" in text else " }"
    files = {"weir.yaml": "name: p\nconfig: { outside: { default: x } }\n",
             "operations.yaml": OPERATIONS.replace(" }", mode),
             "workflows/w.yaml": text, **{f"workflows/{name}.yaml": called for name, called in CALLED.items()}}
    # a workflow that only others call is used by nobody in some snippets; that is no mistake of theirs
    problems = [problem for problem in load_project(files).problems if problem.file == "workflows/w.yaml"]
    assert problems == []
    yaml = YAML(typ="safe")
    workflow: dict[str, Any] = yaml.load(text)
    made, _ = await perform(
        workflow.pop("steps"), workflow=workflow, trigger=trigger, config={"outside": outside}, store=store,
        outbox=outbox, journals=Journals(store, Tasks()),
        others={name: {"name": name, **yaml.load(called)} for name, called in CALLED.items()})
    assert not isinstance(made, WeirError), made
    assert json.loads(made.body) == answer
