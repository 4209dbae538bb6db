"""Which Python Weir is installed with: the one that was asked, or a faster build of the same version.

In:    the interpreters of this version on the PATH and in the usual places; a piece of work that each of them does.
Out:   one of them, on stdout; on stderr why, where it is not the one that was asked.
Never: another version; a package from outside of the standard library: nothing is installed yet.

CPython built without its optimizations, as version managers build it by default, takes a third to a half longer for all
that Weir does than the same version from a distribution, which often lies beside it.
"""

import os
import subprocess
import sys
from collections.abc import Sequence

_USUAL = ("/usr/bin", "/usr/local/bin", "/opt/homebrew/bin")
# what a virtual environment takes; then where it is, whatever its name, and the seconds that calls, attributes, tuples
# and dictionaries take, which is what a request is made of
_PROBE = """
import ensurepip, sys, time, venv
class Sums:
    __slots__ = ("count", "size")
    def add(self, size):
        self.count += 1
        self.size += size
def work(sums):
    for number in range(30_000):
        key = ("edge", number % 50, f"client-{number % 7}")
        found = sums.get(key)
        if found is None:
            found = sums[key] = Sums()
            found.count = found.size = 0
        found.add(len(key[2]))
best = 9.0
for _ in range(6):
    began = time.perf_counter()
    work({})
    best = min(best, time.perf_counter() - began)
print(sys.base_prefix, best)
"""
_TURNS, _GAIN = 5, 1.15
_WAIT_S = 20


def candidates() -> list[str]:
    """Other files on the PATH and in the usual places that are named like this version, each file once."""
    name = f"python{sys.version_info.major}.{sys.version_info.minor}"
    folders = [*os.environ.get("PATH", "").split(os.pathsep), *_USUAL]
    found = {os.path.realpath(sys.executable): ""}
    for path in (os.path.join(folder, name) for folder in folders):
        if os.access(path, os.X_OK):
            found.setdefault(os.path.realpath(path), path)
    return [path for path in found.values() if path]


def probe(path: str) -> tuple[str, float] | None:
    """Where an interpreter is installed and how long it took; None when it is not of use."""
    try:
        # isolated, so that nobody's settings count
        told = subprocess.run([path, "-I", "-c", _PROBE], capture_output=True, text=True, timeout=_WAIT_S, check=True)
        where, took_s = told.stdout.rsplit(maxsplit=1)
        return where, float(took_s)
    except (OSError, ValueError, subprocess.SubprocessError):
        return None


def fastest(asked: str, others: Sequence[str]) -> tuple[str, float]:
    """The interpreter to take, and how many times as fast it is as the one that was asked."""
    best: dict[str, float] = {}
    path_of: dict[str, str] = {}
    for _ in range(_TURNS):
        # in turns, for other work on this machine comes and goes
        for path in (asked, *others):
            found = probe(path)
            if found is not None:
                path_of.setdefault(found[0], path)
                best[found[0]] = min(found[1], best.get(found[0], found[1]))
    own = next((where for where, path in path_of.items() if path == asked), None)
    if own is None:
        return asked, 1.0
    where = min(best, key=lambda one: best[one])
    gain = best[own] / best[where]
    return (path_of[where], gain) if gain >= _GAIN else (asked, 1.0)


def main() -> int:
    """Print the one to take."""
    chosen, gain = fastest(sys.executable, candidates())
    if chosen != sys.executable:
        sys.stderr.write(f"taking {chosen}, which is {gain:.1f} times as fast as {sys.executable}, the same version in "
                         f"another build (make PYTHON={sys.executable} takes that one all the same)\n")
    sys.stdout.write(f"{chosen}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
