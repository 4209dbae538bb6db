"""Entry point of the `weir` command.

In:    arguments.
Out:   an exit code.
Never: a command's work; the other files of this folder have it.
"""

import errno
import logging
import os
import sys
from importlib import import_module
from io import TextIOWrapper

from deploy.local.faults import LocalFault
from services.console.cli.failure import Failure
from services.console.cli.terminal import harmless


def _open_what_is_closed() -> None:
    """As `weir apply folder >&-` does it: Python has None for such a stream, and the next socket takes its number."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_RDWR), mode))


def main() -> None:
    """Run the command; whatever a person can mend is one sentence on standard error."""
    try:
        _run()
    except KeyboardInterrupt:
        raise SystemExit(130) from None


def _run() -> None:
    _open_what_is_closed()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            # a terminal that has no character for a bar of a trace shows another one
            stream.reconfigure(errors="replace")
    # what libraries log, some thirty lines a second while a broker is away, is said at the end in one sentence
    logging.getLogger().addHandler(logging.NullHandler())
    try:
        # loading it takes longer than all of this; whoever presses Ctrl-C meanwhile is heard in `main` alone
        import_module("services.console.cli.application").application(sys.argv[1:])()
    except (Failure, LocalFault) as exc:
        print(harmless(f"weir: {exc}"), file=sys.stderr)  # noqa: T201
        raise SystemExit(exc.exit_code) from None
    except ValueError as exc:
        # loaded here alone: most commands need nothing of it
        told = import_module("shared.settings.wrong").told(exc, os.environ)
        if told is None:
            raise
        print(f"weir: {told}", file=sys.stderr)  # noqa: T201
        raise SystemExit(Failure.exit_code) from None
    except OSError as exc:
        if exc.errno not in (errno.ENOSPC, errno.EIO):
            raise
        print(f"weir: the output cannot be written: {exc.strerror}", file=sys.stderr)  # noqa: T201
        raise SystemExit(Failure.exit_code) from None


if __name__ == "__main__":
    main()
