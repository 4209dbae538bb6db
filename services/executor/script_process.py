"""The process in which scripts of workflows run, one after another: started by `scripts.py`, which speaks with it.

In:    time in milliseconds and memory in bytes, once; then, per run, the lengths of code and input (`ASKED`), and both.
Out:   one empty answer when it is ready; then, per run, what kind of answer, its length (`TOLD`), and the answer.
Never: longer than the time of the clock: its own alarm ends it, also where the engine asks nobody, and when the
       executor is gone. Nothing but the engine is imported: it is started again whenever a run outlived its time.

Each run has an engine of its own, and nothing of a run is left for the next.
"""

import re
import signal
import struct
import sys
import time
from pathlib import Path

import quickjs

ASKED, TOLD = struct.Struct(">II"), struct.Struct(">cI")
READY, GIVEN, TIMEOUT, MEMORY, DEEP, FAILED = b"+", b"g", b"t", b"m", b"d", b"f"
# the engine's own bound counts CPU time, and leaves the process whole; the alarm ends what it does not
_ALARM_AFTER_MS = 200
_STACK_BYTES = 256 * 1024
_MAX_MESSAGE = 300
# without memory for an error the engine throws null, as a script may: how much was ever in use tells which
_NULL = ("null", "")
# JSON.stringify asks for it; without it a Promise, wherever it stands in what a script gives, would be told as {}
_NO_PROMISE = """Promise.prototype.toJSON = () => {
  throw new TypeError("it gives a Promise, for which nobody waits: there is no I/O, so leave out `async` and `then`")
}"""
# what the engine says of something thrown that cannot be made a text, as a symbol
_UNTOLD = "(Failed obtaining QuickJS error string. Concurrency issue?)"
_FRAME, _LINE = "\n    at ", re.compile(r"<input>:(\d+)")


def main() -> None:
    """Until the pipe is closed."""
    time_ms, memory_bytes = int(sys.argv[1]), int(sys.argv[2])
    # the executor, which gets the same signals, still needs it for what is under way
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    at_rest = _most_used()
    _tell(READY, b"")
    while len(head := sys.stdin.buffer.read(ASKED.size)) == ASKED.size:
        code_bytes, given_bytes = ASKED.unpack(head)
        code, given = sys.stdin.buffer.read(code_bytes).decode(), sys.stdin.buffer.read(given_bytes).decode()
        signal.setitimer(signal.ITIMER_REAL, (time_ms + _ALARM_AFTER_MS) / 1000)
        kind, answer = _run(code, given, time_ms / 1000, memory_bytes)
        if kind == FAILED and answer in _NULL and _most_used() - at_rest > memory_bytes / 2:
            kind = MEMORY
        signal.setitimer(signal.ITIMER_REAL, 0)
        _tell(kind, answer.encode(errors="replace"))


def _tell(kind: bytes, answer: bytes) -> None:
    sys.stdout.buffer.write(TOLD.pack(kind, len(answer)) + answer)
    sys.stdout.buffer.flush()


def _run(code: str, given: str, seconds: float, memory_bytes: int) -> tuple[bytes, str]:
    engine = quickjs.Context()
    engine.set_time_limit(seconds)
    engine.set_memory_limit(memory_bytes)
    engine.set_max_stack_size(_STACK_BYTES)
    began = time.process_time()
    try:
        engine.eval(_NO_PROMISE)
        engine.set("given", given)
        function = f"(function (input) {{\n{code}\n}})"
        return GIVEN, str(engine.eval(f"JSON.stringify({function}(JSON.parse(given))) ?? 'null'"))
    except quickjs.StackOverflow:
        return DEEP, ""
    except quickjs.JSException as exc:
        return _kind(str(exc), time.process_time() - began >= seconds), _told(str(exc), code.count("\n") + 1)


def _kind(text: str, time_is_over: bool) -> bytes:
    if text.startswith("InternalError: interrupted") and time_is_over:
        return TIMEOUT
    return MEMORY if text.startswith("InternalError: out of memory") else FAILED


def _most_used() -> float:
    """Bytes of memory that the process had at most; endless where the system does not say."""
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return float("inf")
    # that of `getrusage` begins with what the executor had
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


def _told(text: str, lines: int) -> str:
    """What went wrong, and in which of the script's own lines: the engine has one before and one after them."""
    if text.startswith(_UNTOLD):
        return "it throws something that is no text"
    what, _, stack = text.removesuffix("\nundefined").partition(_FRAME)
    inside = next((line for line in map(int, _LINE.findall(stack)) if 2 <= line <= lines + 1), None)
    return " ".join(what.split())[:_MAX_MESSAGE] + ("" if inside is None else f", in line {inside - 1} of the script")


if __name__ == "__main__":
    main()
