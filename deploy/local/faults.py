"""What can be wrong with a machine, in one sentence each, with an exit code.

In:    nothing.
Out:   `LocalFault` and its kinds.
Never: a traceback for what a person can mend.
"""


class LocalFault(Exception):
    """The cluster cannot run here; the text says why and what to do."""

    exit_code = 10


class PortTaken(LocalFault):
    """Somebody else listens on a port that we need."""

    exit_code = 11


class NoWriteRight(LocalFault):
    """The state folder cannot be written."""

    exit_code = 12


class DownloadFailed(LocalFault):
    """A jar could not be fetched, or is not the one that the lock names."""

    exit_code = 13


class DidNotStart(LocalFault):
    """A process ended, or was not ready in time."""

    exit_code = 14


class AlreadyRunning(LocalFault):
    """A supervisor holds this state folder."""

    exit_code = 15
