"""Usage, traces, configuration: what the cluster knows of itself."""

import asyncio
import json
import time
import uuid
from pathlib import Path

import pytest
from aiohttp import ClientSession
from aiokafka import AIOKafkaConsumer, TopicPartition
from openapi_spec_validator import validate

from shared.client.client import WeirClient
from shared.kafka.topics import ensure_topics
from shared.names import topics
from shared.names.topics import Topic
from shared.settings.kafka import KafkaSettings
from tests.support.platform import PROJECT, ROOT, Platform, eventually

EXAMPLE = ROOT / "examples" / PROJECT


def files() -> dict[str, str]:
    return {path.relative_to(EXAMPLE).as_posix(): path.read_text() for path in EXAMPLE.rglob("*.yaml")}


def renamed(project: str) -> dict[str, str]:
    found = files()
    return {**found, "weir.yaml": found["weir.yaml"].replace(f"name: {PROJECT}", f"name: {project}")}


@pytest.fixture
def project(platform: Platform, name: str) -> str:
    """A project of the test's own, as the example has it."""
    platform.admin("POST", f"/projects/{name}/versions", {"files": renamed(name)})
    return name


def new_token(platform: Platform, project: str) -> dict[str, str]:
    made: dict[str, str] = platform.admin("POST", f"/projects/{project}/clients/intranet/tokens", {})
    return made


async def status_of(http: ClientSession, url: str, token: str | None = None, **headers: str) -> int:
    sent = {**headers, **({"Authorization": f"Bearer {token}"} if token else {})}
    async with http.get(url, headers=sent) as answer:
        return answer.status


async def test_every_ended_request_is_counted_once_with_its_tasks(
        platform: Platform, http: ClientSession, project: str) -> None:
    token = new_token(platform, project)["token"]
    base = f"{platform.ingress}/{project}"
    await eventually(lambda: is_status(http, f"{base}/info", None, 200))
    seen = {row["operation"]: row["requests"] for row in usage(platform, project, "operation")}
    for _ in range(5):
        assert await status_of(http, f"{base}/employees/e-100", token) == 200
    assert await status_of(http, f"{base}/employees/nobody", token) == 400
    assert await status_of(http, f"{base}/employees/e-100") == 401
    assert await status_of(http, f"{base}/reports/retired", token) == 503

    def counted() -> bool:
        rows = {(row["operation"], row["client"], row["status"]): (row["requests"], row["tasks"])
                for row in usage(platform, project, "operation,client,status")}
        return (rows.get(("get-employee", "intranet", 200)) == (5, 20)
                and rows.get(("get-employee", "intranet", 400)) == (1, 0)
                and rows.get(("get-employee", "", 401)) == (1, 0)
                and rows.get(("retired-report", "", 503)) == (1, 0))

    await eventually(counted, within_s=5)
    assert "get-employee" not in seen
    listed = platform.weir("usage", project, "--by", "operation").stdout
    assert "get-employee" in listed


async def is_status(http: ClientSession, url: str, token: str | None, wanted: int) -> bool:
    return await status_of(http, url, token) == wanted


def usage(platform: Platform, project: str, by: str) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = platform.admin("GET", f"/projects/{project}/usage?by={by}")["rows"]
    return rows


async def test_one_sampled_call_is_one_trace_over_all_hops(platform: Platform, http: ClientSession) -> None:
    trace_id = uuid.uuid4().hex
    async with http.get(f"{platform.ingress}/{PROJECT}/employees/e-100", headers={
            "Authorization": f"Bearer {platform.demo_token}", "traceparent": f"00-{trace_id}-00f067aa0ba902b7-01",
    }) as answer:
        request_id = answer.headers["X-Request-Id"]
    printed = await eventually(lambda: whole_trace(platform, request_id, "weir-ingress"))
    assert trace_id in printed
    async with http.get(f"{platform.stub_hr}/seen") as answer:
        assert any(trace_id in call["traceparent"] for call in await answer.json())


async def test_internal_call_is_traced_the_same_way(platform: Platform, kafka: KafkaSettings, name: str) -> None:
    topic = f"replies.{name}"
    await ensure_topics(platform.kafka, [Topic(name=topic, value="", writers=(), readers=(), partitions=1)])
    trace_id = uuid.uuid4().hex
    async with WeirClient(kafka, reply_topic=topic, token_digest=platform.demo_digest) as weir:
        reply = await weir.call(PROJECT, "get-employee", params={"id": "e-100"},
                                traceparent=f"00-{trace_id}-00f067aa0ba902b7-01")
    printed = await eventually(lambda: whole_trace(platform, reply.request_id, "weir-policy"))
    assert trace_id in printed


def whole_trace(platform: Platform, request_id: str, first: str) -> str | None:
    done = platform.weir("trace", request_id, check=False)
    wanted = (first, "process weir.executions", "policy decide", "step lookup", "GET")
    return done.stdout if done.returncode == 0 and all(word in done.stdout for word in wanted) else None


async def test_unsampled_call_leaves_no_span(platform: Platform, http: ClientSession) -> None:
    async with http.get(f"{platform.ingress}/{PROJECT}/info", headers={
            "traceparent": f"00-{uuid.uuid4().hex}-00f067aa0ba902b7-00"}) as answer:
        request_id = answer.headers["X-Request-Id"]
    await asyncio.sleep(0.6)
    assert platform.weir("trace", request_id, check=False).returncode == 1


async def test_applied_version_is_in_force_everywhere_within_a_second(
        platform: Platform, http: ClientSession, name: str) -> None:
    token = None
    for version in range(1, 6):
        changed = renamed(name)
        path = f"/info-{version}"
        changed["operations.yaml"] = changed["operations.yaml"].replace("path: /info", f"path: {path}")
        platform.admin("POST", f"/projects/{name}/versions", {"files": changed, "expected_version": version - 1})
        begin = time.monotonic()
        await eventually(lambda path=path: is_status(http, f"{platform.ingress}/{name}{path}", token, 200),
                         within_s=1, every_s=0.02)
        assert time.monotonic() - begin < 1


async def test_revoked_token_is_refused_within_a_second(platform: Platform, http: ClientSession, project: str) -> None:
    made = new_token(platform, project)
    url = f"{platform.ingress}/{project}/employees/e-100"
    await eventually(lambda: is_status(http, url, made["token"], 200), within_s=2)
    platform.weir("token", "revoke", made["id"])
    await eventually(lambda: is_status(http, url, made["token"], 401), within_s=1, every_s=0.02)


async def test_token_of_one_project_opens_no_other(platform: Platform, http: ClientSession, project: str) -> None:
    await eventually(lambda: is_status(http, f"{platform.ingress}/{project}/info", None, 200))
    url = f"{platform.ingress}/{project}/employees/e-100"
    assert await status_of(http, url, platform.demo_token) == 401


def test_versions_are_applied_whole_checked_and_rolled_back(
        platform: Platform, project: str, tmp_path: Path) -> None:
    folder = tmp_path / "p"
    platform.weir("export", project, str(folder))
    assert platform.weir("diff", str(folder)).stdout.strip() == "no difference"
    header = folder / "weir.yaml"
    header.write_text(header.read_text().replace("Employee directory", "Directory"))
    assert "+title: Directory" in platform.weir("diff", str(folder)).stdout
    assert "version 2 is in force" in platform.weir("apply", str(folder)).stdout
    stale = platform.weir("apply", str(folder), "--expected-version", "1", check=False)
    assert stale.returncode == 1
    assert "version 2 is in force, not 1" in stale.stderr
    assert "nothing has changed" in platform.weir("apply", str(folder)).stdout
    header.write_text("name: [")
    broken = platform.weir("apply", str(folder), check=False)
    assert broken.returncode == 1
    assert "weir.yaml:1:" in broken.stderr
    assert "version 3 is in force" in platform.weir("rollback", project, "1").stdout
    listed = json.loads(platform.weir("versions", project, "--json").stdout)
    assert [row["version"] for row in listed] == [1, 2, 3]


async def test_project_that_is_removed_answers_nobody_within_a_second_and_comes_back(
        platform: Platform, http: ClientSession, project: str) -> None:
    url = f"{platform.ingress}/{project}/info"
    await eventually(lambda: is_status(http, url, None, 200))
    assert "rollback" in platform.weir("remove", project).stdout
    await eventually(lambda: is_status(http, url, None, 404), within_s=1, every_s=0.02)
    assert project not in platform.weir("projects").stdout
    again = platform.weir("remove", project, check=False)
    assert (again.returncode, "was removed, by its version 2" in again.stderr) == (1, True)
    for command in (("openapi", project), ("access", "matrix", "--project", project)):
        assert platform.weir(*command, check=False).returncode == 1
    assert platform.weir("token", "list", project).returncode == 0
    platform.weir("rollback", project, "1")
    await eventually(lambda: is_status(http, url, None, 200), within_s=1, every_s=0.02)


async def test_admin_api_needs_its_token_and_describes_itself(platform: Platform, http: ClientSession) -> None:
    async with http.get(f"{platform.control}/v1/projects") as answer:
        assert answer.status == 401
    async with http.get(f"{platform.control}/v1/projects", headers={"Authorization": "Bearer x"}) as answer:
        assert answer.status == 401
    async with http.get(f"{platform.control}/openapi.json") as answer:
        validate(await answer.json())


def test_documents_are_printed_by_the_command_line(platform: Platform) -> None:
    validate(json.loads(platform.weir("openapi", PROJECT).stdout))
    document = json.loads(platform.weir("asyncapi").stdout)
    assert document["asyncapi"] == "3.0.0"
    assert "weir.yaml" in json.loads(platform.weir("schema").stdout)["$defs"]


async def test_no_secret_is_in_any_topic_or_log(platform: Platform, http: ClientSession, project: str) -> None:
    made = new_token(platform, project)
    cookie, key = f"session-{uuid.uuid4().hex}", f"key-{uuid.uuid4().hex}"
    url = f"{platform.ingress}/{project}/employees/e-100"
    await eventually(lambda: is_status(http, url, made["token"], 200), within_s=2)
    trace = f"00-{uuid.uuid4().hex}-00f067aa0ba902b7-01"
    assert await status_of(http, url, made["token"], Cookie=cookie, **{"X-Api-Key": key, "traceparent": trace}) == 200
    await asyncio.sleep(0.5)
    secrets = [made["token"].encode(), cookie.encode(), key.encode()]
    for place, text in [*await everything(platform), *logs(platform)]:
        for secret in secrets:
            assert secret not in text, place
        if place != topics.REQUESTS_INTERNAL:
            assert made["internal_digest"].encode() not in text, place


async def everything(platform: Platform) -> list[tuple[str, bytes]]:
    """All records of all topics, headers and values."""
    consumer = AIOKafkaConsumer(bootstrap_servers=platform.bootstrap, auto_offset_reset="earliest")
    await consumer.start()
    partitions = [TopicPartition(topic.name, number) for topic in topics.TOPICS for number in range(topic.partitions)]
    consumer.assign(partitions)
    ends = await consumer.end_offsets(partitions)
    found = []
    while [one for one in partitions if await consumer.position(one) < ends[one]]:
        for records in (await consumer.getmany(timeout_ms=200)).values():
            found += [(record.topic, b"|".join([
                record.key or b"", record.value or b"",
                *(key.encode() + b"=" + (value or b"") for key, value in record.headers)])) for record in records]
    await consumer.stop()
    return found


def logs(platform: Platform) -> list[tuple[str, bytes]]:
    return [(path.name, path.read_bytes()) for path in (platform.state_dir / "logs").glob("*.log")]
