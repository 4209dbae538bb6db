"""The parts of the local platform that need no process."""

import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer

from deploy.local import child, cluster, jars, ports
from deploy.local.cluster import LocalSettings, parse_scale
from deploy.local.faults import LocalFault, PortTaken
from deploy.local.secrets import cluster_key
from deploy.local.state import ClusterState, ProcessState, myself
from services.console.cli import local
from services.console.cli.failure import Failure
from services.console.cli.first_steps import EXAMPLE
from services.console.cli.projects import read_folder
from shared.contracts.sealed import Seal


def test_lock_names_every_jar_once_with_its_digest() -> None:
    locked = jars.locked()
    assert any((jar.artifact, jar.version) == ("kafka_2.13", "4.1.0") for jar in locked)
    assert len({jar.file_name for jar in locked}) == len(locked)


@pytest.mark.parametrize("line", ["a:b 00", "a:b:c 123", "nonsense"])
def test_broken_lock_names_its_line(line: str) -> None:
    with pytest.raises(ValueError, match="line 2"):
        jars.parse_lock(f"# comment\n{line}\n")


def test_scale_is_read_and_nonsense_is_refused() -> None:
    assert parse_scale("policy=2, executor=3") == {"policy": 2, "executor": 3}
    assert parse_scale("") == {}
    assert parse_scale("analytics=0") == {"analytics": 0}
    for wrong in ("policy", "policy=0", "polcy=2", "policy=x", "control=2", "policy=999"):
        with pytest.raises(LocalFault, match="--scale"):
            parse_scale(wrong)


def test_first_restart_is_at_once_and_later_ones_wait_longer() -> None:
    waits = [child.backoff_s(failures) for failures in range(1, 12)]
    assert waits[0] == 0
    assert waits == sorted(waits)
    assert waits[-1] <= 10


@pytest.mark.parametrize(("text", "words"), [
    ("2026 INFO fine\n2026 ERROR no luck (X)\n\tat a.b.C(C.java:1)\n2026 INFO bye\n", "2026 ERROR no luck (X)"),
    ('{"level":"info","message":"a"}\n{"level":"error","message":"no broker"}\n{"level":"info","message":"b"}\n',
     "no broker"),
    ("one\ntwo\n", "two"), ("", "")], ids=["java", "json", "plain", "empty"])
def test_last_words_are_the_error_and_no_stack_frame(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "x.log").write_text(text)
    assert child.last_words(tmp_path / "x.log") == words


def test_end_of_a_process_is_told_with_what_it_said_itself_and_no_process_before_it(tmp_path: Path) -> None:
    log = tmp_path / "x.log"
    log.write_text('{"level":"error","message":"of yesterday"}\n')
    begin = child.size_of(log)
    assert child.told_end("x", 1, log, begin, 0) == f"x ended with code 1; starting it again (log: {log})"
    with log.open("a") as file:
        file.write('{"level":"error","message":"no broker"}\n{"level":"info","message":"bye"}\n')
    assert child.told_end("x", 1, log, begin, 0.5) == (
        f"x ended with code 1 (no broker); starting it again in 0.5 s (log: {log})")
    assert "broker" not in child.told_end("x", -9, log, begin, 0)


def test_taken_port_is_told_with_its_setting() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(PortTaken, match="WEIR_X"):
            ports.check({port: ("tests", "WEIR_X")})
    ports.check({port: ("tests", "WEIR_X")})


def test_state_comes_back_as_it_went_and_a_broken_file_is_no_state(tmp_path: Path) -> None:
    state = ClusterState(supervisor=myself("supervisor"), processes=[ProcessState(name="x", pid=1)])
    state.save(tmp_path)
    assert ClusterState.load(tmp_path) == state
    assert state.supervisor.is_alive()
    assert not ProcessState(name="x", pid=state.supervisor.pid, created=1.0).is_alive()
    (tmp_path / "cluster.json").write_text("{")
    assert ClusterState.load(tmp_path) is None


def test_outside_broker_and_store_are_used_and_none_is_started(tmp_path: Path) -> None:
    settings = LocalSettings(state_dir=tmp_path, kafka_bootstrap="kafka:9092", redis_url="redis://r:1/0")
    made = cluster.plan(settings, [], {"policy": 2}, example=True)
    assert (made.broker, made.store) == (None, None)
    environments = [service.env for service in made.services if service.name.startswith("policy")]
    assert [one["WEIR_INSTANCE"] for one in environments] == ["policy-0", "policy-1"]
    assert all(one["WEIR_KAFKA_BOOTSTRAP"] == "kafka:9092" for one in environments)


def test_cluster_key_is_made_once_and_readable_by_its_owner_alone_and_an_empty_file_is_none(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    made = cluster_key(folder)
    assert cluster_key(folder) == made
    assert (folder / "cluster-key").stat().st_mode & 0o777 == 0o600
    # a disk that was full when it was to be written
    (folder / "cluster-key").write_text("")
    again = cluster_key(folder)
    assert Seal(again)
    assert again != made
    assert cluster_key(folder) == again


def test_no_two_processes_share_a_port(tmp_path: Path) -> None:
    scale = {"policy": 20, "executor": 20, "analytics": 20, "ingress": 20}
    made = cluster.plan(LocalSettings(state_dir=tmp_path), [], scale, example=True)
    health = [service.port for service in made.services]
    assert len(set(health)) == len(health)
    # but for that of the API, which all of ingress share
    assert made.ports()[LocalSettings().ingress_port][0] == "the API"


def test_port_that_two_of_the_cluster_need_is_told_before_anything_starts(tmp_path: Path) -> None:
    made = cluster.plan(LocalSettings(state_dir=tmp_path, kafka_port=7001, redis_port=7002), [], {}, example=False)
    with pytest.raises(LocalFault, match=r"port 7002 is needed for Kafka's controller.* and for Valkey; .*REDIS_PORT"):
        made.ports()


def test_example_is_found_wherever_the_command_is_called(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert read_folder(EXAMPLE)
    assert cluster.STUB.exists()


def test_cluster_is_not_started_for_an_example_that_is_not_there(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local.first_steps, "EXAMPLE", tmp_path / "none")
    monkeypatch.setattr(local, "_detach", lambda *_, **__: pytest.fail("it was begun"))
    with pytest.raises(Failure, match="weir up --no-example"):
        local.up(detach=True)


def test_cluster_whose_start_somebody_gives_up_does_not_go_on(
        monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    begun: list[subprocess.Popen[bytes]] = []

    def begin(_: Any, **how: Any) -> subprocess.Popen[bytes]:
        begun.append(popen([sys.executable, "-c", "import time; time.sleep(60)"], **how))
        return begun[0]

    def interrupt(_: float) -> None:
        raise KeyboardInterrupt
    popen = subprocess.Popen
    monkeypatch.setattr(subprocess, "Popen", begin)
    monkeypatch.setattr(local.time, "sleep", interrupt)
    with pytest.raises(typer.Exit) as ended:
        local._detach(tmp_path, "", example=False)
    assert (ended.value.exit_code, begun[0].poll()) == (130, -signal.SIGTERM)
    assert "stopped before the cluster was ready" in capsys.readouterr().out
