"""The same load by `wrk`, where it is installed."""

import json
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

_UNITS = {"us": 0.001, "ms": 1.0, "s": 1000.0, "m": 60_000.0}
_SCRIPT = """
wrk.method = {method}
wrk.body = {body}
{headers}
local statuses, threads = {{}}, {{}}
function setup(thread) table.insert(threads, thread) end
function init() counts = {{}} end
function response(status) counts[status] = (counts[status] or 0) + 1; all = "" for s, n in pairs(counts) do
  all = all .. s .. ":" .. n .. " " end end
function done() for _, thread in ipairs(threads) do io.write("statuses " .. (thread:get("all") or "") .. "\\n") end end
"""


def available() -> bool:
    """Whether wrk is on the PATH."""
    return shutil.which("wrk") is not None


def drive(url: str, connections: int, seconds: float, method: str, body: str, headers: list[str]) -> dict[str, object]:
    """Load for so long with one thread; latencies in ms."""
    lines = "\n".join(f"wrk.headers[{json.dumps(name)}] = {json.dumps(value.strip())}"
                      for name, _, value in (header.partition(":") for header in headers))
    script = _SCRIPT.format(method=json.dumps(method), body=json.dumps(body), headers=lines)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "load.lua"
        path.write_text(script)
        out = subprocess.run(["wrk", "-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s", "--latency", "-s",
                              str(path), url], capture_output=True, text=True, check=True).stdout
    statuses = {int(status): int(count)
                for status, count in re.findall(r"(\d{3}):(\d+)", out.partition("statuses ")[2])}
    return {"rps": float(re.findall(r"Requests/sec:\s+([\d.]+)", out)[0]), "statuses": statuses,
            "p50": _quantile(out, "50%"), "p99": _quantile(out, "99%")}


def _quantile(out: str, name: str) -> float:
    value, unit = re.findall(rf"{name}\s+([\d.]+)(us|ms|s|m)", out)[0]
    return float(value) * _UNITS[unit]
