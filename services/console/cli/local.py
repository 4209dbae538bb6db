"""Commands on the local cluster: up, down, status, doctor.

In:    the state folder.
Out:   a running cluster, or one sentence and an exit code that say why not.
Never: processes of anybody else.
"""

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Annotated

import psutil
import typer

from deploy.local import asking, cluster, doctor, jars
from deploy.local.faults import DidNotStart, LocalFault, NoWriteRight
from deploy.local.state import ClusterState, ProcessState
from deploy.local.supervisor import Supervisor, why_not_ready
from services.console.cli import first_steps, output
from services.console.cli.failure import Failure
from services.console.cli.figures import process_row
from services.console.cli.output import AsJson
from services.console.cli.top import read_all

_DOWN_S = 40.0
_DETACHED_S = 300.0
_RESIZED_S = 90.0
_RATES_S = 0.5
_STATUS = ("name", "state", "version", "config", "per_s", "in_flight", "lag", "oldest_s", "pid", "restarts", "reason",
           "log")
SIZES = "How many of each service, as in policy=2,executor=2."
Example = Annotated[bool, typer.Option(help="Load the example project and its stub HR system.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(up)
    app.command()(scale)
    app.command()(down)
    app.command()(status)
    app.command(name="doctor")(look_at_machine)


def up(detach: Annotated[bool, typer.Option("--detach", help="Return once the cluster is ready.")] = False,
       sizes: Annotated[str, typer.Option("--scale", help=SIZES)] = "", example: Example = True) -> None:
    """Bring the cluster up; Ctrl-C or `weir down` takes it down."""
    settings, wanted = cluster.LocalSettings(), cluster.parse_scale(sizes)
    if example and not first_steps.EXAMPLE.is_dir():
        raise Failure(f"the example is not at {first_steps.EXAMPLE}; `weir up --no-example` starts without it")
    if detach:
        _detach(settings.state_dir, sizes, example=example)
        return
    began = time.monotonic()
    found = [] if settings.kafka_bootstrap else jars.ensure(_progress)
    plan = cluster.plan(settings, found, wanted, example=example)

    def resized() -> cluster.ClusterPlan:
        return cluster.plan(settings, found, cluster.parse_scale(_size_file(settings.state_dir).read_text()),
                            example=example)

    async def when_ready() -> None:
        steps = await first_steps.load_example(plan) if example else []
        output.say(f"Weir is ready in {time.monotonic() - began:.0f} s: API {plan.ingress_url}, admin API "
                   f"{plan.control_url}, Kafka {plan.bootstrap}")
        if steps:
            output.say("Try:")
            for step in steps:
                output.say(f"  {step}")

    asyncio.run(Supervisor(plan, output.say, resized).run(when_ready))


def scale(sizes: Annotated[str, typer.Argument(help=f"{SIZES} Others stay as they are.")]) -> None:
    """Change how many processes of each service run, while they do; returns when it is so."""
    folder = cluster.LocalSettings().state_dir
    known = ClusterState.load(folder)
    if known is None or not known.supervisor.is_alive() or known.state != "ready":
        raise Failure("no cluster is running here, or it is not ready yet; `weir up --scale ...` starts one")
    wanted = {**cluster.scale_of(process.name for process in known.processes), **cluster.parse_scale(sizes)}
    _size_file(folder).write_text(",".join(f"{name}={count}" for name, count in wanted.items()))
    os.kill(known.supervisor.pid, signal.SIGHUP)
    deadline = time.monotonic() + _RESIZED_S
    while time.monotonic() < deadline:
        found = ClusterState.load(folder)
        if found is not None and found.resized > known.resized:
            if found.fault:
                raise Failure(f"the cluster keeps its size: {found.fault}")
            output.say("now running: " + ", ".join(f"{name}={count}" for name, count in wanted.items()))
            return
        time.sleep(0.1)
    raise Failure(f"the cluster did not get its size within {_RESIZED_S:g} s; `weir status` shows what runs")


def down() -> None:
    """Take the cluster down; nothing of it keeps running."""
    folder = cluster.LocalSettings().state_dir
    known = ClusterState.load(folder)
    if known is None or not known.supervisor.is_alive():
        output.say("no cluster is running")
        return
    os.kill(known.supervisor.pid, signal.SIGTERM)
    try:
        psutil.Process(known.supervisor.pid).wait(_DOWN_S)
    except psutil.NoSuchProcess:
        pass
    except psutil.TimeoutExpired:
        raise Failure(f"the supervisor (pid {known.supervisor.pid}) did not stop within {_DOWN_S:g} s; "
                      f"its log is {folder / 'logs' / 'supervisor.log'}") from None
    output.say("the cluster is down")


def status(as_json: AsJson = False) -> None:
    """Show every process of the cluster, what it does and what waits; exit code 0 when all are ready."""
    known = ClusterState.load(cluster.LocalSettings().state_dir)
    if known is None or not known.supervisor.is_alive():
        raise Failure("no cluster is running here; `weir up` starts one")
    rows = asyncio.run(_look(known))
    # a log is worth its room where something is wrong
    told = rows if as_json else [
        {**row, "log": row["log"] if row["state"] != "ready" or row["restarts"] else None} for row in rows]
    output.rows(told, _STATUS, as_json=as_json)
    if known.state != "ready" or any(row["state"] != "ready" for row in rows):
        raise typer.Exit(1)


def look_at_machine(as_json: AsJson = False) -> None:
    """Say what is wrong with this machine, if anything; exit code 0 when nothing is."""
    findings = doctor.examine(cluster.LocalSettings())
    output.rows([{"check": one.check, "ok": "yes" if one.ok else "no", "finding": one.finding} for one in findings],
                ("check", "ok", "finding"), as_json=as_json)
    if not all(one.ok for one in findings):
        raise typer.Exit(1)


async def _look(known: ClusterState) -> list[dict[str, object]]:
    before = await read_all(known)
    reasons = await asyncio.gather(*(_reason(process) for process in known.processes))
    if not any(reasons):
        # what has been done meanwhile tells the rates; of a cluster that is not ready they say nothing
        await asyncio.sleep(_RATES_S)
    after = await read_all(known)
    return [{"name": process.name, "pid": process.pid, "restarts": process.restarts, "log": process.log,
             "state": "down" if not process.is_alive() else "not ready" if reason else "ready", "reason": reason,
             **(process_row(before.get(process.name, after[process.name]), after[process.name])
                if process.name in after else {})}
            for process, reason in zip(known.processes, reasons, strict=True)]


async def _reason(process: ProcessState) -> str | None:
    """Why it is not ready. Broker and store have no page to ask."""
    if process.ready_url is not None:
        return await why_not_ready(process.ready_url, 0)
    return await asking.why_silent(process.name, process.port)


def _progress(done: int, of: int) -> None:
    if sys.stdout.isatty():
        output.console.print(f"fetching Apache Kafka: {done} of {of} jars", end="\r" if done < of else "\n")
    elif done in (1, of) or done % 10 == 0:
        output.say(f"fetching Apache Kafka: {done} of {of} jars")


def _size_file(folder: Path) -> Path:
    return folder / "scale"


def _detach(state_dir: Path, scale: str, *, example: bool) -> None:
    log = state_dir / "logs" / "supervisor.log"
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        out = log.open("ab")
    except OSError as exc:
        raise NoWriteRight(f"the state folder {state_dir} cannot be written ({exc.strerror}); "
                           "choose another one with WEIR_STATE_DIR") from None
    begin = log.stat().st_size
    with out:
        process = subprocess.Popen(
            [sys.executable, "-m", "services.console.cli.main", "up", "--scale", scale,
             "--example" if example else "--no-example"],
            stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True)
    try:
        _await(process, log, begin, example=example)
    except KeyboardInterrupt:
        # it has a session of its own, and would not hear of it
        process.terminate()
        process.wait()
        output.say("stopped before the cluster was ready")
        raise typer.Exit(130) from None


def _await(process: subprocess.Popen[bytes], log: Path, begin: int, *, example: bool) -> None:
    """Return once the cluster is ready, and say what it says. `begin`: where its words begin in the log."""
    deadline = time.monotonic() + _DETACHED_S
    while time.monotonic() < deadline:
        said = log.read_bytes()[begin:].decode(errors="replace")
        if process.poll() is not None:
            fault = LocalFault((said.strip().splitlines() or ["it said nothing"])[-1].removeprefix("weir: "))
            fault.exit_code = process.returncode or LocalFault.exit_code
            raise fault
        if "Weir is ready" in said and (not example or "weir trace" in said):
            output.say(said.rstrip())
            return
        time.sleep(0.1)
    raise DidNotStart(f"the cluster was not ready within {_DETACHED_S:g} s; see {log}")
