"""The page on metrics and logs: `python -m tests.support.metrics_manual > docs/telling.md`."""

from deploy.local.cluster import HEALTH_PORTS
from shared.names import actions
from shared.names import metrics as M
from shared.telemetry.series import BOUNDS_S, MAX_SERIES

METRICS = f"""# What services tell: metrics and logs

## Metrics

Every service tells its metrics at `/metrics` of its health port (`WEIR_HEALTH_PORT`), the ingress and control at
`/-/metrics` of their own ports, too: Prometheus text, or OpenMetrics for
those who accept it, with the ids of traces as exemplars. `weir up` gives the first process of a service the health port
{', '.join(f'{port} ({name})' for name, port in HEALTH_PORTS.items())}, the second the next one, and
adds `WEIR_HEALTH_PORT_BASE` to each. Beside these stand `process_*` (CPU, memory, files) of the
Prometheus client. Times are histograms with
bounds at {', '.join(f'{bound:g}' for bound in BOUNDS_S)} seconds. A metric has at most {MAX_SERIES:,} series; what
comes then is counted under the labels `other`, but with its `status` or `reason`, and `weir_series_folded` says so.
`WEIR_METRICS=false` switches off whatever costs a request anything.

Scrape settings, rules, dashboards and the collector's settings stand in `deploy/`; `docker compose --profile
observe up` runs them. Each alert has a [page](runbooks/README.md).

| metric | kind | labels | meaning |
| --- | --- | --- | --- |
"""
LOGS = """
## Logs

One JSON object a line, on standard error (`.weir/logs/` on one machine): `time`, `level`, `service`, `instance`,
`action`, `message`; `request_id` and `trace_id` where a request is
worked on; `error` with the trace of an exception. `action` never changes for one kind of line, so lines can be
counted and searched by it; `weir_log_lines_total` counts those of level
warning and above. What looks like a token or a password, or stands under such a name, is masked.
Of an HTTP message that nobody can read (`message-unreadable`) no word is told but what kind of error it is, and of
many only one in a while: secrets may stand anywhere in it.

`request-ended` is the access log: one line for a part of all answers (`WEIR_ACCESS_LOG_RATIO`), and for those of
500 and above, at most 20 a second. 0 switches it off.

`weir log-level SERVICE LEVEL --for 15m` lets a service (or `*`, all of them) tell more or less, without a restart
and never for ever; `weir log-level` shows what is changed.

Actions: """


def manual() -> str:
    """The page."""
    rows = [f"| `{family.name}` | {family.kind} | {_labels(family)} | {family.help} |" for family in sorted(
        M.FAMILIES, key=lambda one: one.name)]
    known = sorted(value for name, value in vars(actions).items() if name.isupper())
    return METRICS + "\n".join(rows) + "\n" + LOGS + ", ".join(f"`{action}`" for action in known) + ".\n"


def _labels(family: M.Family) -> str:
    return ", ".join(f"`{label}`" for label in family.labels) or "-"


if __name__ == "__main__":
    print(manual(), end="")
